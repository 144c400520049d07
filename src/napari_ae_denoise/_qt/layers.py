"""Layers: what is taken from one at the start of a job, and how results lie over it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise._qt.layer_facts import full_resolution, layer_axes, level_of, look_of
from napari_ae_denoise.axes import check_axes, is_rgb
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.units import tells_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer
    from napari.viewer import ViewerModel

_CODE_LABEL = "code"
HELPER = "napari_ae_denoise helper"  # in the metadata of layers that only help to look


class NoLayer(DenoisingError):
    """There is nothing to work on yet: no fault of anybody's."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A snapshot of an image layer; the layer may be renamed, moved or removed afterwards.

    Parameters
    ----------
    name : str
        Of the layer.
    image : array
        numpy, dask or zarr; of a multiscale layer one level.
    axes : str
        One letter per axis of ``image``.
    rgb : bool
        Whether the layer shows its last axis as colours.
    transforms : dict
        scale, translate, rotate, shear, affine, units and axis_labels, as napari takes them.
    linear : ndarray
        (ndim, ndim): how a step in pixels moves a point, before ``affine``.
    look : dict
        How it is shown, as napari takes it; see `look_of`.
    labels : array, optional
        One for each image of a stack, where the layer's metadata holds ``"labels"``.
    path : str
        Of the file that the layer was read from; empty if there is none.
    level : int
        Which level of a multiscale layer it is; 0 for the finest, and for other layers.
    step : ndarray, optional
        By how much the level is coarser than the finest, along each axis of the layer.
    layer : weak reference to a Layer, optional
        Which it was taken of.
    """

    name: str
    image: Any
    axes: str
    rgb: bool
    transforms: dict[str, Any]
    linear: npt.NDArray[np.float64]
    look: dict[str, Any]
    labels: Any = None
    path: str = ""
    level: int = 0
    step: Any = 1.0
    layer: weakref.ref[Any] | None = None

    @property
    def calibrated(self) -> bool:
        """Whether its pixels have a size in a unit of length."""
        return tells_size(str(self.transforms["units"][-1]))

    def denoised_layer(self, data: Any, name: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return what `Image` takes for a result of the same shape, shown as the image is."""
        return {**self._placed(data, name, metadata), **self.look}

    def _placed(self, data: Any, name: str, metadata: dict[str, Any]) -> dict[str, Any]:
        return {
            "data": data,
            "name": name,
            "rgb": self.rgb,
            "metadata": metadata,
            **self.transforms,
        }

    def noise_layer(
        self, data: Any, name: str, metadata: dict[str, Any], bound: float | None = None
    ) -> dict[str, Any]:
        """Return what `Image` takes for the removed noise: zero is grey, or a colour's middle.

        ``data`` is an array, or a list of levels; ``bound`` the largest noise that is shown.
        """
        levels = data if isinstance(data, list) else [data]
        bound = _spread(levels[0]) if bound is None else bound
        made = self._placed(data, name, metadata)
        if self.rgb and is_rgb(self.axes, self.image.shape):  # napari shows colours from 0 to 1
            from napari_ae_denoise.provenance import COLOURED, KEY  # with torch
            from napari_ae_denoise.removed_noise import as_colours

            shown = [as_colours(one, bound) for one in levels]
            data = shown if isinstance(data, list) else shown[0]
            told = {**metadata, KEY: {**metadata.get(KEY, {}), COLOURED: bound}}
            return {**made, "data": data, "metadata": told, "contrast_limits": (0.0, 1.0)}
        return {**made, "contrast_limits": (-bound, bound), "colormap": "gray"}

    def latent_layer(
        self,
        code: Any,
        stride: int,
        name: str,
        metadata: dict[str, Any],
        limits: tuple[float, float] | None = None,
    ) -> dict[str, Any]:
        """Return what `Image` takes for a code: it lies exactly over the image.

        Parameters
        ----------
        code : ndarray
            (code channels, stack axes..., Y/stride, X/stride), stack axes in the image's order.
            Channels that the network saw together are one in it. The colours of a photograph
            that it saw one by one become blocks of code channels. Or a list of levels of it.
        stride : int
            Input pixels per code pixel along Y and X.
        name, metadata
            Of the layer.
        limits : tuple of float, optional
            Contrast limits; by default from all of the code.

        Notes
        -----
        A code pixel covers ``stride`` pixels. Its centre lies ``(stride - 1) / 2`` pixels from
        the centre of the first of them.
        """
        given = code if isinstance(code, list) else [code]
        levels, kept = zip(*(self._along_layer(one) for one in given), strict=True)
        shown = [a for a in self.axes if not (self.rgb and a == "C")]  # axes the layer has
        of_layer = [shown.index(a) for a in kept[0]]
        step = np.array([stride if a in "YX" else 1 for a in kept[0]], float)
        return {
            "data": list(levels) if isinstance(code, list) else levels[0],
            "name": name,
            "rgb": False,
            "metadata": metadata,
            "contrast_limits": code_limits(levels[0]) if limits is None else limits,
            **self._coarser(of_layer, step),
        }

    def _along_layer(self, code: Any) -> tuple[Any, list[str]]:
        """Return a code with the axes that its layer has, and which of the image's these are."""
        shown = [a for a in self.axes if not (self.rgb and a == "C")]
        stack = [a for a in shown if a not in "YX"]
        if code.ndim - 3 > len(stack):
            apart = [a for a in self.axes if a not in "YX"].index("C")
            code = np.moveaxis(code, 1 + apart, 0)  # (C, code channels, ...)
            code = code.reshape(-1, *code.shape[2:])
        if code.ndim - 3 < len(stack):  # channels that went in together are one in the code
            stack = [a for a in stack if a != "C"]
        kept = [a for a in shown if a in stack or a in "YX"]
        places = [1 + kept.index(a) for a in [*stack, "Y", "X"]]
        return np.moveaxis(code, range(1, code.ndim), places), kept

    def _coarser(self, kept: Sequence[int], step: npt.NDArray[np.float64]) -> dict[str, Any]:
        """Return the transforms of a code: some axes of the layer, after a new first one."""
        t = self.transforms
        pick = np.ix_(kept, kept)
        full = np.zeros(self.linear.shape[0])
        full[list(kept)] = (step - 1) / 2
        translate = (t["translate"] + self.linear @ full)[list(kept)]
        size = len(kept) + 1
        rotate, shear, affine = np.eye(size), np.eye(size), np.eye(size + 1)
        rotate[1:, 1:] = t["rotate"][pick]
        affine[1:-1, 1:-1] = t["affine"][:-1, :-1][pick]
        affine[1:-1, -1] = t["affine"][:-1, -1][list(kept)]
        shear[1:, 1:] = t["shear"][pick]
        return {
            "scale": np.array([1.0, *(t["scale"][list(kept)] * step)]),
            "translate": np.array([0.0, *translate]),
            "rotate": rotate,
            "shear": shear,
            "affine": affine,
            "units": ("pixel", *(t["units"][k] for k in kept)),
            "axis_labels": (_CODE_LABEL, *(t["axis_labels"][k] for k in kept)),
        }


def take(layer: Layer | None, axes: str | None = None, level: int = 0) -> Source:
    """Take a snapshot of an image layer.

    Parameters
    ----------
    layer : Layer
        The layer.
    axes : str, optional
        What the user says its axes are; by default `layer_axes`.
    level : int
        Of a multiscale layer.

    Raises
    ------
    NoLayer
        If there is no layer.
    DenoisingError
        If it is no image, or the axes do not fit it.
    """
    if layer is None:
        raise NoLayer(
            "There is no image layer.", "Open an image, or File > Open Sample > AE Denoise."
        )
    kind = layer.__class__.__name__  # not type(): plugins may get layers behind a proxy
    if kind != "Image":
        raise DenoisingError(
            f'"{layer.name}" is a {kind} layer, which holds no grey values.',
            "Choose an image layer.",
        )
    data = level_of(layer, level)
    letters = (axes or "").strip() or layer_axes(layer)
    if not letters:
        raise DenoisingError(
            f'The {data.ndim} axes of "{layer.name}" (shape {tuple(data.shape)}) have no names.',
            "Name them in the field Axes, one letter each, such as NTZCYX.",
        )
    letters = check_axes(letters, data.shape)
    if layer.rgb and not letters.endswith("C"):
        raise DenoisingError(
            f'The axes "{letters}" do not end in C, but "{layer.name}" shows its last axis as '
            "colours.",
            f'Name the last axis C, as in "{layer_axes(layer)}".',
        )
    scale, rotate = np.array(layer.scale), np.array(layer.rotate)
    shear = _shear_matrix(layer.shear, layer.ndim)
    linear = rotate @ shear @ np.diag(scale)
    # a pixel of a coarser level covers some of the finest, and lies in their middle
    step = np.divide(full_resolution(layer).shape, data.shape)[: layer.ndim]
    translate = np.array(layer.translate) + linear @ ((step - 1) / 2)
    return Source(
        name=layer.name,
        image=data,
        axes=letters,
        rgb=bool(layer.rgb),
        transforms={
            "scale": scale * step,
            "translate": translate,
            "rotate": rotate,
            "shear": shear,
            "affine": np.array(layer.affine.affine_matrix),
            "units": tuple(str(u) for u in layer.units),
            "axis_labels": tuple(layer.axis_labels),
        },
        linear=linear @ np.diag(step),
        look=look_of(layer),
        labels=layer.metadata.get("labels"),
        path=str(layer.source.path or ""),
        level=level if layer.multiscale else 0,
        step=step,
        layer=weakref.ref(unwrapped(layer)),
    )


def _shear_matrix(shear: Any, ndim: int) -> npt.NDArray[np.float64]:
    """Return a shear as a matrix; napari also keeps it as the values above the diagonal."""
    values = np.asarray(shear, float)
    if values.ndim == 2:
        return values
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, 1)] = values
    return matrix


def unwrapped(viewer: Any) -> Any:
    """Return a viewer or layer itself, where napari gave a proxy: each call gives another one."""
    return getattr(viewer, "__wrapped__", viewer)


def add_image(viewer: ViewerModel, **kwargs: Any) -> Image:
    """Add an image layer under a name that is not taken yet; main thread only."""
    from napari.layers import Image

    return viewer.add_layer(Image(**kwargs))


def code_limits(code: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return contrast limits for a code: nearly all of its finite values."""
    low, high = np.nanpercentile(code, [0.5, 99.5]) if np.isfinite(code).any() else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0


def _spread(noise: Any) -> float:
    """Return a symmetric contrast limit for noise: four standard deviations of a sample of it."""
    step = tuple(slice(None, None, max(1, n // 256)) for n in noise.shape)
    sample = np.asarray(noise[step], np.float64)
    finite = sample[np.isfinite(sample)]
    return max(4 * float(finite.std()), 1e-12) if finite.size else 1.0
