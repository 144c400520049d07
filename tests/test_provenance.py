import ast
import json

import numpy as np
import pytest
import tifffile

from napari_ae_denoise import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.fingerprints import of_image
from napari_ae_denoise.provenance import CODE, DENOISED, REMOVED, as_script, card_hash, record_of
from napari_ae_denoise.resolving import layout_for
from napari_ae_denoise.strength import mixed
from napari_ae_denoise.tile_runner import PredictSettings

AUTO = PredictSettings(noise_model="gaussian")


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 4000, (48, 40)).astype(np.uint16)


@pytest.fixture
def files(image, untrained, tmp_path):
    tifffile.imwrite(tmp_path / 'cells "a".tif', image)
    path = untrained("plain").save(tmp_path / "mine.safetensors")
    return str(tmp_path / 'cells "a".tif'), str(path)


def run(script, **given):
    names = dict(given)
    exec(compile(script, "script", "exec"), names)
    return names["result"]


def record(files, image, **changes):
    denoiser = Denoiser.load(files[1])
    made = record_of(
        denoiser, image, "YX", AUTO, layer='cells "a"', path=files[0], model_file=files[1]
    )
    return made | changes


def test_the_script_makes_the_same_pixels(files, image):
    denoiser = Denoiser.load(files[1])
    expected = denoiser.denoise(image, axes="YX", noise_model="gaussian")
    np.testing.assert_array_equal(run(as_script(record(files, image))), expected)
    weaker = run(as_script(record(files, image, strength=0.35)))
    np.testing.assert_array_equal(weaker, mixed(image, expected, 0.35))
    removed = run(as_script(record(files, image, what=REMOVED)))
    np.testing.assert_array_equal(removed, image.astype("f4") - expected)
    code = run(as_script(record(files, image, what=CODE)))
    np.testing.assert_array_equal(code, denoiser.encode(image, noise_model="gaussian"))


def test_a_result_on_disk_is_made_on_disk(files, image, tmp_path):
    script = as_script(record(files, image, folder=str(tmp_path / "out.ome.zarr")))
    expected = Denoiser.load(files[1]).denoise(image, noise_model="gaussian")
    made = np.asarray(run(script)).astype(int)
    assert np.abs(made - expected).max() <= 16  # bfloat16, other tiles
    assert (tmp_path / "out.ome.zarr").exists()


def test_a_result_on_disk_is_gone_on_with_at_its_strength(files, image, tmp_path):
    denoiser, path = Denoiser.load(files[1]), tmp_path / "out.ome.zarr"
    there = denoiser.denoise(image, noise_model="gaussian", strength=0.35, to=path)
    script = as_script(record(files, image, folder=str(path), strength=0.35))
    np.testing.assert_array_equal(run(script), there)
    code = tmp_path / "code.ome.zarr"
    there = denoiser.encode(image, noise_model="gaussian", to=code)
    script = as_script(record(files, image, folder=str(code), what=CODE, strength=0.35))
    np.testing.assert_array_equal(run(script), there)


def test_another_image_and_another_model_are_refused(files, image, untrained):
    tifffile.imwrite(files[0], image[1:])
    with pytest.raises(SystemExit, match="another image"):
        run(as_script(record(files, image)))
    tifffile.imwrite(files[0], image)
    script = as_script(record(files, image))
    untrained("plain", seed=1).save(files[1])
    with pytest.raises(SystemExit, match="another model"):
        run(script)


def test_an_image_of_the_same_shape_is_told_apart(files, image):
    denoiser = Denoiser.load(files[1])
    layout = layout_for(denoiser.card.network, image.shape, "YX")
    script = as_script(record(files, image, fingerprint=of_image(image, layout)))
    expected = denoiser.denoise(image, axes="YX", noise_model="gaussian")
    np.testing.assert_array_equal(run(script), expected)
    tifffile.imwrite(files[0], image[::-1])
    with pytest.raises(SystemExit, match="another image"):
        run(script)


def test_without_files_it_says_what_to_do(files, image):
    script = as_script(record(files, image, path="", model_file="", model="my \\ model"))
    assert "napari's console" in script
    assert "Save model" in script
    compile(script, "script", "exec")


@pytest.mark.parametrize(
    ("changes", "from_file"),
    [
        ({}, True),
        ({"path": "stack.czi"}, False),  # read by another plugin
        ({"level": 1}, False),  # of a TIFF, whose levels are not read here
        ({"path": "cells.ome.zarr", "level": 1}, True),
    ],
)
def test_what_read_image_does_not_give_is_taken_from_the_layer(changes, from_file, files, image):
    script = as_script(record(files, image, **changes))
    assert ("read_image(" in script) == from_file
    assert ("napari.current_viewer()" in script) != from_file


def test_a_bundled_model_is_loaded_by_its_name(image):
    denoiser = Denoiser.load("natural-gray")
    made = record_of(denoiser, image, "YX", PredictSettings(tile=64), layer="i")
    script = as_script(made)
    assert "Denoiser.load('natural-gray')" in script
    assert "tile=64" in script


def test_the_record_is_plain_and_says_what_was_chosen(files, image):
    made = record(files, image)
    assert json.loads(json.dumps(made)) == made
    assert made["device"] == "cpu" or made["device"].startswith(("cuda", "mps"))
    assert made["precision"] in ("float32", "bfloat16", "float16")
    assert made["what"] == DENOISED
    assert {"napari-ae-denoise", "torch", "numpy"} <= set(made["versions"])


def test_the_hash_of_a_card_follows_all_of_it(untrained):
    card = untrained("plain").card
    assert card_hash(card) == card_hash(untrained("plain", seed=3).card)
    assert card_hash(card) != card_hash(untrained("plain").renamed("other").card)


def test_a_record_of_something_else_is_refused(files, image):
    with pytest.raises(DenoisingError, match=r"\('versions' is missing\)"):
        as_script({"model": "x"})
    with pytest.raises(DenoisingError, match="not iterable"):
        as_script(record(files, image, shape=None))


@pytest.mark.parametrize(
    ("chosen", "other"),
    [({"correlated": "x"}, {"correlated": "none"}), ({"orientations": 8}, {"orientations": 1})],
    ids=str,
)
def test_the_script_says_how_the_image_was_seen(files, image, chosen, other):
    denoiser = Denoiser.load(files[1])
    record = record_of(
        denoiser,
        image,
        "YX",
        PredictSettings(**chosen),
        layer="cells",
        path=files[0],
        model_file=files[1],
    )
    made = run(as_script(record | {"what": DENOISED}))
    np.testing.assert_array_equal(made, denoiser.denoise(image, **chosen))
    assert (made != denoiser.denoise(image, **other)).any()


def test_nothing_that_a_layer_says_becomes_code(files, image):
    evil = '1""" + __import__("os").system("false") + """'
    made = record(files, image, what=evil)
    made["versions"] = dict.fromkeys(made["versions"], evil)
    tree = ast.parse(as_script(made))
    assert not [one for one in ast.walk(tree) if getattr(one, "id", "") == "__import__"]
    with pytest.raises(DenoisingError, match="invalid literal"):
        as_script(record(files, image, path="", level=evil))
