"""What cannot be trained because its parts contradict each other; said before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.kinds import KINDS
from napari_ae_denoise.pretraining import check_stackable
from napari_ae_denoise.training_data import KIND_IN_WORDS, as_list

if TYPE_CHECKING:
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.objectives import Objective
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_data import TrainingData

# Penalties on the code, which only mean something where the image is made from it alone.
_ON_THE_CODE = ("sparsity", "activity-l1", "variational", "contractive", "marginalized")


def check_fit(network: ConvAutoencoder, settings: TrainSettings, data: TrainingData) -> None:
    """Refuse a training whose network, objective, settings and data contradict each other.

    Raises
    ------
    DenoisingError
        With what to change.
    """
    spec = network.spec
    check_objective(spec, settings.objective)
    _check_code_size(network, settings.kind)
    for size in sorted(data.plane_sizes()):
        spec.check_plane(size)
    if settings.pretraining == "layerwise":
        check_stackable(network)
    noiseless = data.kind == "clean" and settings.sigma_range[1] == 0
    if noiseless and spec.skips:
        raise DenoisingError(
            "With noise of sigma 0, a network with skip connections learns to copy its input.",
            "Give a noise range above 0, or a network without skips, such as classic.",
        )
    if settings.objective.penalty("marginalized") is not None:
        if data.kind not in ("clean", "pairs"):
            raise DenoisingError(
                "The marginalized penalty needs clean images, and these are "
                f"{KIND_IN_WORDS[data.kind]}.",
                "Give clean images, or leave the penalty out.",
            )
        if noiseless:
            raise DenoisingError(
                "With noise of sigma 0 there is nothing to marginalize.",
                "Give a noise range above 0, or leave the penalty out.",
            )
    _check_noise_sigma(settings, data)


def _is_of_size(network: ConvAutoencoder, kind: str) -> bool:
    """Return whether the code has as many values as the name of the kind says."""
    ratio = network.code_ratio
    return {"under-complete": ratio < 1, "over-complete": ratio > 1}.get(kind, True)


def _check_code_size(network: ConvAutoencoder, kind: str) -> None:
    """Refuse a code that is larger or smaller than the name of the kind says."""
    if _is_of_size(network, kind):
        return
    spec, values = network.spec, network.spec.channels * network.stride**2
    under = kind == "under-complete"
    channels = f"at most {values - 1}" if under else f"at least {values + 1}"
    few = under and values == 1  # at full resolution every code has as many
    raise DenoisingError(
        f'The network is not of the kind "{kind}": a code of {spec.code_width} channels stands for '
        f"{values} image values, {network.code_ratio:.3g} code values per image value.",
        f"Choose {'' if few else f'code_channels of {channels}, or '}another depth, or leave the "
        "kind out.",
    )


def _check_noise_sigma(settings: TrainSettings, data: TrainingData) -> None:
    """Refuse a noise level that would not be used."""
    if settings.noise_sigma is None:
        return
    if data.kind != "noisy":
        raise DenoisingError(
            f"noise_sigma = {settings.noise_sigma} is the noise of noisy images that are trained "
            f"on alone, and these are {KIND_IN_WORDS[data.kind]}.",
            "Leave it out; the noise that is added to clean images is sigma.",
        )
    if settings.scheme == "blind-spot":
        raise DenoisingError(
            f"The scheme blind-spot needs no noise level, and noise_sigma is "
            f"{settings.noise_sigma}.",
            "Leave noise_sigma out, or choose the scheme recorrupted.",
        )


def check_start(start: ConvAutoencoder, settings: TrainSettings, data: TrainingData) -> None:
    """Refuse to go on from a network that is none of the kind asked for, or not for such images.

    Depth and code channels of a kind are those that the start happens to have.

    Raises
    ------
    DenoisingError
        With what to change.
    """
    spec = start.spec
    images = as_list(data.sides[0])
    if spec.channels == 3 and any(
        plane_layout(image.shape, data.axes).channels == 1 for image in images
    ):
        raise DenoisingError(
            "The model to start from is for colours (3 channels), and there are gray images "
            "(1 channel) to train on.",
            "Start from a model for gray images, such as natural-gray, or from none.",
        )
    kind = KINDS.get(settings.kind)
    if kind is None:
        return
    wanted = {name: v for name, v in kind.network.items() if isinstance(v, bool | str)}
    if kind.preset == "dense":
        wanted = {"style": "dense", **wanted}
    wrong = [
        f"{name} {getattr(spec, name)!r} (not {value!r})"
        for name, value in wanted.items()
        if getattr(spec, name) != value
    ]
    if not _is_of_size(start, settings.kind):
        wrong.append(f"{start.code_ratio:.3g} code values per image value")
    if wrong:
        raise DenoisingError(
            f"The network to start from stays as it is, and is none of the kind "
            f'"{settings.kind}": it has {", ".join(wrong)}.',
            "Leave the kind out, start from a model of that kind, or start from none.",
        )


def check_objective(spec: NetworkSpec, objective: Objective) -> None:
    """Refuse penalties that contradict a network, or each other."""
    for penalty in objective.penalties:
        if spec.skips and penalty.name in _ON_THE_CODE:
            raise DenoisingError(
                f"The penalty {penalty.name} is on the code, and a network with skip connections "
                "does not make its image from the code alone.",
                "Choose a network without skips, such as classic.",
            )
    if objective.penalty("sparsity") is not None and spec.code_activation != "sigmoid":
        raise DenoisingError(
            "The penalty sparsity needs code units between 0 and 1, and the code of this network "
            "has no sigmoid.",
            'Choose code_activation="sigmoid", or the penalty activity-l1.',
        )
    if objective.penalty("variational") is not None and not spec.variational:
        raise DenoisingError(
            "The penalty variational needs a code with mean and variance, and this network has a "
            "plain code.",
            "Choose a network with variational=True, or leave the penalty out.",
        )
    if objective.penalty("variational") is None and spec.variational:
        raise DenoisingError(
            "A variational network without the penalty variational learns no Gaussian code.",
            'Add Penalty("variational", beta), or choose variational=False.',
        )
    if objective.penalty("marginalized") is not None:
        if objective.reconstruction != "mse":
            raise DenoisingError(
                f'The loss "{objective.reconstruction}" has no curvature to marginalize noise by.',
                'Choose "mse", or leave the penalty marginalized out.',
            )
        if spec.variational:
            raise DenoisingError(
                "The penalty marginalized takes the place of drawn noise, and a variational code "
                "draws noise of its own.",
                "Leave one of the two out.",
            )
