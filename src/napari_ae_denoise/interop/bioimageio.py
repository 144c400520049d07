"""Packages of bioimage.io: a denoiser with all that its model zoo and its programs want to know.

The package is described and checked by the zoo's own library, `bioimageio.spec`. What is in it:

- the network as ONNX, which needs nothing of ours, and as PyTorch weights with a file that builds
  the network with this package;
- the model file of this package, by which `Denoiser.load` opens the package again;
- a noisy image and its denoised one, as test and as cover; documentation.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from napari_ae_denoise import __version__
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.grey_values import whole_image
from napari_ae_denoise.interop.onnx import OPSET, onnx_graph
from napari_ae_denoise.interop.package_texts import cover, may_be_cut, readme, zoo_name
from napari_ae_denoise.interop.packages import ATTACHMENT
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from napari_ae_denoise.denoiser import Denoiser

_SIDE = 256  # pixels of the test image, at most
_SIGMA = 25.0  # of its noise, in grey values of 255
_UNITS = Normalization("fixed")  # maps grey values to themselves
_ARCHITECTURE = '''"""The network of this package; needs the Python package napari-ae-denoise."""

from napari_ae_denoise.interop.grey_values import from_records as network

__all__ = ["network"]
'''
_ENVIRONMENT = f"""name: napari-ae-denoise
channels: [conda-forge, nodefaults]
dependencies:
  - python>=3.11
  - pytorch>=2.6
  - pip
  - pip:
      - napari-ae-denoise>={__version__.split("+")[0]}
"""


def save_package(
    denoiser: Denoiser,
    path: Path,
    *,
    sample: npt.NDArray[Any] | None = None,
    authors: Sequence[str] = (),
    licence: str = "",
) -> Path:
    """Write a denoiser as a package of bioimage.io, format 0.5.

    Parameters
    ----------
    denoiser : Denoiser
        Any.
    path : Path
        ``.zip``.
    sample : ndarray, optional
        A noisy image, (Y, X) or (Y, X, channels), for test and cover; its middle is taken. By
        default a photograph with noise of sigma 25, or a micrograph for a model of camera noise.
    authors : sequence of str
        Names of people.
    licence : str, optional
        SPDX identifier, such as ``"CC-BY-4.0"``; by default that of the card.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    DenoisingError
        If the library for it is missing, the sample does not fit, the zoo's library refuses the
        description, or the file cannot be written.

    Notes
    -----
    A model that maps the percentiles of each image does so inside its network, and back: the zoo's
    preprocessing can map to percentiles, but none of its postprocessing maps back. So input and
    output are grey values, and the axes Y and X are not said to be ``concatenable``: programs that
    obey the description give whole images, for blocks would each be stretched by their own range.
    A model with a fixed map has it as ``scale_linear`` before and after, and may be run block by
    block, with the halo that is stated.
    """
    if path.suffix.lower() != ".zip":
        raise DenoisingError(
            f'A bioimage.io package cannot be saved with the ending "{path.suffix}".',
            "Give a name that ends in .zip.",
        )
    if find_spec("bioimageio") is None or find_spec("bioimageio.spec") is None:
        raise DenoisingError(
            "To write packages of bioimage.io, bioimageio.core must be installed.",
            'Install it: pip install "napari-ae-denoise[bioimageio]".',
        )
    spec, fixed = denoiser.card.network, denoiser.card.normalization.kind == "fixed"
    noisy = _test_image(denoiser, sample)  # (1, channels, Y, X)
    module = whole_image(denoiser.network, _UNITS if fixed else denoiser.card.normalization)
    clean = _run(whole_image(denoiser.network, denoiser.card.normalization), noisy)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        (folder / "weights.onnx").write_bytes(
            onnx_graph(module, spec.channels, spec.image_size, ["image"], {})
        )
        torch.save(module.state_dict(), folder / "weights.pt")
        denoiser.save(folder / ATTACHMENT)
        (folder / "network.py").write_text(_ARCHITECTURE, encoding="utf-8")
        (folder / "environment.yaml").write_text(_ENVIRONMENT, encoding="utf-8")
        np.save(folder / "test_input.npy", noisy)
        np.save(folder / "test_output.npy", clean)
        cover(noisy[0], clean[0], folder / "cover.png")
        text = readme(denoiser)
        (folder / "README.md").write_text(text, encoding="utf-8")
        made = _described(denoiser, folder, authors, licence or denoiser.card.licence)
        with replacing(path) as there:
            shutil.copyfile(made, there)
    return path


def _test_image(denoiser: Denoiser, sample: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
    """Return the middle of a sample as (1, channels, Y, X) float32, in grey values."""
    spec = denoiser.card.network
    image = _usual_sample(denoiser) if sample is None else np.asarray(sample)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[2] != spec.channels:
        raise DenoisingError(
            f"The sample has the shape {image.shape}, and the model takes {spec.channels} "
            "channel(s).",
            "Give one plane: (Y, X) for a gray model, (Y, X, channels) for another.",
        )
    wanted = spec.image_size or tuple(min(n, _SIDE) for n in image.shape[:2])
    first = [(n - m) // 2 for n, m in zip(image.shape[:2], wanted, strict=True)]
    spec.check_plane(tuple(min(n, m) for n, m in zip(image.shape, wanted, strict=False)))
    image = image[first[0] : first[0] + wanted[0], first[1] : first[1] + wanted[1]]
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def _usual_sample(denoiser: Denoiser) -> npt.NDArray[Any]:
    """Return a noisy micrograph or a photograph with noise, (Y, X, channels) uint8."""
    from skimage.data import astronaut, camera

    from napari_ae_denoise.noise import add_gaussian_noise
    from napari_ae_denoise.samples import mitochondria

    channels = denoiser.card.network.channels
    if channels == 1 and denoiser.card.noise == "camera":
        return mitochondria().noisy[..., None]
    clean = astronaut() if channels == 3 else np.stack([camera()] * channels, axis=-1)
    return np.asarray(add_gaussian_noise(clean, _SIGMA, seed=0))


def _run(module: nn.Module, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        made: npt.NDArray[np.float32] = module(torch.from_numpy(image)).numpy()
    return made


def _described(denoiser: Denoiser, folder: Path, authors: Sequence[str], licence: str) -> Path:
    """Describe the files in a folder, and pack them; return the package."""
    from bioimageio.spec import save_bioimageio_package
    from bioimageio.spec.model import v0_5
    from pydantic import ValidationError

    card = denoiser.card
    fixed = card.normalization.kind == "fixed"
    module = _UNITS if fixed else card.normalization
    people = [{"name": name} for name in authors]
    facts = {
        "name": zoo_name(card.name),
        "description": card.description[:1000] or f"Denoises images with {card.name}.",
        "authors": people,
        "license": licence.split(";")[0].strip() or None,
        "documentation": {"source": folder / "README.md"},
        "covers": [{"source": folder / "cover.png"}],
        "attachments": [{"source": folder / ATTACHMENT}],
        "tags": ["denoising", "image-restoration", "autoencoder", "2d", "pytorch", "onnx"],
        "version": "1.0.0",
        "inputs": [_tensor(denoiser, "image", folder / "test_input.npy")],
        "outputs": [_tensor(denoiser, "denoised", folder / "test_output.npy")],
        "weights": {
            "pytorch_state_dict": {
                "source": folder / "weights.pt",
                "pytorch_version": torch.__version__.split("+")[0],
                "architecture": {
                    "source": folder / "network.py",
                    "callable": "network",
                    "kwargs": {"network": _plain(card.network), "normalization": _plain(module)},
                },
                "dependencies": {"source": folder / "environment.yaml"},
            },
            "onnx": {
                "source": folder / "weights.onnx",
                "opset_version": OPSET,
                "parent": "pytorch_state_dict",
            },
        },
    }
    try:
        model = v0_5.ModelDescr.model_validate(facts)
        made = save_bioimageio_package(model, output_path=folder / "package.zip")
    except (ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DenoisingError(
            f"The library of bioimage.io refuses the package: {reason}.",
            "Give another licence (an SPDX identifier), author or sample.",
        ) from error
    return Path(str(made))


def _plain(record: Any) -> dict[str, Any]:
    """Return a record as yaml holds it."""
    values = asdict(record).items()
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values}


def _tensor(denoiser: Denoiser, name: str, test: Path) -> dict[str, Any]:
    """Describe input or output: axes batch, channel, y, x, in grey values."""
    spec, normalization = denoiser.card.network, denoiser.card.normalization
    fixed, incoming = normalization.kind == "fixed", name == "image"
    blocks = may_be_cut(denoiser.card)
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": _channel_names(spec.channels)},
    ]
    for place, axis in enumerate("yx"):
        entry: dict[str, Any] = {"type": "space", "id": axis}
        if spec.image_size is not None:
            entry["size"] = spec.image_size[place]
        elif not incoming:
            entry["size"] = {"tensor_id": "image", "axis_id": axis}
            if blocks:
                entry["halo"] = denoiser.halo
        elif blocks:
            least = 2 * denoiser.halo + denoiser.stride
            entry["size"] = {"min": least, "step": denoiser.stride}
            entry["concatenable"] = True
        else:
            entry["size"] = {"min": denoiser.stride, "step": 1}
        axes.append(entry)
    described: dict[str, Any] = {
        "id": name,
        "description": "noisy image, in grey values" if incoming else "the same without noise",
        "axes": axes,
        "test_tensor": {"source": test},
        "data": {"type": "float32"},
    }
    if fixed:
        offset, scale = normalization.offset, normalization.scale
        step = (1 / scale, -offset / scale) if incoming else (scale, offset)
        linear = {"id": "scale_linear", "kwargs": {"gain": step[0], "offset": step[1]}}
        described["preprocessing" if incoming else "postprocessing"] = [linear]
    if blocks and incoming:
        described["pad"] = {"mode": "reflect"}
    return described


def _channel_names(channels: int) -> list[str]:
    usual = {1: ["gray"], 3: ["red", "green", "blue"]}
    return usual.get(channels, [f"channel{number}" for number in range(channels)])
