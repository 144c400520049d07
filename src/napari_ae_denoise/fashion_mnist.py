"""Fashion-MNIST: where its files lie, how they are had, and the noise of the classic tutorial."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER_VARIABLE = "NAPARI_AE_DENOISE_FASHION_MNIST"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"
)  # fmt: skip
TUTORIAL_SIGMA = 0.5  # of the range from 0 to 1

_SOURCE = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
# Of the files at the source. Debian packs the same bytes anew, so that its files differ in them.
_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
_PREFIX = {"train": "train", "test": "t10k"}
_HOW_TO_GET = (
    "Install Debian's package dataset-fashion-mnist, or download its four .gz files from "
    f"github.com/zalandoresearch/fashion-mnist and set {FOLDER_VARIABLE} to their folder."
)


def find_fashion_mnist() -> Path | None:
    """Return the folder on this computer that holds the four files; None where there is none.

    Looks at the environment variable ``NAPARI_AE_DENOISE_FASHION_MNIST``, where Debian's package
    ``dataset-fashion-mnist`` puts them, and where `fetch_fashion_mnist` does. Quick: no file is
    opened.
    """
    asked = os.environ.get(FOLDER_VARIABLE)
    folders = [Path(asked)] if asked else []
    for folder in (*folders, DEBIAN_FOLDER, _cache()):
        if all((folder / name).is_file() for name in _SHA256):
            return folder
    return None


def fetch_fashion_mnist(on_file: Callable[[str], None] | None = None) -> Path:
    """Return the folder of the four files; download them (31 MB, once) if they are not here.

    Never call it in the thread of a window: it waits for the network.

    Parameters
    ----------
    on_file : callable, optional
        Called with the name of each file before it is fetched.

    Raises
    ------
    DenoisingError
        If the files can neither be found nor downloaded, or have been tampered with.
    """
    found = find_fashion_mnist()
    if found is not None:
        return found
    import pooch

    folder = _cache()
    pooch.get_logger().setLevel("WARNING")
    for name, checksum in _SHA256.items():
        if on_file is not None:
            on_file(name)
        try:
            pooch.retrieve(_SOURCE + name, f"sha256:{checksum}", fname=name, path=folder)
        except ValueError as error:  # how pooch says that a checksum is another one
            raise DenoisingError(
                f"{name} came from {_SOURCE} with another checksum than expected, and was dropped.",
                _HOW_TO_GET,
            ) from error
        except OSError as error:  # no network, no such file, no space
            raise DenoisingError(
                f"{name} could not be downloaded from {_SOURCE}: {type(error).__name__}.",
                _HOW_TO_GET,
            ) from error
    return folder


def load_fashion_mnist(
    split: Literal["train", "test"] = "train",
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return images and labels of Fashion-MNIST from this computer.

    Parameters
    ----------
    split : {"train", "test"}
        60,000 or 10,000 images.

    Returns
    -------
    images : ndarray
        (N, 28, 28) uint8.
    labels : ndarray
        (N,) uint8, 0 to 9.

    Raises
    ------
    DenoisingError
        If the files are not here (see `fetch_fashion_mnist`) or are damaged.
    """
    if split not in _PREFIX:
        raise DenoisingError(f'Fashion-MNIST has no part "{split}".', 'Choose "train" or "test".')
    folder = find_fashion_mnist()
    if folder is None:
        raise DenoisingError("The files of Fashion-MNIST are not on this computer.", _HOW_TO_GET)
    prefix = _PREFIX[split]
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DenoisingError(
            f"The files in {folder} do not fit each other: images {images.shape}, labels "
            f"{labels.shape}.",
            "Copy them again from their source.",
        )
    return images, labels


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read a gzipped IDX file of bytes: 0, 0, 8, number of axes, their lengths, the values.

    Raises
    ------
    DenoisingError
        If it is damaged.
    """
    try:
        blob = gzip.decompress(path.read_bytes())
        axes = blob[3] if blob[:3] == b"\x00\x00\x08" else 0
        shape = np.frombuffer(blob, ">u4", axes, 4)
        return np.frombuffer(blob, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise DenoisingError(
            f"{path} cannot be read as a gzipped IDX file: {error}.",
            "Copy it again from its source.",
        ) from error


def add_tutorial_noise(images: npt.NDArray[np.uint8], *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return images with the noise of the classic tutorial, (N, 28, 28) float32 from 0 to 1.

    Gaussian noise with a standard deviation of half the range, then clipped to the range.
    """
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype=np.float32)
    noise *= TUTORIAL_SIGMA
    noise += images.astype(np.float32) / 255
    return np.clip(noise, 0, 1, out=noise)


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("napari-ae-denoise")) / "fashion-mnist"
