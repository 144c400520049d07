"""The fields of the *Denoise* panel."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox

from napari_ae_denoise._qt.forms import device_field, field
from napari_ae_denoise._qt.listening import listen_to_chosen
from napari_ae_denoise._qt.preferences import prefer
from napari_ae_denoise.tile_runner import PredictSettings

_NOISE_MODELS = [
    ("automatic", "auto"),
    ("Gaussian", "gaussian"),
    ("camera (Poisson-Gaussian)", "camera"),
]
_CORRELATED = [
    ("automatic", "auto"),
    ("none", "none"),
    ("along X (lines)", "x"),
    ("along Y", "y"),
    ("along X and Y", "xy"),
]

ON_RESULTS = (
    "It acts at once on the result that is selected, or was made last, and on those to come; the "
    "removed noise stays that of 100 %. Results on disk keep the strength that they began with."
)


class PredictFields:
    """How a model is run: the fields that the panels *Denoise* and *Batch* share.

    Parameters
    ----------
    on_strength : str
        What else the tooltip of the strength says.
    """

    def __init__(self, on_strength: str = "") -> None:
        self.strength = strength_field(on_strength)
        self.noise_model, self.correlated = noise_model_field(), correlated_field()
        self.device, self.tile = device_field(), tile_field()
        self.orientations = orientations_field()
        self.ways = (self.noise_model, self.correlated, self.orientations)

    def settings(self, **further: Any) -> PredictSettings:
        """Return what they say; ``further`` are settings that they do not know."""
        return PredictSettings(
            tile=self.tile.value or "auto",
            device=self.device.value,
            strength=self.strength.value / 100,
            noise_model=self.noise_model.value,
            correlated=self.correlated.value,
            orientations=self.orientations.value,
            **further,
        )


def output_fields() -> tuple[Any, Any, Any]:
    """Return what to make: the denoised image, the latent code, the removed noise."""
    return (
        field("denoised", True, "Denoised image", "Add the denoised image."),
        field(
            "latent",
            False,
            "Latent code",
            "Add what the encoder makes of the image: a stack of channels at a coarser grid, "
            "which lies exactly over the image.",
        ),
        field(
            "noise",
            False,
            "Removed noise",
            "Add image minus denoised, in grey values: look for structure in it. Of a photograph "
            "it is shown as colours, grey being none; it is saved in grey values.",
        ),
    )


def strength_field(further: str = "") -> Any:
    """Return how much of the denoising to apply, in percent; ``further`` is for the tooltip."""
    return field(
        "strength",
        100.0,
        "Strength (%)",
        f"100 %: all of the denoising. 0 %: the image itself. {further}".strip(),
        min=0.0,
        max=100.0,
        widget_type="FloatSlider",
    )


def level_field(layer_field: Any) -> ComboBox:
    """Return which level of a multiscale layer is denoised; it follows the layer."""

    def levels(_widget: Any) -> list[tuple[str, int]]:
        layer = layer_field.value
        data = layer.data if layer is not None and layer.multiscale else ()
        names = [" x ".join(map(str, level.shape)) for level in data] or ["the image itself"]
        return [(name, number) for number, name in enumerate(names)]

    made = ComboBox(
        name="level",
        label="Level",
        tooltip="Of an image with several resolutions: the one to denoise, in pixels. The finest "
        "is first.",
        choices=levels,
        nullable=False,
    )

    following = _FollowsLevels(made)

    def choose(*_: Any) -> None:  # a function, which keeps what it calls alive
        following.look_again()
        made.value = 0

    layer_field.changed.connect(choose)
    choose()
    listen_to_chosen(layer_field, ("data",), following, "look_again")
    return made


class _FollowsLevels:
    """What offers the levels of a layer anew; the chosen one stays where there is such a one."""

    def __init__(self, level: ComboBox) -> None:
        self._level = level

    def look_again(self) -> None:
        """Offer the levels that there are now."""
        level, before = self._level, self._level.value
        level.reset_choices()
        level.value = before if before in level.choices else 0
        level.enabled = len(level.choices) > 1


def noise_model_field() -> ComboBox:
    """Return which noise is assumed of the image."""
    return ComboBox(
        name="noise_model",
        label="Noise model",
        tooltip="Gaussian: the same everywhere. Camera: it grows with the light; it is "
        "estimated from the image, levelled before the model, and that is undone. Automatic: "
        "camera, if the image shows it and the model was trained with synthetic noise.",
        choices=_NOISE_MODELS,
    )


def correlated_field() -> ComboBox:
    """Return along which axes neighbouring pixels share their noise."""
    return ComboBox(
        name="correlated",
        label="Correlated noise",
        tooltip="Noise that is alike in neighbouring pixels, as after binning, scaling or "
        "registration, or along the lines of a scan: every second pixel is denoised apart, then "
        "the whole. It takes about three times as long. Automatic: where it is plain to see.",
        choices=_CORRELATED,
    )


def orientations_field() -> ComboBox:
    """Return in how many orientations an image is denoised."""
    return ComboBox(
        name="orientations",
        label="Orientations",
        tooltip="Eight: the image is denoised turned and mirrored as well, and the results are "
        "averaged. A little better (about 0.1 dB), and it takes eight times as long.",
        choices=[("one", 1), ("eight, averaged", 8)],
    )


def tile_field() -> Any:
    """Return the side of the tiles."""
    made = field(
        "tile",
        0,
        "Tile (pixels)",
        "Side of the tiles, in pixels. 0 chooses it by the free memory. The result is the same.",
        min=0,
        max=16384,
    )
    prefer(made, "denoise", "tile")
    return made
