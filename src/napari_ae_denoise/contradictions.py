"""What cannot be trained because its parts contradict each other; said before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.pretraining import check_stackable

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
                f"The marginalized penalty needs clean images, and these are {data.kind}.",
                "Give clean images, or leave the penalty out.",
            )
        if noiseless:
            raise DenoisingError(
                "With noise of sigma 0 there is nothing to marginalize.",
                "Give a noise range above 0, or leave the penalty out.",
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
