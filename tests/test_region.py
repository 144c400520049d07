"""A part of an image, denoised alone, and a result on disk that is looked at while it is made."""

import threading

import numpy as np
import pytest

from napari_ae_denoise import result_view, to_disk
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.region import Region, denoise_region
from napari_ae_denoise.result_view import views
from napari_ae_denoise.shared_model import SharedModel
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

HOW = PredictSettings(32, "cpu", "float32")


@pytest.mark.parametrize("preset", ["classic", "residual"])
@pytest.mark.parametrize(
    ("axes", "shape", "stack"),
    [
        ("YX", (90, 100), ()),
        ("ZYX", (3, 90, 100), (2,)),
        ("YXC", (90, 100, 3), ()),
        ("YXC", (90, 100, 4), ()),
    ],
)
def test_a_region_is_what_the_whole_has_there(untrained, preset, axes, shape, stack):
    image = np.random.default_rng(0).random(shape).astype("f4")
    denoiser = untrained(preset)
    layout = plane_layout(shape, axes, network_channels=1)
    maps = denoiser.resolve(image, axes).maps
    whole = denoiser.denoise(image, axes=axes, tile=64, device="cpu", precision="float32")
    region = Region(stack, slice(13, 55), slice(7, 100))
    made = denoise_region(SharedModel.of(denoiser.network, HOW), image, layout, maps, region)
    index = [{"Y": region.y, "X": region.x}.get(a, slice(None)) for a in axes]
    if stack:
        index[0] = slice(2, 3)
    np.testing.assert_allclose(made, whole[tuple(index)], atol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "u2", "u1"])
def test_what_is_not_made_yet_is_nan_and_the_rest_is_there(untrained, tmp_path, dtype):
    image = np.random.default_rng(0).integers(1, 200, (2, 70, 90)).astype(dtype)
    job = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", axes="ZYX", settings=HOW)
    (first, *_) = views(job.folder)
    assert first.shape == (2, 70, 90)
    assert first.dtype == np.float32
    assert np.isnan(np.asarray(first)).all()
    whole = drain(job.steps()).array.compute()
    np.testing.assert_array_equal(first[...], whole)
    np.testing.assert_array_equal(first[1], whole[1])
    np.testing.assert_array_equal(first[0, 3:9, ...], whole[0, 3:9])
    np.testing.assert_array_equal(first[..., 5], whole[..., 5])


def test_photographs_are_shown_as_they_are(untrained, tmp_path):
    image = np.random.default_rng(0).integers(0, 200, (40, 50, 3)).astype("u1")
    job = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", axes="YXC", settings=HOW)
    (first, *_) = views(job.folder, photograph=True)
    assert first.dtype == np.uint8
    assert (np.asarray(first[...]) == 255).all()
    whole = drain(job.steps()).array.compute()
    np.testing.assert_array_equal(first[:, 3:9, 1], whole[:, 3:9, 1])


def test_coarser_levels_leave_out_what_is_not_made():
    from napari_ae_denoise.pyramid import halved

    image = np.array([[1, np.nan, 4], [3, 5, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(halved(image), [[3, 4], [np.nan, np.nan]])


@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_a_plane_is_read_again_only_when_a_tile_of_it_came(untrained, tmp_path, dtype, monkeypatch):
    image = np.random.default_rng(0).integers(1, 200, (3, 70, 90)).astype(dtype)
    how = {"axes": "ZYX", "settings": HOW}
    job = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", **how)
    (first, *_) = views(job.folder)
    reads, usual = [], type(first)._read
    monkeypatch.setattr(type(first), "_read", lambda *w: reads.append(1) or usual(*w))
    assert np.isnan(first[1]).all()
    assert not reads  # nothing of it is there yet
    stop = threading.Event()
    drain(job.steps(stop=stop), lambda _: stop.set())  # a tile of a plane, or two
    (plane,) = job.folder.writes
    for _ in range(3):
        assert 0 < np.isnan(first[plane, :40]).mean() < 1
    assert len(reads) == 1
    whole = drain(job.steps()).array.compute()
    for number in (0, 1, 2, -1):
        np.testing.assert_array_equal(first[number], whole[number])
    np.testing.assert_array_equal(first[plane, :40], whole[plane, :40])
    assert len(reads) == 5  # the last plane is the third one
    again = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", **how)
    np.testing.assert_array_equal(views(again.folder)[0][2], whole[2])


def test_of_many_planes_the_one_that_is_shown_is_read_alone(untrained, tmp_path, monkeypatch):
    image = np.random.default_rng(0).random((3, 70, 90)).astype("f4")
    job = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", axes="ZYX", settings=HOW)
    whole = drain(job.steps()).array.compute()
    (first, *_) = views(job.folder)
    reads, usual = [], type(first)._read
    monkeypatch.setattr(type(first), "_read", lambda s, w: reads.append(w) or usual(s, w))
    cut = first[:, 3:60, 10:]  # as napari does before it takes a plane
    assert (cut.shape, cut.ndim, cut.size) == ((3, 57, 80), 3, 3 * 57 * 80)
    assert not reads
    np.testing.assert_array_equal(cut[1], whole[1, 3:60, 10:])
    np.testing.assert_array_equal(cut[1:, ::2][..., 4], whole[1:, 3:60:2, 14])
    assert [len(planes) for planes, _, _ in reads] == [1, 2]
    with pytest.raises(IndexError):
        cut[3]
    apart = np.array(cut[1])
    apart[:] = 0  # what is given out again is not this one
    np.testing.assert_array_equal(cut[1], whole[1, 3:60, 10:])


def test_what_is_kept_of_a_result_is_bounded(untrained, tmp_path, monkeypatch):
    monkeypatch.setattr(result_view, "_KEPT_BYTES", 4 * 70 * 90)
    image = np.random.default_rng(0).random((3, 70, 90)).astype("f4")
    job = to_disk.begin(untrained("classic"), image, tmp_path / "a.zarr", axes="ZYX", settings=HOW)
    drain(job.steps())
    (first, *_) = views(job.folder)
    for plane in (0, 1, 2):
        assert np.isfinite(first[plane]).all()
    assert len(first._kept) == 1
