"""The record of finished tiles: what is damaged, or says what cannot be, is refused."""

import json
import threading

import numpy as np
import pytest

from napari_ae_denoise import to_disk
from napari_ae_denoise.done_record import FILE_NAME, DoneRecord
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

SETTINGS = PredictSettings(32, "cpu", "float32")


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(100, 20, (150, 170)).astype("f4")


@pytest.fixture
def begun(untrained, image, tmp_path):
    """A result with nothing in it yet, and a function that goes on with it."""
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    stop = threading.Event()
    stop.set()
    drain(to_disk.begin(denoiser, image, path, settings=SETTINGS).steps(stop=stop))

    def go_on():
        return drain(to_disk.begin(denoiser, image, path, settings=SETTINGS).steps())

    return path / FILE_NAME, go_on


def change(path, *keys, value):
    """Change a record as somebody would who may write its checksum too."""
    record = json.loads(path.read_text())
    del record["sha256"]
    place = record
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(record))


IMPOSSIBLE = [
    (("how",), {}),
    (("how",), []),
    (("how",), 5),
    (("how", "tile"), 0),
    (("how", "tile"), -3),
    (("how", "tile"), "x"),
    (("how", "tile"), 1),
    (("how", "tile"), 10**9),
    (("how", "together"), 0),
    (("how", "together"), True),
    (("how", "precision"), "int4"),
    (("how", "precision"), ["float32"]),
    (("parts",), 8),
    (("parts",), -8),
    (("parts",), 29),
    (("parts",), 10**9),
    (("made_of",), []),
    (("made_of",), {}),
    (("invalid_pixels",), "x"),
    (("notes",), [1]),
    (("done",), 5),
    (("done",), "ff"),
    (("format",), 2),
]


@pytest.mark.parametrize(("keys", "value"), IMPOSSIBLE, ids=str)
def test_a_record_that_cannot_be_is_refused(begun, refused, keys, value):
    path, go_on = begun
    change(path, *keys, value=value)
    before = path.read_bytes()
    with refused(path.parent, remedy="overwrite"):
        go_on()
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["[]", "null", "5", "[" * 100_000, '{"format": NaN}', "{", "\0"])
def test_a_record_that_is_none_is_refused(begun, refused, text):
    path, go_on = begun
    path.write_text(text)
    with refused(path, "cannot be used", remedy="overwrite"):
        go_on()


def test_a_flipped_bit_never_makes_a_tile_finished(begun, refused):
    """A tile that was not made would be NaN in a result that calls itself whole."""
    path, go_on = begun
    whole = path.read_text()
    for flipped in (whole.replace('"done": "0', '"done": "8'), whole.replace('s": 0', 's": 7')):
        assert flipped != whole
        path.write_text(flipped)
        with refused(path, "damaged"):
            go_on()
    path.write_text(whole)
    assert go_on().finished == 1


def test_records_of_the_first_days_have_no_checksum_and_are_gone_on_with(begun):
    path, go_on = begun
    change(path, "invalid_pixels", value=0)
    assert "sha256" not in path.read_text()
    assert go_on().finished == 1
    assert "sha256" in path.read_text()


def test_what_another_run_made_meanwhile_is_taken_up(untrained, image, tmp_path):
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    early = to_disk.begin(denoiser, image, path, settings=SETTINGS)
    drain(to_disk.begin(denoiser, image, path, settings=SETTINGS).steps())
    stored = drain(early.steps())
    assert (stored.computed, stored.finished) == (0, 1)
    assert DoneRecord.load(path).finished == 1
