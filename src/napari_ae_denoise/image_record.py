"""What is known of an image that was read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of an image, as its file describes it.

    Parameters
    ----------
    name : str
        Such as ``"DAPI"``.
    colour : str
        Six hexadecimal digits for red, green and blue, as OME-Zarr writes it; empty where the file
        does not tell.
    window : tuple of float, optional
        (min, max, start, end): the grey values that there are, and those that are shown.
    ome : mapping of str to str
        What an OME-TIFF says beside, such as ``"EmissionWavelength"``, as it is written there.
    """

    name: str
    colour: str = ""
    window: tuple[float, float, float, float] | None = None
    ome: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)


@dataclass(frozen=True, slots=True, eq=False)
class ImageJFacts:
    """What an ImageJ file says of an image beside its pixel size.

    Parameters
    ----------
    axes : str or None
        Of the image that it is said of.
    shape : tuple of int
        Of its array.
    dtype : dtype
        Of its array.
    said : mapping of str to object
        Such as ``"Info"``, ``"Labels"`` and ``"Ranges"``, as tifffile names and writes them.
    palette : array, optional
        (3, 256) uint16: the colours that grey values of 8 bit are shown in.
    of_differences : bool
        Whether the image is now one of differences, whose grey values are others.
    """

    axes: str | None
    shape: tuple[int, ...]
    dtype: Any
    said: Mapping[str, Any]
    palette: Any = None
    of_differences: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class OmeFacts:
    """What an OME-TIFF says of an image and its planes.

    Parameters
    ----------
    axes : str or None
        Of the image that it is said of.
    shape : tuple of int
        Of its array.
    planes : mapping of tuple of int to mapping of str to str
        By place along C, Z and T: where the stage was and when, such as ``"PositionX"``, as it is
        written there.
    image : mapping of str to str
        Of the whole image: ``"Name"``, ``"AcquisitionDate"`` and ``"Description"``.
    """

    axes: str | None
    shape: tuple[int, ...]
    planes: Mapping[tuple[int, ...], Mapping[str, str]]
    image: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An image as it was read from a file.

    Parameters
    ----------
    path : Path
        Where it was read from.
    array : array
        numpy; dask for a zarr folder, so that it need not fit in memory.
    axes : str or None
        One letter per axis; None where the file does not tell.
    spacing : mapping of str to float
        Distance between neighbours along Z, Y and X in ``unit``, and along T in ``time_unit``;
        only what the file tells.
    unit : str
        Of the spacing along Z, Y and X, such as ``"micrometer"``; empty where the file does not
        tell.
    flavour : str
        How the metadata were kept: ``"imagej"``, ``"ome"`` or empty.
    ome_version : str
        Of an OME-Zarr image: ``"0.4"`` or ``"0.5"``; empty for others.
    channels : tuple of Channel
        Along the axis C; empty where the file does not tell.
    colour_profile : bytes
        The ICC profile of a photograph; empty where there is none.
    exif : bytes
        What a camera wrote into a photograph, but for its orientation; empty where there is none.
    time_unit : {"second", ""}
        Of the spacing along T; empty where the file tells a number without a unit.
    origin : mapping of str to float
        Where the centre of the first pixel lies along T, Z, Y and X, in the units of the spacing;
        0 along axes that are not in it.
    white_is_zero : bool
        Whether small grey values are shown bright, as in a TIFF file of photometric MinIsWhite.
    imagej : ImageJFacts, optional
        What an ImageJ file says beside; None for others.
    ome : OmeFacts, optional
        What an OME-TIFF says beside; None for others.
    """

    path: Path
    array: Any
    axes: str | None = None
    spacing: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    unit: str = ""
    flavour: str = ""
    ome_version: str = ""
    channels: tuple[Channel, ...] = ()
    colour_profile: bytes = b""
    exif: bytes = b""
    time_unit: str = SECOND
    origin: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    white_is_zero: bool = False
    imagej: ImageJFacts | None = None
    ome: OmeFacts | None = None

    def with_stride(self, stride: int) -> ImageFile:
        """Return what describes a code, whose pixels are ``stride`` times as far apart.

        Its channels are features, and none of the image's. The centre of a code pixel is that of
        the pixels that it stands for.
        """
        # where no size is known, lengths are in pixels of the image
        spacing = self.spacing if self.unit else {"Y": 1.0, "X": 1.0, **self.spacing}
        sides = {a: stride if a in "YX" else 1 for a in spacing}
        wider = {a: d * sides[a] for a, d in spacing.items()}
        half = {a: d * (sides[a] - 1) / 2 for a, d in spacing.items() if sides[a] > 1}
        shifted = {**self.origin, **{a: self.origin.get(a, 0.0) + d for a, d in half.items()}}
        return replace(
            self,
            spacing=MappingProxyType(wider),
            origin=MappingProxyType(shifted),
            channels=(),
            exif=b"",
            white_is_zero=False,
            imagej=None,
            ome=None,
        )

    def with_differences(self) -> ImageFile:
        """Return what describes differences of grey values, which are shown in limits of theirs."""
        facts = None if self.imagej is None else replace(self.imagej, of_differences=True)
        channels = tuple(replace(channel, window=None) for channel in self.channels)
        return replace(self, channels=channels, imagej=facts)

    def channels_along(self, axes: str) -> tuple[Channel, ...]:
        """Return the channels, if the array has as many along C, and is no photograph."""
        if "C" not in axes or axes.endswith("C"):
            return ()
        return self.channels if len(self.channels) == self.array.shape[axes.index("C")] else ()
