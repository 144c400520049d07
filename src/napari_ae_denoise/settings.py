"""How to train: the settings, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.self_supervision import Scheme
from napari_ae_denoise.setting_checks import check_numbers, check_parts
from napari_ae_denoise.training_noise import NoiseChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.training_data import TrainingData

_DEFAULT_STEPS = 1000
CHOICES = {
    "noise": get_args(NoiseChoice),
    "scheme": get_args(Scheme),
    "optimizer": ("muon", "adam", "adamw"),
    "schedule": ("cosine", "trapezoid", "constant"),
    "pretraining": ("none", "layerwise"),
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train.

    Parameters
    ----------
    preset : str or NetworkSpec
        A name in `PRESETS`, or a network of one's own.
    network_changes : mapping, optional
        Fields of the preset's `NetworkSpec` to change, such as ``{"code_channels": 8}``.
    objective : Objective
        What the network is scored by.
    sigma : tuple of float, or float
        Range of the synthetic noise that is added to clean images, in grey values. A range makes
        a blind denoiser, one number a denoiser for that noise. Not used where noisy images
        are given.
    relative : bool
        Whether ``sigma`` is a fraction of each image's data range.
    noise : {"auto", "gaussian", "camera", "photograph"}
        Kind of the synthetic noise. ``auto`` is that of the model that the training starts from,
        and without one ``gaussian``. ``camera`` is Poisson-Gaussian noise of random gain, read
        noise and sharpness, for a model that knows many cameras; ``sigma`` is then that of bright
        areas. ``photograph`` is Gaussian noise of three colours, in part as photographs that
        were developed and saved have it: partly the same in all three, its colour coarser than
        its light, rounded as by JPEG. Where an image's three colours are the same, their noise is.
    steps, epochs, minutes : number, optional
        How long to train; at most one of them. By default 1,000 steps. An epoch is one pass over
        the data, but at least 50 batches.
    batch_size : int
        Patches a step.
    patch_size : int or tuple of int
        Side of the patches in pixels. Several: one after the other in equal parts of the
        training, with fewer patches a step as they grow.
    learning_rate : float, optional
        Its highest value; by default 2e-3, from a start (fine-tuning) 5e-4, and 6e-3 for networks
        of the style ``plain`` with Muon and no penalty.
    schedule : {"cosine", "trapezoid", "constant"}
        ``cosine``: warm-up, then down to 1 % along a half cosine. ``trapezoid``: constant after
        the warm-up, and down to 1 % in the last quarter; the state before that can be
        continued by a longer training. ``constant``: only the warm-up.
    warm_up : float
        Part of the training in which the learning rate rises; 0 for none.
    optimizer : {"muon", "adam", "adamw"}
        `Muon` learns a convolutional network in about half the steps of Adam.
    weight_decay : float
        Decoupled; for Muon and AdamW alone, refused with Adam.
    clip_norm : float
        Longest gradient that is followed at its full length.
    average : float
        Decay of the moving average of the weights, which is what is validated and kept; 0 for
        none.
    validation : float
        Fraction of the data that is held out.
    scheme : {"auto", "recorrupted", "blind-spot"}
        How to train on noisy images alone. ``recorrupted`` (Recorrupted-to-Recorrupted) is for
        Gaussian and camera noise of a known or estimated level, where it is the better one by far.
        ``blind-spot`` (Noise2Void) is for any noise that is independent from pixel to pixel.
        ``auto`` is recorruption, unless no noise is found or it is that of few photons.
    noise_sigma : float, optional
        Standard deviation of the noise in noisy images, in grey values, for ``recorrupted``;
        estimated from each image by default, as camera noise where it grows with the grey values.
    augment : bool
        Whether patches are mirrored and turned, each in one of eight ways. Not for images of
        things that have an upper and a lower end, such as clothes.
    clip : bool
        Whether synthetic noise is clipped to the smallest and largest grey value of each image,
        as the noise of a camera is.
    normalization : Normalization, optional
        How grey values are mapped. By default by percentiles; for networks of the styles ``plain``
        and ``dense`` from the smallest to the largest, for their sigmoid can make nothing beyond.
    pretraining : {"none", "layerwise"}
        ``none``: the whole network is trained at once. ``layerwise``: in the first half of the
        training stage by stage, each on the code of the one before; then the whole.
    seed : int
        The same seed gives the same weights on the CPU, in the same precision: with ``auto`` a
        measurement decides, and the card of the model says which it was (``computed``).
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; see `choose_device`.
    precision : {"auto", "float32", "bfloat16", "float16"}
        See `choose_precision`; where that is float16, training is in bfloat16 or float32.
    name : str
        Of the model, for its card.
    kind : str
        Which kind of autoencoder these settings make, for the card; see `of_kind`.
    """

    preset: str | NetworkSpec = "residual"
    network_changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    objective: Objective = field(default_factory=Objective)
    sigma: tuple[float, float] | float = (0.0, 50.0)
    relative: bool = False
    noise: NoiseChoice = "auto"
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    batch_size: int = 8
    patch_size: int | tuple[int, ...] = 64
    learning_rate: float | None = None
    schedule: Literal["cosine", "trapezoid", "constant"] = "cosine"
    warm_up: float = 0.02
    optimizer: Literal["muon", "adam", "adamw"] = "muon"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    average: float = 0.999
    validation: float = 0.1
    scheme: Scheme = "auto"
    noise_sigma: float | None = None
    augment: bool = True
    clip: bool = False
    normalization: Normalization | None = None
    pretraining: Literal["none", "layerwise"] = "none"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    name: str = "untitled"
    kind: str = ""

    def __post_init__(self) -> None:
        """Take what stands for a setting, and refuse those that cannot be trained with."""
        objective: Any = self.objective
        if isinstance(objective, str):
            object.__setattr__(self, "objective", Objective(objective))
        check_parts(self)
        object.__setattr__(self, "network_changes", dict(self.network_changes))
        sizes: Any = self.patch_size
        if isinstance(sizes, list):
            object.__setattr__(self, "patch_size", tuple(sizes))
        self._changed_preset()
        if isinstance(self.sigma, tuple | list) and len(self.sigma) != 2:
            raise DenoisingError(
                f"The noise range {self.sigma} does not have two ends.",
                "Give two numbers, the smaller one first, or one number.",
            )
        try:
            low, high = self.sigma_range
        except (TypeError, ValueError) as error:
            raise DenoisingError(
                f"The noise range {self.sigma!r} is no number and no pair of numbers.",
                "Give two numbers, the smaller one first, or one number.",
            ) from error
        if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high):
            raise DenoisingError(
                f"The noise range from {low} to {high} is no range of standard deviations.",
                "Give two finite numbers of at least 0, the smaller one first.",
            )
        check_numbers(self)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise DenoisingError(
                    f'The {name} "{getattr(self, name)}" is not known.',
                    f"Choose {' or '.join(known)}.",
                )

    @classmethod
    def of_kind(cls, kind: str, **options: Any) -> TrainSettings:
        """Return the settings that train a kind of autoencoder.

        Parameters
        ----------
        kind : str
            A name in `KINDS`, such as ``"sparse"``.
        **options
            The kind's own options (see `Kind.options`), such as ``target=0.1``, and any field of
            `TrainSettings`, such as ``steps=500``. For ``dense`` networks the optimizer is
            ``adam`` unless another is given, but for the kind ``linear``. With ``adam`` the kind
            ``linear`` is trained without its weight decay, which adam has none of.

        Raises
        ------
        DenoisingError
            If there is no such kind, or it has no such option.
        """
        from napari_ae_denoise.kinds import settings_of

        return settings_of(kind, **options)

    def _changed_preset(self) -> NetworkSpec:
        """Return the network asked for, as far as it does not follow from the images."""
        spec = PRESETS[self.preset] if isinstance(self.preset, str) else self.preset
        if not self.network_changes:
            return spec
        changes = dict(self.network_changes)
        if changes.get("skips") is False:  # then the image is made, and not only corrected
            changes.setdefault("differences", False)
        known = [f.name for f in fields(NetworkSpec)]
        unknown = [str(name) for name in changes if name not in known]
        if unknown:
            raise DenoisingError(
                f"A network has no such fields: {', '.join(unknown)}.",
                f"Give fields of NetworkSpec: {', '.join(known)}.",
            )
        return replace(spec, **changes)

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise range; one number is a range of no width."""
        if isinstance(self.sigma, tuple | list):
            low, high = self.sigma
            return float(low), float(high)
        return float(self.sigma), float(self.sigma)

    @property
    def patch_sizes(self) -> tuple[int, ...]:
        """The patch sizes, in the order of the training."""
        return self.patch_size if isinstance(self.patch_size, tuple) else (self.patch_size,)

    def steps_in_all(self, steps_per_epoch: int) -> int | None:
        """Return how many steps the training takes; None where minutes decide."""
        if self.minutes is not None:
            return None
        if self.epochs is not None:
            return max(1, round(self.epochs * steps_per_epoch))
        return self.steps or _DEFAULT_STEPS

    @property
    def style(self) -> str:
        """The style of the network asked for; see `NetworkSpec`."""
        return self._changed_preset().style

    def patch_size_at(self, fraction: float) -> int:
        """Return the patch size at a fraction (0 to 1) of the training."""
        sizes = self.patch_sizes
        return sizes[min(int(fraction * len(sizes)), len(sizes) - 1)]

    def normalization_for(self, spec: NetworkSpec) -> Normalization:
        """Return how the grey values for a network are mapped."""
        if self.normalization is not None:
            return self.normalization
        whole = spec.style in ("plain", "dense")
        return Normalization(low=0, high=100) if whole else Normalization()

    def network_spec(self, data: TrainingData) -> NetworkSpec:
        """Return the network that is trained on some data.

        A network of one's own is taken as it is. Presets take three channels for RGB; a
        fully-connected one takes the size of the images, and no more hidden units than it can
        have for that size.

        Raises
        ------
        DenoisingError
            If the images are of several sizes, and the network fully connected.
        """
        spec = self._changed_preset()
        if isinstance(self.preset, NetworkSpec):
            return spec
        if spec.style != "dense":
            return replace(spec, channels=data.channels())
        sizes = data.plane_sizes()
        if len(sizes) > 1:
            told = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:3])
            raise DenoisingError(
                f"A fully-connected network sees images of one size, and these have {len(sizes)}: "
                f"{told}.",
                "Crop or scale them to one size, or use a convolutional network.",
            )
        return self.network_for(sizes.pop(), data.channels())

    def network_for(self, size: tuple[int, int], channels: int) -> NetworkSpec:
        """Return the network for images of a size (Y, X) and so many channels; see `network_spec`.

        It is what a preset's network is made of, whatever the images hold.
        """
        spec = self._changed_preset()
        return spec if isinstance(self.preset, NetworkSpec) else spec.sized(size, channels)
