"""The latent code of an image, written to disk tile by tile."""

import threading

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.tile_runner import TileRunner

RNG = np.random.default_rng(0)
EXACT = {"precision": "float32", "device": "cpu"}
SHAPES = [
    ("YX", (210, 333)),
    ("YX", (5, 3)),
    ("NYX", (3, 70, 90)),
    ("NTYX", (2, 3, 40, 30)),
    ("ZYX", (3, 130, 90)),
    ("TCZYX", (2, 2, 3, 60, 70)),
    ("YXC", (130, 170, 3)),
    ("YXC", (130, 170, 4)),
    ("YZX", (60, 7, 70)),
]


def grey(shape, dtype="f4"):
    return RNG.normal(1000, 200, shape).astype(dtype)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("axes", "shape"), SHAPES)
def test_the_disk_holds_what_memory_would(untrained, tmp_path, axes, shape, channels):
    if channels == 3 and axes != "YXC":
        pytest.skip("one plane")
    image = grey(shape, "u2")
    denoiser = untrained("residual", channels=channels)
    whole = denoiser.encode(image, axes=axes, **EXACT)
    made = denoiser.encode(image, axes=axes, tile=64, to=tmp_path / "a.zarr", **EXACT)
    assert isinstance(made, da.Array)
    assert (made.shape, made.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_allclose(made.compute(), whole, atol=1e-4 * np.abs(whole).max())


def test_a_stopped_run_goes_on_where_it_was(untrained, tmp_path, monkeypatch):
    image, denoiser, path = grey((300, 400)), untrained("residual"), tmp_path / "a.zarr"
    how = {"tile": 64, "to": path, **EXACT}
    whole = denoiser.encode(image, tile=64, **EXACT)
    stop, tiles = threading.Event(), []
    usual = TileRunner.__call__

    def call(self, windows, tile, *more, **what):
        tiles.append(tile)
        return usual(self, windows, tile, *more, **what)

    monkeypatch.setattr(TileRunner, "__call__", call)

    def progressed(progress):
        if progress.done == 5:
            stop.set()

    half = denoiser.encode(image, stop=stop, on_progress=progressed, **how)
    record = DoneRecord.load(path)
    assert 0 < record.finished < 1
    assert 0 < np.isnan(half.compute()).mean() < 1
    before = len(tiles)
    made = denoiser.encode(image, **how)
    assert len(tiles) - before == (~record.done).sum()
    np.testing.assert_allclose(made.compute(), whole, atol=1e-4 * np.abs(whole).max())
    assert half.name != made.name  # or a cache of dask would show what was there before


def test_it_lies_over_the_image_with_units_as_channels(untrained, tmp_path):
    models = pytest.importorskip("ome_zarr_models.v04.image")
    path = tmp_path / "a.ome.zarr"
    denoiser, image = untrained("residual"), grey((2, 600, 520))
    to = Destination(path, {"Z": 2.0, "Y": 0.5, "X": 0.5}, "micrometer")
    denoiser.encode(image, axes="ZYX", tile=256, to=to, **EXACT)
    models.ImageAttrs.model_validate(dict(zarr.open_group(path, mode="r").attrs))
    back = read_image(path)
    assert back.axes == "CZYX"
    width, stride = denoiser.network.spec.code_width, denoiser.stride
    assert back.array.shape == (width, 2, -(-600 // stride), -(-520 // stride))
    spacing = back.spacing["Z"], back.spacing["Y"], back.unit
    assert spacing == (2.0, 0.5 * stride, "micrometer")
    levels = zarr.open_group(path).attrs["multiscales"][0]["datasets"]
    shift = levels[0]["coordinateTransformations"][1]["translation"]
    middle = 0.5 * (stride - 1) / 2  # of the pixels that a code pixel covers
    np.testing.assert_allclose(shift, [0, 0, middle, middle])


def test_channels_of_an_image_come_one_after_the_other(untrained, tmp_path):
    path = tmp_path / "a.zarr"
    denoiser, image = untrained("residual"), grey((2, 60, 70))
    code = denoiser.encode(image, axes="CYX", to=path, **EXACT).compute()
    there = read_image(path).array.compute()
    assert there.shape == (2 * len(code), *code.shape[2:])
    np.testing.assert_array_equal(there[len(code) :], code[:, 1])


def test_a_code_is_not_gone_on_with_as_an_image(untrained, tmp_path, refused):
    image, denoiser, path = grey((64, 64)), untrained("residual"), tmp_path / "a.zarr"
    denoiser.encode(image, to=path, **EXACT)
    with refused("latent code"):
        denoiser.denoise(image, to=path, **EXACT)


def test_axes_that_do_not_fit_are_refused(untrained, tmp_path, refused):
    with refused("more axes than an OME-Zarr image"):
        untrained("residual").encode(
            grey((1, 1, 1, 32, 32)), axes="NTZYX", to=tmp_path / "a.zarr", **EXACT
        )
