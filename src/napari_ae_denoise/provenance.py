"""What made a result: a record for its layer, and the script that makes it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.card import versions_now
from napari_ae_denoise.devices import PRECISIONS, choose_device, choose_precision
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.fingerprints import of_network
from napari_ae_denoise.image_files import ZARR, format_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.tile_runner import PredictSettings

KEY = "napari_ae_denoise"  # of a layer's metadata
DENOISED, REMOVED, CODE = "denoised", "removed noise", "latent code"
COLOURED = "coloured_to"  # removed noise as colours: grey values that 1 stands for, 0.5 being none
_DIGITS = 12


def card_hash(card: Card) -> str:
    """Return what tells a card from others."""
    said = json.dumps(card.to_record(), sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]


def record_of(
    denoiser: Denoiser,
    image: Any,
    axes: str,
    settings: PredictSettings,
    *,
    layer: str,
    path: str = "",
    level: int = 0,
    model_file: str = "",
) -> dict[str, Any]:
    """Return what made a result, as plain values that json can hold.

    Parameters
    ----------
    denoiser : Denoiser
        The model.
    image : array
        What it was run on.
    axes : str
        One letter per axis.
    settings : PredictSettings
        As given; the device and the precision that they stand for here are what is kept.
    layer : str
        Name of the image's layer.
    path : str
        The file that the image was read from; empty if there is none.
    level : int
        Which level of a multiscale image it is.
    model_file : str
        The file of the model; empty for one that is bundled, or was never saved.
    """
    device = choose_device(settings.device)
    precision = choose_precision(device, settings.precision)
    return {
        "what": DENOISED,
        "model": denoiser.card.name,
        "model_file": model_file,
        "card_hash": card_hash(denoiser.card),
        "weights_hash": of_network(denoiser.network),
        "image": layer,
        "path": path,
        "level": level,
        "shape": [int(n) for n in image.shape],
        "dtype": np.dtype(image.dtype).str,
        "axes": axes,
        "strength": float(settings.strength),
        "noise_model": settings.noise_model,
        "correlated": settings.correlated,
        "orientations": settings.orientations,
        "tile": settings.tile,
        "device": str(device),
        "precision": next(name for name, kind in PRECISIONS.items() if kind == precision),
        "versions": versions_now(),
    }


def as_script(record: Mapping[str, Any]) -> str:
    """Return a Python script that makes a result again.

    Parameters
    ----------
    record : mapping
        What `record_of` gave, and ``what`` it is.

    Returns
    -------
    str
        It reads the image from its file where there is one, and else from the layer of a viewer,
        so that it runs in napari's console; it refuses another image or model.

    Raises
    ------
    DenoisingError
        If the record is not whole.
    """
    try:
        return _script(record)
    except (KeyError, TypeError, ValueError) as error:
        lacking = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DenoisingError(
            f"The layer does not say enough of what made it ({lacking}).",
            "Choose a result of the Denoise panel of this version.",
        ) from error


def _is_read_here(path: str, level: int) -> bool:
    """Return whether `read_image` gives what a layer of a file holds: others read more formats."""
    if not path:
        return False
    try:
        kind = format_of(path)
    except DenoisingError:
        return False
    return kind == ZARR or not level


def _script(record: Mapping[str, Any]) -> str:
    # a layer may come from another plugin, or from a file: nothing of it is code
    versions = {name: _plain(str(version)) for name, version in record["versions"].items()}
    what = _plain(record["what"])
    imports = ["from napari_ae_denoise import Denoiser"]
    known = record.get("fingerprint")  # results of the first days have none
    told = "of_image, of_network" if known else "of_network"
    imports += [f"from napari_ae_denoise.fingerprints import {told}"]
    at = int(record.get("level", 0))
    if _is_read_here(record["path"], record.get("level", 0)):
        imports += ["from napari_ae_denoise.image_files import read_image"]
        level = f", level={at}" if at else ""
        image = [f"image = read_image({record['path']!r}{level}).array"]
    else:
        imports.insert(0, "import napari")
        image = [
            "# Run this in napari's console, or read the image into `image` yourself.",
            f"layer = napari.current_viewer().layers[{record['image']!r}]",
            f"image = layer.data[{at}] if layer.multiscale else layer.data",
        ]
    if not record.get("folder"):
        imports.insert(0, "import numpy as np")
        image += ["image = np.asarray(image)"]
    shape = tuple(record["shape"])
    image += [
        f"if tuple(image.shape) != {shape} or image.dtype.str != {record['dtype']!r}:",
        '    raise SystemExit(f"This is another image: {image.shape} {image.dtype}.")',
    ]
    same = []
    if known:
        imports += ["from napari_ae_denoise.resolving import layout_for"]
        same = [
            "",
            "# A layer may hold other grey values than its file, and may be edited.",
            f"planes = layout_for(denoiser.card.network, image.shape, {record['axes']!r})",
            f"if of_image(image, planes) != {known!r}:",
            '    raise SystemExit("This is another image than the one that was denoised.")',
        ]
    run = [f"axes={record['axes']!r}", f"device={record['device']!r}"]
    run += [f"precision={record['precision']!r}", f"noise_model={record['noise_model']!r}"]
    correlated = record.get("correlated", "auto")
    run += [f"correlated={correlated!r}"] if correlated != "auto" else []
    run += [f"tile={record['tile']!r}"] if record["tile"] != "auto" else []
    orientations = 1 if what == CODE else record.get("orientations", 1)
    run += [f"orientations={orientations!r}"] if orientations != 1 else []
    on_disk = bool(record.get("folder"))
    if on_disk:  # written at its strength
        strength = what != CODE and record["strength"] != 1
        run += [f"strength={record['strength']!r}"] if strength else []
        run += [f"to={record['folder']!r}"]
    options = ", ".join(run)
    made = [f"result = denoiser.{'encode' if what == CODE else 'denoise'}(image, {options})"]
    if what == REMOVED:
        imports += ["from napari_ae_denoise.strength import difference"]
        made += ["result = difference(image, result)"]
        if COLOURED in record:  # as it is shown
            imports += ["from napari_ae_denoise.removed_noise import as_colours"]
            made += [f"result = as_colours(result, {record[COLOURED]!r})"]
    elif what == DENOISED and record["strength"] != 1 and not on_disk:
        imports += ["from napari_ae_denoise.strength import mixed"]
        made += [f"result = mixed(image, result, {record['strength']!r})"]
    return "\n".join(
        [
            f'"""Makes "{_plain(record["image"])} {what}" again.',
            "",
            f"Written by napari-ae-denoise {versions['napari-ae-denoise']} (torch "
            f"{versions['torch']}, numpy {versions['numpy']}).",
            '"""',
            "",
            *sorted(imports, key=lambda line: (line.startswith("from"), line)),
            "",
            *image,
            "",
            *_model(record),
            f"if of_network(denoiser.network) != {record['weights_hash']!r}:",
            '    raise SystemExit(f"This is another model than that of the result: {denoiser}.")',
            *same,
            "",
            *made,
            "print(result.shape, result.dtype)",
            "",
        ]
    )


def _model(record: Mapping[str, Any]) -> list[str]:
    """Return the lines that load the model."""
    from napari_ae_denoise.bundled import bundled_names

    if record["model_file"]:
        load = f"denoiser = Denoiser.load({record['model_file']!r})"
        # what is on disk knows its model by the name that it was opened under
        return [f"{load}.renamed({record['model']!r})" if record.get("folder") else load]
    if record["model"] in bundled_names():
        return [f"denoiser = Denoiser.load({record['model']!r})"]
    name = str(Path(f"{record['model']}.safetensors"))
    return [
        "# This model was in no file yet: press Save model in napari, and name the file here.",
        f"denoiser = Denoiser.load({name!r})",
    ]


def _plain(text: str) -> str:
    """Return a text that may stand in a docstring."""
    return text.replace("\\", "/").replace('"', "'")
