"""What the commands print: models, systems and comparisons, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise import __version__
from napari_ae_denoise._cli.terminal import decibels, say
from napari_ae_denoise.axes import in_order
from napari_ae_denoise.bundled import bundled_models
from napari_ae_denoise.card import versions_now
from napari_ae_denoise.devices import available_devices
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.metrics import data_range_of, psnr, ssim
from napari_ae_denoise.training_data import kind_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser

_UNITS = {"psnr": " dB", "ssim": ""}
# Settings of a training that the rest of the card tells already.
_SHOWN = (
    "name",
    "kind",
    "network_changes",
    "objective",
    "sigma",
    "relative",
    "normalization",
    "validation",
)


def training_report(denoiser: Denoiser, path: Path) -> list[str]:
    """Return what to know of a model that has just been trained and saved."""
    card, done = denoiser.card, denoiser.card.training
    metrics = card.metrics
    gained = decibels(metrics.get("validation_psnr", float("nan")))
    others = [f"noisy: {decibels(metrics.get('noisy_psnr', float('nan')))}"]
    if "start_psnr" in metrics:
        others.append(f"{done['started_from']}: {decibels(metrics['start_psnr'])}")
    lines = [
        ("model", f"{path} ({path.stat().st_size / 1e6:.1f} MB)"),
        *_network(denoiser),
        ("trained", f"{done.get('steps_done')} steps in {done.get('seconds')} s"),
        ("note", str(done.get("note", ""))),
        ("validation PSNR", f"{gained} ({', '.join(others)})"),
    ]
    return _table(lines)


def model_report(denoiser: Denoiser) -> list[str]:
    """Return a model's card, readable."""
    card = denoiser.card
    unit = "of the data range" if card.sigma_relative else "grey values"
    sigma = "" if card.sigma is None else f"{card.sigma[0]:g} to {card.sigma[1]:g} {unit}"
    norm = card.normalization
    how = (
        f"percentiles {norm.low:g} and {norm.high:g} of each image become 0 and 1"
        if norm.kind == "percentile"
        else f"(grey value - {norm.offset:g}) / {norm.scale:g}"
    )
    lines = [
        ("name", card.name),
        ("description", card.description),
        *_network(denoiser),
        ("trained on", kind_in_words(card.data_kind)),
        ("axes", card.axes),
        ("noise (sigma)", sigma),
        ("kind", str(card.training.get("kind", ""))),
        ("loss", " + ".join([card.objective, *map(str, card.penalties)])),
        ("normalization", how),
        *((_words(name), _measured(name, value)) for name, value in card.metrics.items()),
        *((_words(n), str(v)) for n, v in card.training.items() if n not in _SHOWN and v != ""),
        ("made with", ", ".join(f"{name} {version}" for name, version in card.versions.items())),
        ("created", card.created),
        ("licence", card.licence),
        ("format", str(card.format)),
    ]
    return _table(lines)


def _network(denoiser: Denoiser) -> list[tuple[str, str]]:
    from napari_ae_denoise.interop.zoo import ZooDenoiser

    network, spec = denoiser.network, denoiser.card.network
    if isinstance(denoiser, ZooDenoiser):
        return [
            ("network", "of another family, in a bioimage.io package; run by ONNX Runtime"),
            ("channels", str(spec.channels)),
            ("latent code", "none that is known"),
            ("context", f"{network.halo} pixels on each side of a tile"),
        ]
    skips = "with skip connections" if spec.skips else "without skip connections"
    code = f"{spec.code_width} channels at 1/{network.stride} of the resolution"
    if spec.image_size is not None:
        code = (
            f"{spec.code_width} units for an image of {spec.image_size[0]} x {spec.image_size[1]}"
        )
    how = "mean and variance" if spec.variational else spec.code_activation
    return [
        ("network", f"{spec.style}, widths {', '.join(map(str, spec.widths)) or 'none'}, {skips}"),
        ("channels", str(spec.channels)),
        ("parameters", f"{network.parameter_count:,}"),
        ("latent code", f"{code}, {how}" if how else code),
        ("code ratio", network.code_in_words),
        ("context", f"{network.halo} pixels on each side of a tile"),
    ]


def system_report() -> list[str]:
    """Return versions, devices and bundled models."""
    versions = {**versions_now(), "napari-ae-denoise": __version__}
    models = bundled_models()
    lines = list(versions.items())
    lines += [("device", str(device)) for device in available_devices()]
    lines += [
        ("model", f"{name}: {card.description or card.name}") for name, card in models.items()
    ]
    return _table(lines if models else [*lines, ("model", "none is bundled")])


def _words(name: str) -> str:
    return name.replace("_", " ").replace("psnr", "PSNR").replace("ssim", "SSIM")


def _measured(name: str, value: float) -> str:
    unit = next((unit for part, unit in _UNITS.items() if part in name), "")
    return f"{value:.4g}{unit}"


def _table(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines of two columns, without those that say nothing."""
    told = [(name, " ".join(value.split())) for name, value in lines if value]
    width = max(len(name) for name, _ in told)
    return [f"{name:<{width}}  {value}" for name, value in told]


class ComparisonTable:
    """PSNR and SSIM of images against a reference, row by row.

    Parameters
    ----------
    reference : Path
        The clean image.
    paths : sequence of Path
        The images, for the width of the first column.
    axes : str or None
        Of all images; by default as the reference's file says.
    data_range : float or None
        In grey values; by default that of the reference.
    """

    def __init__(
        self,
        reference: Path,
        paths: Sequence[Path],
        axes: str | None,
        data_range: float | None,
    ) -> None:
        image = read_image(reference)
        self._reference, self._axes = image.array, axes or image.axes
        self._told = None if axes else image.axes  # by the file
        if data_range is None:
            data_range = data_range_of(image.array, self._axes)
        self._range = data_range
        self._width = max(len("image"), *(len(str(path)) for path in paths))

    def head(self) -> str:
        """Return the first lines."""
        return (
            f"data range {self._range:g}\n{'image':<{self._width}}  {'PSNR (dB)':>9}  {'SSIM':>7}"
        )

    def row(self, path: Path) -> str:
        """Return the line of an image."""
        image = read_image(path)
        array = in_order(image.array, image.axes, self._told)
        how = {"data_range": self._range, "axes": self._axes}
        level = psnr(self._reference, array, **how)  # type: ignore[arg-type]
        try:
            likeness = f"{ssim(self._reference, array, **how):.4f}"  # type: ignore[arg-type]
        except DenoisingError as error:  # planes are smaller than its window: PSNR is known
            say(f"{path}: {error.cause}")
            likeness = "none"
        return f"{path!s:<{self._width}}  {level:>9.2f}  {likeness:>7}"
