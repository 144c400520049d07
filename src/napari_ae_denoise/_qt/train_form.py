"""The fields of the panel *Train autoencoder*, and what their choices mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Label, LineEdit
from qtpy.QtWidgets import QSizePolicy

from napari_ae_denoise._qt.forms import (
    device_field,
    field,
    on_change,
    read_unit,
    row,
    suggest_noise,
    unit_field,
)
from napari_ae_denoise._qt.kind_fields import KindFields
from napari_ae_denoise._qt.length_fields import LengthFields
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.objectives import RECONSTRUCTION
from napari_ae_denoise.settings import CHOICES, TrainSettings
from napari_ae_denoise.training_data import KIND_IN_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST = 1e9  # grey values
_DEFAULTS = TrainSettings()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of training data: the names of its images for `TrainingData`, and for people."""

    sides: tuple[str, ...]
    labels: tuple[str, str]


_NOISES = (
    ("automatic", "auto"),
    ("Gaussian", "gaussian"),
    ("camera (Poisson-Gaussian)", "camera"),
    ("photograph (mixed colours, JPEG)", "photograph"),
)
CLEAN, NOISY = KIND_IN_WORDS["clean"], KIND_IN_WORDS["noisy"]
KINDS = {
    CLEAN: Kind(("clean",), ("Clean image", "")),
    KIND_IN_WORDS["pairs"]: Kind(("clean", "noisy"), ("Clean image", "Noisy image")),
    NOISY: Kind(("noisy",), ("Noisy image", "")),
    KIND_IN_WORDS["two noisy"]: Kind(
        ("noisy", "noisy_again"), ("Noisy image", "Second noisy image")
    ),
}


class TrainFields:
    """The fields, one attribute each; `settings` reads them."""

    def __init__(self) -> None:
        self.kind = field(
            "kind",
            CLEAN,
            "What you have",
            "Clean images: noise is added to them. Clean and noisy images of the same things. "
            "Noisy images only: pairs are made of each by itself. Or pairs of noisy images of the "
            "same things, whose noise is independent.",
            choices=list(KINDS),
        )
        self.axes = LineEdit(name="axes", label="Axes")
        self.preset = field(
            "preset",
            "residual",
            "Network",
            "residual: predicts the noise, works at noise levels it has not seen; the better "
            "choice for images. residual-large: the same, for many images and hours of training. "
            "classic: the tutorial's small autoencoder; its image is made from the code alone. "
            "dense: fully connected, for small images of one size.",
            choices=list(PRESETS),
        )
        self.family = KindFields(self.preset)
        unit = "standard deviation, in the unit below"
        self.sigma_low = field(
            "sigma_low", 0.0, "from", f"Weakest noise to train for: {unit}.", min=0, max=_LARGEST
        )
        self.sigma_high = field(
            "sigma_high", 50.0, "to", f"Strongest noise to train for: {unit}.", min=0, max=_LARGEST
        )
        self.unit = unit_field(
            "Whether sigma is in grey values, or in percent of each image's largest minus "
            "smallest grey value."
        )
        self.noise = field(
            "noise",
            "auto",
            "Kind of noise",
            "That is added to clean images. automatic: that of the model it starts from, else "
            "Gaussian. camera: Poisson-Gaussian, of random gain and read noise. photograph: "
            "Gaussian, as cameras and JPEG leave it in colours.",
            choices=list(_NOISES),
        )
        self.lengths = LengthFields()
        self.length, self.length_unit = self.lengths.length, self.lengths.unit
        self.batch_size = field(
            "batch_size", _DEFAULTS.batch_size, "Patches a step", "How many.", min=1, max=4096
        )
        self.patch_size = field(
            "patch_size",
            max(_DEFAULTS.patch_sizes),
            "Patch size",
            "Side of the square patches, in pixels. Larger ones show more context and need more "
            "memory.",
            min=8,
            max=2048,
        )
        self.learning_rate = field(
            "learning_rate",
            0.0,
            "Learning rate",
            "Its highest value; it rises at the start and falls to the end. Lower it "
            "if the loss jumps. Automatic (0) goes by the network and the optimizer.",
            min=0.0,
            max=1.0,
            step=1e-4,
            automatic="automatic",
        )
        self.loss = field(
            "loss",
            _DEFAULTS.objective.reconstruction,
            "Loss",
            "mse: mean squared error, best PSNR. l1: mean absolute error, less led by outliers.",
            choices=list(RECONSTRUCTION),
        )
        self.scheme = field(
            "scheme",
            _DEFAULTS.scheme,
            "Noisy only",
            "How to learn from noisy images alone. recorrupted: for Gaussian and camera noise, "
            "whose level is estimated; the better one there. blind-spot: for any noise that is "
            "independent from pixel to pixel. auto: recorrupted, unless no noise is found or it is "
            "that of few photons.",
            choices=list(CHOICES["scheme"]),
        )
        self.optimizer = field(
            "optimizer",
            "auto",
            "Optimizer",
            "automatic: muon, which learns convolutions in about half the steps of adam; for the "
            "network dense adam, since wide layers cost muon seconds a step.",
            choices=[("automatic", "auto"), *((name, name) for name in CHOICES["optimizer"])],
        )
        self.seed = field(
            "seed",
            0,
            "Seed",
            "The same seed, images and steps give the same weights on the CPU.",
            min=0,
            max=2**31 - 1,
        )
        self.device = device_field()
        to = Label(value="to")
        to.native.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.noise_rows = (row("Noise sigma", self.sigma_low, to, self.sigma_high), self.unit)
        self.advanced = (
            *self.family.options,
            self.noise,
            self.batch_size,
            self.patch_size,
            self.learning_rate,
            self.loss,
            self.scheme,
            self.optimizer,
            self.seed,
            self.device,
        )

    @property
    def remembered(self) -> tuple[Any, ...]:
        """The fields that begin as they were at the last start; the kind comes before its parts."""
        noise = (self.sigma_low, self.sigma_high, self.unit)
        kind = (self.kind, self.family.kind, self.preset)
        return (*kind, *noise, self.length_unit, self.length, *self.advanced[:-1])

    def changed(self, react: Callable[[], None]) -> None:
        """Call a function whenever the settings may have changed."""
        lengths = (self.lengths.length, self.lengths.unit)
        described = (self.kind, self.axes, self.preset, self.family.kind)
        on_change([*described, *self.advanced, *lengths], react)

    def suggest_unit(self, dtype: Any) -> None:
        """Take the usual noise range of a dtype, if nobody has changed that of the other kind."""
        fields = self.unit, self.sigma_low, self.sigma_high
        suggest_noise(dtype, *fields, grey=(0.0, 50.0), percent=(0.0, 20.0))

    @property
    def adds_noise(self) -> bool:
        """Whether noise is added to the images, so that there is something to say of it."""
        return self.kind.value == CLEAN and not self.family.noiseless

    @property
    def from_noisy_only(self) -> bool:
        """Whether there are nothing but noisy images."""
        return self.kind.value == NOISY

    @property
    def name(self) -> str:
        """What sets the model apart: its kind, or for the usual kind its network."""
        kind = self.family.kind.value
        return self.preset.value if kind == "denoising" else kind

    def settings(self, name: str) -> TrainSettings:
        """Return what the fields say, for a model of this name."""
        relative, unit = read_unit(self.unit)
        noise: dict[str, Any] = {}
        if not self.family.noiseless:
            noise["sigma"] = (self.sigma_low.value * unit, self.sigma_high.value * unit)
        if self.adds_noise:
            noise["noise"] = self.noise.value
        optimizer = self.optimizer.value
        return TrainSettings.of_kind(
            **self.family.read(),
            **noise,
            preset=self.preset.value,
            loss=self.loss.value,
            relative=relative,
            **self.lengths.read(),
            batch_size=self.batch_size.value,
            patch_size=self.patch_size.value,
            learning_rate=self.learning_rate.value or None,
            scheme=self.scheme.value,
            **({} if optimizer == "auto" else {"optimizer": optimizer}),
            seed=self.seed.value,
            device=self.device.value,
            name=name,
        )
