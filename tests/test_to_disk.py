import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from arrays import Lazy

from napari_ae_denoise import disk, disk_job, done_record, to_disk, window_reader
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.result_folder import Destination, chunk_and_step
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_jobs import View
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner

RNG = np.random.default_rng(0)
EXACT = {"precision": "float32", "device": "cpu"}
SHAPES = [
    ("YX", (210, 333)),
    ("YX", (5, 3)),
    ("ZYX", (3, 130, 90)),
    ("TCYX", (2, 2, 60, 70)),
    ("YXC", (130, 170, 3)),
    ("YXC", (130, 170, 4)),
    ("YZX", (60, 7, 70)),
]


def grey(shape, dtype="f4"):
    return RNG.normal(1000, 200, shape).astype(dtype)


def stopping_after(tiles, stop):
    def progressed(progress):
        if progress.done >= tiles:
            stop.set()

    return progressed


@pytest.fixture
def counted(monkeypatch):
    """Return a list that grows by one for each tile that is computed."""
    seen = []
    usual = TileRunner.__call__

    def call(self, windows, tile, *more, **how):
        seen.append(tile)
        return usual(self, windows, tile, *more, **how)

    monkeypatch.setattr(TileRunner, "__call__", call)
    return seen


# ---- the numbers


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("axes", "shape"), SHAPES)
def test_the_disk_holds_what_memory_would(untrained, tmp_path, axes, shape, channels):
    if channels == 3 and axes != "YXC":
        pytest.skip("one plane")
    image = grey(shape, "u2")
    denoiser = untrained("residual", channels=channels)
    whole = denoiser.denoise(image, axes=axes, **EXACT)
    made = denoiser.denoise(image, axes=axes, tile=64, to=tmp_path / "a.zarr", **EXACT)
    assert isinstance(made, da.Array)
    assert (made.shape, made.dtype) == (whole.shape, whole.dtype)
    assert np.abs(made.compute().astype(int) - whole).max() <= 1


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "lazy"])
def test_any_kind_of_array_is_read(untrained, tmp_path, kind):
    image = grey((5, 90, 100))
    image[2, 40:45, 50] = np.nan
    kinds = {
        "numpy": lambda: image,
        "dask": lambda: da.from_array(image, chunks=(4, 50, 30)),
        "zarr": lambda: zarr.create_array(tmp_path / "in.zarr", data=image, chunks=(3, 33, 50)),
        "lazy": lambda: Lazy(image),
    }
    denoiser = untrained("residual")
    with pytest.warns(UserWarning, match="5 pixels are NaN"):
        whole = denoiser.denoise(image, **EXACT)
    with pytest.warns(UserWarning, match="5 pixels are NaN"):
        made = denoiser.denoise(kinds[kind](), tile=32, to=tmp_path / "a.zarr", **EXACT)
    np.testing.assert_allclose(made.compute(), whole, rtol=0, atol=1e-5 * np.nanmax(image))


def test_it_is_an_ome_zarr_image_with_scale_units_and_a_pyramid(untrained, tmp_path):
    models = pytest.importorskip("ome_zarr_models.v04.image")
    image = grey((2, 700, 900), "u2")
    to = Destination(
        tmp_path / "a.ome.zarr", {"Z": 2.0, "Y": 0.5, "X": 0.5, "T": 1.0}, "micrometer"
    )
    denoiser = untrained("classic")
    denoiser.denoise(image, axes="ZYX", tile=256, to=to, **EXACT)
    group = zarr.open_group(to.path, mode="r")
    models.ImageAttrs.model_validate(dict(group.attrs))
    described = group.attrs["multiscales"][0]
    assert [a.get("unit") for a in described["axes"]] == ["micrometer"] * 3
    assert [group[d["path"]].shape for d in described["datasets"]] == [
        (2, 700, 900),
        (2, 350, 450),
        (2, 175, 225),
    ]
    scales = [d["coordinateTransformations"][0]["scale"] for d in described["datasets"]]
    assert scales == [[2.0, 0.5, 0.5], [2.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    shifts = [d["coordinateTransformations"][1:] for d in described["datasets"]]
    assert shifts[2][0]["translation"] == [0.0, 0.75, 0.75]
    back = read_image(to.path)
    assert (back.axes, back.unit) == ("ZYX", "micrometer")
    assert back.spacing == {"Z": 2.0, "Y": 0.5, "X": 0.5}
    fine, coarse = np.asarray(group["0"][:], float), group["1"][:]
    means = fine.reshape(2, 350, 2, 450, 2).mean(axis=(2, 4))
    assert np.abs(coarse - means).max() <= 0.5
    assert group.attrs["napari-ae-denoise"]["normalization"][0]["scale"] > 0


@pytest.mark.parametrize("tile", [1, 30, 64, 100, 700, 1300])
@pytest.mark.parametrize("stride", [1, 4, 6])
def test_no_two_tiles_share_a_chunk(tile, stride):
    chunk, step = chunk_and_step(tile, stride)
    assert step % chunk == 0
    assert chunk % stride == 0
    assert chunk <= 512
    assert step <= max(tile, stride)


def test_each_tile_is_computed_and_written_once(untrained, tmp_path, counted, monkeypatch):
    written = []
    usual = to_disk.ResultFolder._put

    def put(self, number, at, values):
        files = usual(self, number, at, values)
        if number == 0:
            written.extend(files)
        return files

    monkeypatch.setattr(to_disk.ResultFolder, "_put", put)
    untrained("classic").denoise(grey((3, 150, 170)), tile=64, to=tmp_path / "a.zarr", **EXACT)
    assert len(counted) == 3 * 3 * 3
    assert len(written) == len(set(written)) == 3 * 3 * 3


def test_alpha_of_another_type_is_the_same_everywhere(untrained, tmp_path):
    image = RNG.integers(0, 256, (70, 80, 4)).astype("u1")
    denoiser, how = untrained("residual", channels=3), {"dtype": "uint16", **EXACT}
    whole = denoiser.denoise(image, **how)
    lazy = denoiser.denoise(da.from_array(image, chunks=(32, 32, 4)), **how).compute()
    stored = denoiser.denoise(image, to=tmp_path / "a.zarr", **how).compute()
    for made in (whole, lazy, stored):
        assert made.dtype == np.uint16
        np.testing.assert_array_equal(made[..., 3], image[..., 3])
        assert np.abs(made.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("noise_model", ["auto", "gaussian", "camera"])
@pytest.mark.parametrize("correlated", ["auto", "none"])
def test_a_blank_channel_does_not_spoil_the_others(
    untrained, tmp_path, refused, noise_model, correlated
):
    image = np.stack([grey((96, 96), "u2"), np.zeros((96, 96), "u2")])
    lazy = da.from_array(image, chunks=(1, 48, 48))
    how = {"axes": "CYX", "noise_model": noise_model, "correlated": correlated, **EXACT}
    denoiser = untrained("residual")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no camera is found in white noise
        whole = denoiser.denoise(image, **how)
        alone = denoiser.denoise(image[0], **how | {"axes": "YX"})
        made = [
            denoiser.denoise(lazy, **how),
            denoiser.denoise(lazy, to=tmp_path / "a.zarr", **how),
        ]
        made.append(denoiser.denoise(image, to=tmp_path / "b.zarr", **how))
    np.testing.assert_array_equal(whole[0], alone)
    for one in made:
        assert np.abs(one.compute().astype(int) - whole).max() <= 1
    image[0] = 7
    for given in (image, da.from_array(image, chunks=(1, 48, 48))):
        for to in (None, tmp_path / "c.zarr"):
            with refused("constant", "each channel", remedy="shows something"):
                denoiser.denoise(given, to=to, **how)


def test_invalid_pixels_of_half_precision_become_integers(untrained):
    image = RNG.normal(100, 20, (70, 80)).astype("f2")
    image[3, 4] = np.nan
    with pytest.warns(UserWarning, match="1 pixels are NaN"):
        made = untrained("classic").denoise(image, dtype="uint16", **EXACT)
    assert (made.dtype, made[3, 4]) == (np.uint16, 0)


# ---- stopped and continued


@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_a_stopped_run_goes_on_where_it_was(untrained, tmp_path, counted, dtype):
    image = grey((2, 260, 100), dtype)  # large enough for a second level
    denoiser, path = untrained("residual"), tmp_path / "a.zarr"
    options = {"tile": 64, **EXACT}
    whole = denoiser.denoise(image, to=tmp_path / "b.zarr", **options).compute()
    counted.clear()
    stop = threading.Event()
    part = denoiser.denoise(
        image, to=path, stop=stop, on_progress=stopping_after(4, stop), **options
    ).compute()
    first = len(counted)
    assert 4 <= first <= 6
    record = json.loads((path / done_record.FILE_NAME).read_text())
    done = np.unpackbits(np.frombuffer(bytes.fromhex(record["done"]), np.uint8))[:20]
    assert done.sum() == first
    unfinished = np.isnan(part) if dtype == "f4" else part == 65535
    np.testing.assert_array_equal(part[~unfinished], whole[~unfinished])
    assert unfinished[-1].all()
    assert not unfinished[0, :64, :64].any()
    made = denoiser.denoise(image, to=path, **options).compute()
    assert len(counted) == 20  # no tile twice
    np.testing.assert_array_equal(made, whole)  # to the bit
    coarse, expected = (zarr.open_array(tmp_path / name / "1")[:] for name in ("a.zarr", "b.zarr"))
    np.testing.assert_array_equal(coarse, expected)
    assert coarse.shape == (2, 130, 50)
    counted.clear()
    np.testing.assert_array_equal(denoiser.denoise(image, to=path, **options).compute(), whole)
    assert not counted  # a finished result is only opened


def test_it_goes_on_with_the_tile_and_precision_that_it_began_with(
    untrained, tmp_path, monkeypatch
):
    image, path = grey((150, 170)), tmp_path / "a.zarr"
    stop = threading.Event()
    denoiser = untrained("residual")
    monkeypatch.setattr(to_disk, "choose_precision", lambda *_: to_disk.PRECISIONS["bfloat16"])
    denoiser.denoise(image, tile=64, to=path, stop=stop, on_progress=stopping_after(2, stop))
    monkeypatch.undo()
    job = to_disk.begin(denoiser, image, path)
    assert (job.settings.tile, job.settings.precision) == (64, "bfloat16")
    assert job.folder.record.finished < 1


def test_numbers_of_numpy_are_those_of_python(untrained, tmp_path):
    image, number = grey((60, 70)), np.float32
    fixed = Normalization("fixed", offset=number(0.5), scale=np.int64(99))
    denoiser = untrained("plain", normalization=fixed)
    ours = {"strength": number(0.5), "tile": np.int64(32), "orientations": np.int64(8)}
    made = denoiser.denoise(image, to=tmp_path / "a.zarr", **ours, **EXACT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr"]
    plain = untrained("plain", normalization=Normalization("fixed", offset=0.5, scale=99.0))
    usual = {"strength": 0.5, "tile": 32, "orientations": 8}
    assert PredictSettings(**ours) == PredictSettings(**usual)
    assert all(type(getattr(PredictSettings(**ours), n)) in (int, float) for n in ours)
    again = plain.denoise(image, to=tmp_path / "a.zarr", **usual, **EXACT)  # it is the same one
    np.testing.assert_array_equal(again.compute(), made.compute())


def test_what_a_gpu_began_in_float16_is_not_gone_on_with_on_the_cpu(untrained, tmp_path, refused):
    image, path, denoiser = grey((150, 170)), tmp_path / "a.zarr", untrained("residual")
    begun(denoiser, image, path)
    record = done_record.DoneRecord.load(path)
    record.how["precision"] = "float16"
    settings = record.made_of["settings"]
    record.made_of["settings"] = settings.replace("in float32", "in float16")
    record.save(path)
    with refused(path, "0% of it", "begun on a GPU", "float16", remedy="overwrite"):
        denoiser.denoise(image, to=path, device="cpu")
    with refused(path, "another settings"):  # the precision that was asked for counts
        denoiser.denoise(image, to=path, **EXACT)
    shutil.copytree(path, tmp_path / "whole.zarr")
    to = Destination(path, overwrite=True)
    job = to_disk.begin(denoiser, image, to, settings=PredictSettings(64, "cpu"))
    assert job.settings.precision in job.folder.record.made_of["settings"]
    assert job.settings.precision != "float16"
    assert drain(job.steps()).finished == 1
    record = done_record.DoneRecord.load(tmp_path / "whole.zarr")
    record.mark(range(record.done.size))  # a finished one is only opened
    assert denoiser.denoise(image, to=tmp_path / "whole.zarr", device="cpu").shape == image.shape


def test_what_is_looked_at_is_made_first(untrained, tmp_path, counted):
    image = grey((3, 256, 256))
    job = to_disk.begin(
        untrained("classic"), image, tmp_path / "a.zarr", settings=PredictSettings(64, **EXACT)
    )
    stop = threading.Event()
    drain(job.steps(stop=stop, view=lambda: View(1, 200, 100)), stopping_after(5, stop))
    done = job.folder.record.done.reshape(3, 4, 4)
    assert done[1, 3, 1]
    assert done[1].sum() == done.sum()


# ---- what is refused


def begun(denoiser, image, path, **options):
    stop = threading.Event()
    stop.set()
    denoiser.denoise(image, to=path, stop=stop, tile=64, **(EXACT | options))


def test_another_image_model_or_setting_is_refused_and_named(untrained, tmp_path, refused):
    image, path = grey((150, 170)), tmp_path / "a.zarr"
    denoiser = untrained("residual")
    begun(denoiser, image, path)
    changed = image.copy()
    changed[70:90, 80:100] += 1
    for word, one, array, options in [
        ("image", denoiser, changed, {}),
        ("image", denoiser, image[:-1], {}),
        ("model", untrained("residual", seed=1), image, {}),
        ("settings", denoiser, image, {"strength": 0.5}),
        ("settings", denoiser, image, {"dtype": "f8"}),
        ("settings", denoiser, image, {"precision": "bfloat16"}),
    ]:
        before = sorted(path.rglob("*"))
        with refused(path, f"another {word}", "0% of it", remedy="overwrite"):
            begun(one, array, path, **options)
        assert sorted(path.rglob("*")) == before
    begun(denoiser, changed, Destination(path, overwrite=True))
    with refused("another image"):
        begun(denoiser, image, path)


def test_a_finished_result_is_made_anew_where_it_is_to_be_overwritten(untrained, tmp_path, counted):
    """Whether an image is the same is told by a sample of it; a mended pixel may be in none."""
    image, path = grey((6, 700, 700), "u2"), tmp_path / "a.zarr"
    denoiser, to = untrained("classic"), Destination(path, overwrite=True)
    before = denoiser.denoise(image, to=to, **EXACT).compute()
    image[2, 300:340, 300:340] += 500
    after = denoiser.denoise(image, to=to, **EXACT).compute()
    assert (after[2, 300:340, 300:340] != before[2, 300:340, 300:340]).any()
    counted.clear()
    denoiser.denoise(image, to=path, **EXACT)  # not told to overwrite, it is there
    assert not counted


def test_a_foreign_path_is_refused_unless_told_to_overwrite(untrained, tmp_path, refused):
    image, denoiser = grey((60, 70)), untrained("classic")
    folder, file = tmp_path / "a.zarr", tmp_path / "b.zarr"
    folder.mkdir()
    (folder / "precious.txt").write_text("precious")
    file.write_text("precious")
    for path in (folder, file):
        with refused(path, "is there already", remedy="overwrite"):
            denoiser.denoise(image, to=path, **EXACT)
    assert (folder / "precious.txt").read_text() == file.read_text() == "precious"
    for path in (folder, file):
        made = denoiser.denoise(image, to=Destination(path, overwrite=True), **EXACT)
        np.testing.assert_allclose(made.compute(), denoiser.denoise(image, **EXACT), rtol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


def test_what_killed_runs_left_does_not_stop_others(untrained, tmp_path, monkeypatch, refused):
    image, denoiser, path = grey((60, 70)), untrained("classic"), tmp_path / "r.ome.zarr"
    denoiser.denoise(image, to=path, **EXACT)
    for left in (".r.ome.zarr.old", ".r.ome.zarr.new"):
        (tmp_path / left / "0" / "x").mkdir(parents=True)
    denoiser.denoise(image, to=Destination(path, overwrite=True), **EXACT)

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    before = sorted(p.name for p in tmp_path.iterdir())
    monkeypatch.setattr(done_record.DoneRecord, "save", full)
    with refused(path, "No space left"):
        denoiser.denoise(image, to=Destination(path, overwrite=True), **EXACT)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["zarr", "dask", "level of a group"])
def test_the_image_is_never_overwritten(untrained, tmp_path, refused, kind):
    path, denoiser = tmp_path / "image.zarr", untrained("plain")
    values = grey((90, 80))
    within = "0" if kind == "level of a group" else None
    if within:
        zarr.open_group(path, mode="w").create_array(within, data=values, chunks=(40, 40))
    else:
        zarr.create_array(path, data=values, chunks=(40, 40))
    image = zarr.open_array(path, path=within, mode="r")
    given = da.from_zarr(image) if kind == "dask" else image
    (tmp_path / "link.zarr").symlink_to(path)
    for target in (path, tmp_path / "link.zarr"):
        with refused("image.zarr", "lost", remedy="another output"):
            denoiser.denoise(given, to=Destination(target, overwrite=True))
    np.testing.assert_array_equal(image[...], values)
    denoiser.denoise(given, to=tmp_path / "image.zarr.denoised.zarr")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ome_version": "0.6"},
        {"spacing": {"Y": "a"}},
        {"spacing": {"Y": 0.0, "X": 1.0}},
        {"spacing": {"X": float("nan")}},
        {"spacing": {"C": 1.0}},
        {"origin": {"X": float("inf")}},
    ],
)
def test_what_an_image_on_disk_cannot_say_is_refused(wrong, refused, tmp_path):
    with refused(*(str(value) for value in wrong.values())):
        Destination(tmp_path / "a.zarr", **wrong)


def test_what_is_no_path_is_refused(untrained, refused):
    with refused("3", remedy="path"):
        untrained("plain").denoise(grey((30, 20)), to=3)
    with refused("device", "3"):
        untrained("plain").denoise(grey((30, 20)), device=3)


def test_files_of_an_image_are_found(tmp_path):
    np.save(tmp_path / "a.npy", grey((5, 6)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert window_reader.files_of(mapped) == [tmp_path / "a.npy"]
    assert window_reader.files_of(grey((5, 6))) == []
    assert window_reader.files_of(zarr.create_array({}, data=grey((5, 6)))) == []


def test_a_damaged_record_is_refused(untrained, tmp_path, refused):
    image, denoiser, path = grey((60, 70)), untrained("classic"), tmp_path / "a.zarr"
    denoiser.denoise(image, to=path, **EXACT)
    (path / done_record.FILE_NAME).write_text("{")
    with refused(done_record.FILE_NAME, remedy="overwrite"):
        denoiser.denoise(image, to=path, **EXACT)
    denoiser.denoise(image, to=Destination(path, overwrite=True), **EXACT)


def test_axes_that_ome_zarr_has_not_and_a_missing_folder_are_refused(untrained, tmp_path, refused):
    with refused("NCYX"):
        untrained("classic").denoise(grey((2, 2, 30, 40)), axes="NCYX", to=tmp_path / "a.zarr")
    with refused("no folder", "nowhere"):
        untrained("classic").denoise(grey((30, 40)), to=tmp_path / "nowhere" / "a.zarr")
    assert not list(tmp_path.iterdir())


def test_two_runs_at_one_place_are_refused(untrained, tmp_path, refused):
    image, denoiser, path = grey((150, 170)), untrained("classic"), tmp_path / "a.zarr"
    settings = PredictSettings(64, **EXACT)
    steps = to_disk.begin(denoiser, image, path, settings=settings).steps()
    next(steps)
    with refused(path, "Another run"):
        drain(to_disk.begin(denoiser, image, path, settings=settings).steps())
    drain(steps)


# ---- disks


def test_the_free_space_is_checked_first(untrained, tmp_path, refused, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=20_000))
    with refused(tmp_path, "up to 0.1 MB", "0.0 MB are free", remedy="dtype"):
        untrained("classic").denoise(grey((150, 170)), to=tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["chunk", "record"])
def test_a_full_disk_is_said_and_finished_tiles_stay(
    untrained, tmp_path, refused, monkeypatch, counted, where
):
    image, denoiser, path = grey((150, 170)), untrained("residual"), tmp_path / "a.zarr"
    whole = denoiser.denoise(image, tile=64, to=tmp_path / "b.zarr", **EXACT).compute()
    counted.clear()
    room = [4]

    def full(*_args, **_more):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")

    owner, name = {
        "chunk": (disk_job.disk, "settle"),
        "record": (done_record.DoneRecord, "save"),
    }[where]
    usual = getattr(owner, name)

    def failing(*args):
        full()
        return usual(*args)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, failing)
        if where == "record":  # the file itself, not our function
            patched.undo()
            os_open = done_record.replacing

            def replacing(target):
                if target.parent == path:
                    full()
                return os_open(target)

            patched.setattr(done_record, "replacing", replacing)
            with pytest.raises((DenoisingError, OSError)):
                denoiser.denoise(image, tile=64, to=path, **EXACT)
        else:
            with refused(path, "No space left", "are free there", remedy="goes on"):
                denoiser.denoise(image, tile=64, to=path, **EXACT)
    before = len(counted)
    made = denoiser.denoise(image, tile=64, to=path, **EXACT)
    assert len(counted) - before == 9 - 4
    np.testing.assert_array_equal(made.compute(), whole)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_disk_is_said(untrained, tmp_path, refused):
    tmp_path.chmod(0o500)
    try:
        with refused(tmp_path, "denied"):
            untrained("classic").denoise(grey((60, 70)), to=tmp_path / "a.zarr")
    finally:
        tmp_path.chmod(0o700)


# ---- images that cannot be read, or change


@pytest.fixture
def on_disk(tmp_path):
    image = grey((4, 150, 170), "u2")
    array = zarr.create_array(
        tmp_path / "in.zarr", data=image, chunks=(2, 50, 50), compressors=zarr.codecs.ZstdCodec()
    )
    return image, array


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_a_chunk_that_cannot_be_read_is_named_and_the_rest_kept(
    untrained, tmp_path, refused, on_disk, counted, kind
):
    image, array = on_disk
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    source = array if kind == "zarr" else da.from_array(array, chunks=array.chunks)
    whole = denoiser.denoise(image, tile=64, to=tmp_path / "b.zarr", **EXACT).compute()
    job = to_disk.begin(denoiser, source, path, settings=PredictSettings(64, **EXACT))
    damaged = tmp_path / "in.zarr" / "c" / "1" / "2" / "1"
    good = damaged.read_bytes()
    damaged.write_bytes(b"rubbish")
    counted.clear()
    name = "c/1/2/1" if kind == "zarr" else "chunk (1, 2, 1)"
    with refused("could not be read", name, remedy="kept"):
        drain(job.steps())
    assert len(counted) >= 18  # those of the first two planes
    with refused("could not be read", name):
        denoiser.denoise(source, tile=64, to=tmp_path / "c.zarr", **EXACT)
    assert not (tmp_path / "c.zarr").exists()
    damaged.write_bytes(good)
    made = denoiser.denoise(source, tile=64, to=path, **EXACT)
    assert len(counted) == 36
    np.testing.assert_array_equal(made.compute(), whole)


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_an_image_that_shrinks_is_noticed(untrained, tmp_path, refused, on_disk, kind):
    _, array = on_disk
    source = array if kind == "zarr" else da.from_array(array, chunks=array.chunks)
    job = to_disk.begin(
        untrained("classic"), source, tmp_path / "a.zarr", settings=PredictSettings(64, **EXACT)
    )
    steps = job.steps()
    next(steps)
    zarr.open_array(tmp_path / "in.zarr").resize((3, 150, 170))
    with refused("changed while it was read", "(4, 150, 170)", "(3, 150, 170)"):
        drain(steps)
    assert 0 < job.folder.record.finished < 1


def test_a_mapped_file_that_shrinks_is_noticed_before_it_is_read(untrained, tmp_path, refused):
    np.save(tmp_path / "a.npy", grey((150, 170)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    reader = window_reader.WindowReader(mapped, untrained("classic").resolve(mapped, None).layout)
    reader.check_unchanged()
    os.truncate(tmp_path / "a.npy", 5000)
    with refused("changed while it was read", "a.npy", "5000"):
        reader.check_unchanged()


def test_an_image_whose_values_change_is_noticed(untrained, tmp_path, refused):
    image = grey((150, 170))
    job = to_disk.begin(
        untrained("classic"), image, tmp_path / "a.zarr", settings=PredictSettings(64, **EXACT)
    )
    steps = job.steps()
    next(steps)
    image += 1
    with refused("changed while it was read", "a.zarr"):
        drain(steps)
    assert job.folder.record.finished == 0


def test_chunks_that_hold_many_planes_are_read_once_for_all_of_them(untrained, tmp_path):
    image = grey((12, 60, 70))
    reads = []

    class Counted(Lazy):
        chunks = (6, 60, 70)

        def __getitem__(self, index):
            reads.append(index)
            return super().__getitem__(index)

    source = Counted(image)
    job = to_disk.begin(
        untrained("classic"), source, tmp_path / "a.zarr", settings=PredictSettings(32, **EXACT)
    )
    reads.clear()
    drain(job.steps())
    tiles = 2 * 3
    sampled = 12  # at the end, to see that it did not change
    assert len(reads) == 2 * tiles + sampled
    np.testing.assert_allclose(
        job.stored().array.compute(), untrained("classic").denoise(image, **EXACT), rtol=1e-4
    )


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
def test_kill_9_at_random_moments_costs_unfinished_tiles_only():
    """The long form, with 50 kills, is benchmarks/kills.py itself."""
    script = Path(__file__).parents[1] / "benchmarks" / "kills.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "2", "--side", "192"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("| 2 |")


def test_a_disk_that_turns_read_only_is_said(untrained, tmp_path, refused, monkeypatch):
    def read_only(*_args, **_more):
        raise OSError(30, "Read-only file system")

    path = tmp_path / "a.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(zarr, "open_group", read_only)
        with refused(path, "Read-only file system", remedy="may be written to"):
            untrained("classic").denoise(grey((60, 70)), to=path, **EXACT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tiff", "a.PNG", "a.npy"])
def test_a_folder_is_not_named_like_a_file(untrained, tmp_path, refused, name):
    with refused(name, remedy=".ome.zarr"):
        untrained("residual").denoise(grey((64, 64)), to=tmp_path / name)
    assert not list(tmp_path.iterdir())
