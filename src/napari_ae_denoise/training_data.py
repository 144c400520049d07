"""What the user has to train on; what is given decides how a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from napari_ae_denoise.axes import as_array, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import check_real

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["clean", "pairs", "two noisy", "noisy"]
KIND_IN_WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        "clean": "clean images",
        "pairs": "clean and noisy images",
        "noisy": "noisy images only",
        "two noisy": "pairs of noisy images",
    }
)
Array = Any  # numpy, dask or zarr


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What the user has; what is given decides how the network is trained.

    Parameters
    ----------
    clean : array or sequence of arrays, optional
        Clean images. Alone: synthetic noise is added, afresh in each batch; see
        `TrainSettings.noise`.
    noisy : array or sequence of arrays, optional
        Noisy images. With ``clean``: of the same things, in the same order and shapes. Alone:
        pairs are made of each by itself, see `TrainSettings.scheme`.
    noisy_again : array or sequence of arrays, optional
        With ``noisy``: a second noisy image of each thing, its noise independent of the first
        (Noise2Noise [1]_).
    axes : str, optional
        One letter per axis, such as ``"ZYX"``; by default guessed from each shape.

    Raises
    ------
    DenoisingError
        If what is given makes no way to train, or the images do not fit each other.

    References
    ----------
    .. [1] J. Lehtinen et al., "Noise2Noise: learning image restoration without clean data",
       ICML 2018.
    """

    clean: Array | Sequence[Array] | None = None
    noisy: Array | Sequence[Array] | None = None
    noisy_again: Array | Sequence[Array] | None = None
    axes: str | None = None

    def __post_init__(self) -> None:
        """Refuse combinations and shapes that cannot be trained on."""
        first, second = (as_list(images) for images in self.sides)
        if len(first) != len(second):
            raise DenoisingError(
                f"There are {len(first)} images on one side and {len(second)} on the other.",
                "Give two images of each thing, in the same order.",
            )
        for number, (a, b) in enumerate(zip(first, second, strict=True)):
            for image in (a, b):
                check_real(image)
            if a.shape != b.shape:
                raise DenoisingError(
                    f"The two images of pair {number} differ in shape: {a.shape} and {b.shape}.",
                    "Give images of the same shape, pixel on pixel.",
                )

    @property
    def kind(self) -> Kind:
        """Which of the ways to train this is."""
        match (self.clean is not None, self.noisy is not None, self.noisy_again is not None):
            case (True, False, False):
                return "clean"
            case (True, True, False):
                return "pairs"
            case (False, True, True):
                return "two noisy"
            case (False, True, False):
                return "noisy"
        given = [n for n in ("clean", "noisy", "noisy_again") if getattr(self, n) is not None]
        raise DenoisingError(
            f"From {' and '.join(given) or 'no'} images alone a network cannot be trained.",
            "Give clean images, noisy images, both, or two noisy images of the same thing.",
        )

    @property
    def sides(self) -> tuple[Array | Sequence[Array], Array | Sequence[Array]]:
        """What the network sees (or is made from), and what it should make."""
        match self.kind:
            case "clean":
                return self.clean, self.clean
            case "pairs":
                return self.noisy, self.clean
            case "two noisy":
                return self.noisy, self.noisy_again
            case "noisy":
                return self.noisy, self.noisy

    def plane_sizes(self) -> set[tuple[int, int]]:
        """Return the heights and widths, in pixels, that the images have."""
        images = [image for side in self.sides for image in as_list(side)]
        shapes = [plane_layout(image.shape, self.axes).plane_shape for image in images]
        return {(int(height), int(width)) for height, width in shapes}

    def channels(self) -> int:
        """Return the channels that a new network for this data takes: 3 for RGB, else 1."""
        image = as_list(self.sides[0])[0]
        return plane_layout(image.shape, self.axes).plane_channels


def kind_in_words(kind: str) -> str:
    """Return a kind of data, as cards have it, for people; one that is not known as it is."""
    return KIND_IN_WORDS.get(cast("Kind", kind), kind)


def as_list(images: Array | Sequence[Array]) -> list[Array]:
    """Return the images as a list of arrays; one array is one image."""
    found = list(images) if isinstance(images, list | tuple) else [images]
    if not found:
        raise DenoisingError("There are no images to train on.", "Give at least one.")
    return [as_array(image) for image in found]
