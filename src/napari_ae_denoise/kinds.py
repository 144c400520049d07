"""The kinds of autoencoders: names for compositions of a network, an objective and settings.

No kind is code of its own. A kind says which preset it starts from, what it changes in the
network's spec, which penalty it adds, and how it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.penalty_spec import Penalty
from napari_ae_denoise.plain_numbers import is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.settings import TrainSettings

_DEEPEST = 6


def _read_only(**values: Any) -> MappingProxyType[str, Any]:
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of autoencoder, as a composition.

    Parameters
    ----------
    sentence : str
        What it is.
    preset : str
        The preset that it starts from, unless another is given.
    network : mapping
        What it changes in the preset's spec.
    penalties : mapping of str to float
        Penalties to choose from, with their usual weights; the first is the default. Empty: none.
        Most are measured: strong enough to be seen, for at most half a decibel
        (docs/family.md).
    settings : mapping
        Other fields of `TrainSettings`.
    """

    sentence: str
    preset: str = "classic"
    network: Mapping[str, Any] = field(default_factory=_read_only)
    penalties: Mapping[str, float] = field(default_factory=_read_only)
    settings: Mapping[str, Any] = field(default_factory=_read_only)

    @property
    def options(self) -> tuple[str, ...]:
        """What `TrainSettings.of_kind` takes for this kind, beside fields of `TrainSettings`.

        ``depth``: levels (or hidden layers). ``code_channels``: of the code. ``penalty`` and
        ``weight``: which of `penalties`, and how strong. ``target``: see `Penalty`; of sparsity.
        """
        usual = ("depth", "code_channels")
        if not self.penalties:
            return usual
        return (*usual, "penalty", "weight", *(["target"] if "sparsity" in self.penalties else []))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "denoising": Kind(
            "Sees the image with noise and is scored against the image without it.",
            preset="residual",
        ),
        "autoencoder": Kind(
            "Makes the image from its code, h = f(x) and r = g(h), without any noise.",
            network=_read_only(skips=False),
            settings=_read_only(sigma=0.0),
        ),
        "convolutional": Kind(
            "The tutorial's: convolutions and pooling down to a code, and back to the image.",
            network=_read_only(skips=False),
        ),
        "fully-connected": Kind(
            "Every pixel is joined to every unit; for small images of one size.",
            preset="dense",
        ),
        "linear": Kind(
            "Fully connected, without any nonlinearity or noise: its code spans the same subspace "
            "as the first principal components.",
            preset="dense",
            network=_read_only(linear=True, widths=(), code_channels=16),
            # what is random in the weights at the start does not shrink by itself
            settings=_read_only(sigma=0.0, optimizer="muon", weight_decay=1.0),
        ),
        "under-complete": Kind(
            "Its code has fewer values than the image and can only hold what matters most.",
            network=_read_only(skips=False, code_channels=8),
        ),
        "over-complete": Kind(
            "Its code has more values than the image; the noise keeps it from copying.",
            network=_read_only(skips=False, code_channels=64),
        ),
        "stacked": Kind(
            "Deep, and trained stage by stage, each on the code of the one before; then as a "
            "whole.",
            network=_read_only(skips=False, widths=(32, 32, 32)),
            settings=_read_only(pretraining="layerwise"),
        ),
        "regularized": Kind(
            "Pays for large weights: squared (L2), or absolute (L1), which makes many of them "
            "useless.",
            network=_read_only(skips=False),
            penalties=_read_only(**{"weights-l2": 1e-5, "weights-l1": 1e-6}),
        ),
        "sparse": Kind(
            "Pays where code units are active more often than a target, so that few are at once.",
            network=_read_only(skips=False, code_activation="sigmoid"),
            penalties=_read_only(**{"sparsity": 1e-1, "activity-l1": 3e-2}),
        ),
        "variational": Kind(
            "Its code is a Gaussian with mean and variance, held near the unit Gaussian, so that "
            "new images can be drawn.",
            network=_read_only(skips=False, variational=True, code_channels=8),
            penalties=_read_only(variational=5e-2),
        ),
        "contractive": Kind(
            "Pays where the code changes with the image: small changes of the image are ignored.",
            network=_read_only(skips=False, code_activation="sigmoid"),
            penalties=_read_only(contractive=3e-2),
        ),
        "marginalized": Kind(
            "Sees clean images only, and is scored by what noise would do on average, to second "
            "order.",
            network=_read_only(skips=False),
            penalties=_read_only(marginalized=1.0),
        ),
    }
)
"""The kinds by name, such as ``"sparse"``; docs/family.md shows each."""


def settings_of(
    kind: str,
    *,
    preset: str | NetworkSpec | None = None,
    depth: int | None = None,
    code_channels: int | None = None,
    penalty: str | None = None,
    weight: float | None = None,
    target: float | None = None,
    loss: str = "mse",
    network_changes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> TrainSettings:
    """Return the settings that train a kind; see `TrainSettings.of_kind`.

    Parameters
    ----------
    kind : str
        A name in `KINDS`.
    preset : str or NetworkSpec, optional
        Instead of the kind's own.
    depth, code_channels, penalty, weight, target
        See `Kind.options`.
    loss : str
        The reconstruction loss.
    network_changes, **settings
        Fields of `TrainSettings`; what is given wins over the kind's.

    Raises
    ------
    DenoisingError
        If there is no such kind, or it has no such option.
    """
    from napari_ae_denoise.objectives import Objective
    from napari_ae_denoise.settings import TrainSettings

    found = kind_named(kind)
    preset = found.preset if preset is None else preset
    spec = _spec_of(preset)
    given = {"penalty": penalty, "weight": weight, "target": target}
    for name, value in given.items():
        if value is not None and name not in found.options:
            raise DenoisingError(
                f'The kind "{kind}" has no option {name}.',
                f"Leave it out; its options are {', '.join(found.options)}.",
            )
    changes = {**found.network, **_shape(found, spec, depth, code_channels)}
    chosen = _penalties(found, penalty, weight, target)
    known = TrainSettings.__dataclass_fields__
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise DenoisingError(
            f"There are no settings {', '.join(unknown)}.",
            f"Give fields of TrainSettings, or options of the kind: {', '.join(found.options)}.",
        )
    # wide layers cost Muon seconds a step
    usual = {"optimizer": "adam"} if spec.style == "dense" else {}
    own = {"objective": Objective(loss, chosen), "kind": kind, **usual, **found.settings}
    if settings.get("optimizer") == "adam":
        own.pop("weight_decay", None)  # refused with Adam
    return TrainSettings(
        preset=preset, network_changes={**changes, **(network_changes or {})}, **{**own, **settings}
    )


def kind_named(name: str) -> Kind:
    """Return a kind by its name, or say which ones there are."""
    if name not in KINDS:
        raise DenoisingError(
            f'There is no kind of autoencoder "{name}".', f"Choose one of {', '.join(KINDS)}."
        )
    return KINDS[name]


def _spec_of(preset: str | NetworkSpec) -> NetworkSpec:
    from napari_ae_denoise.networks import PRESETS

    if not isinstance(preset, str):
        return preset
    if preset not in PRESETS:
        raise DenoisingError(
            f'There is no preset "{preset}".', f"Choose one of {', '.join(PRESETS)}."
        )
    return PRESETS[preset]


def _shape(
    kind: Kind, spec: NetworkSpec, depth: int | None, code_channels: int | None
) -> dict[str, Any]:
    """Return the changes that depth and code channels make in the network."""
    changes: dict[str, Any] = {}
    if code_channels is not None:
        changes["code_channels"] = code_channels
    if depth is None:
        return changes
    if not (is_whole(depth) and 1 <= depth <= _DEEPEST):
        raise DenoisingError(
            f"A network cannot be {depth!r} levels deep.",
            f"Give a whole number from 1 to {_DEEPEST}.",
        )
    widths = tuple(kind.network.get("widths", ())) or spec.widths
    if not widths:
        return changes
    return {**changes, "widths": (widths + widths[-1:] * depth)[:depth]}


def _penalties(
    kind: Kind, name: str | None, weight: float | None, target: float | None
) -> tuple[Penalty, ...]:
    if not kind.penalties:
        return ()
    name = next(iter(kind.penalties)) if name is None else name
    if name not in kind.penalties:
        raise DenoisingError(
            f'The penalty "{name}" is none of this kind.',
            f"Choose one of {', '.join(kind.penalties)}.",
        )
    if target is not None and name != "sparsity":
        raise DenoisingError(
            f"The penalty {name} has no target, and target is {target}.",
            "Leave it out, or choose the penalty sparsity.",
        )
    chosen = Penalty(name, kind.penalties[name] if weight is None else weight)
    return (chosen if target is None else replace(chosen, target=target),)
