"""Many images in one command: patterns, several at once, those that fail, and the report."""

import re
import signal
import subprocess
import sys
import time
import urllib.parse

import dask
import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from napari_ae_denoise import batch_report
from napari_ae_denoise._cli import batch
from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import find_images, read_image, write_image
from napari_ae_denoise.output_names import each_once


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def scans(tmp_path, untrained):
    """A folder of three images and a damaged one, and a model."""
    untrained("plain").save(tmp_path / "m.safetensors")
    folder = tmp_path / "scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.tif", "b.ome.tif", "sub/c.tif"):
        (folder / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(folder / name, rng.integers(0, 4000, (40, 50), np.uint16))
    (folder / "broken.tif").write_bytes(b"II*\x00 and no more")
    return folder


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_outputs_are_named_by_a_pattern(run, scans, tmp_path):
    done = run("denoise", scans / "a.tif", scans / "b.ome.tif", "-m", "m.safetensors", "-o",
               "out/{folder}/{stem}_clean{suffix}", "--latent", "out/{stem}_code.npy")  # fmt: skip
    assert done.exit_code == 0, done.output
    made = ["a_code.npy", "b_code.npy", "scans/a_clean.tif", "scans/b_clean.ome.tif"]
    assert names(tmp_path / "out") == made


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "model"),
    [
        ("photo.png", (64, 70, 3), "uint8", "natural-rgb"),
        ("photo.jpg", (64, 70), "uint8", "natural-gray"),
        ("stack.tif", (2, 64, 70), "uint16", "microscopy"),
    ],
)
def test_without_a_model_the_one_that_fits_is_taken(name, shape, dtype, model, run, tmp_path):
    rng = np.random.default_rng(0)
    write_image(tmp_path / name, rng.normal(120, 20, shape).astype(dtype))
    output = f"clean{name[-4:]}"
    done = run("denoise", name, "-o", output)
    assert done.exit_code == 0, done.output
    assert f"{model} is taken" in done.stderr
    assert run("denoise", name, "-m", model, "-o", f"b{output}").exit_code == 0
    made, named = (np.asarray(read_image(n).array) for n in (output, f"b{output}"))
    np.testing.assert_array_equal(made, named)


def test_without_a_model_and_an_image_it_is_said(run, scans):
    done = run("denoise", scans / "broken.tif", "-o", "clean.tif")
    assert done.exit_code == 1
    assert "broken.tif" in done.stderr
    done = run("denoise", scans / "broken.tif", scans / "a.tif", "-o", "clean")
    assert "microscopy is taken" in done.stderr
    assert "1 of 2 images failed" in done.stderr


@pytest.mark.parametrize("output", ["new/", "new", "deep/er/"])
def test_one_image_goes_into_a_folder_that_is_made(output, run, scans, tmp_path):
    words = ("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", output)
    done = run(*words, "--latent", "codes/")
    assert done.exit_code == 0, done.output
    assert names(tmp_path / output) == ["a.tif"]
    assert names(tmp_path / "codes") == ["a_latent.tif"]
    again = run(*words)
    assert again.exit_code == 1
    assert "is there already" in again.stderr


def test_a_file_without_an_ending_is_no_folder(run, scans, tmp_path):
    (tmp_path / "notes").write_text("mine")
    done = run("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", "notes")
    assert done.exit_code == 1
    assert "notes is a file, but has no ending" in done.stderr
    assert ".tif" in done.stderr
    assert (tmp_path / "notes").read_text() == "mine"


def test_an_image_that_is_named_twice_is_denoised_once(run, scans, tmp_path):
    twice = ("scans/b.ome.tif", scans / "a.tif", "scans/../scans/a.tif", "scans/b.*")
    done = run("denoise", *twice, "-m", "m.safetensors", "-o", "out")
    assert done.exit_code == 0, done.output
    assert names(tmp_path / "out") == ["a.tif", "b.ome.tif"]
    assert [p.name for p in each_once(find_images(twice))] == ["b.ome.tif", "a.tif"]


@pytest.mark.parametrize(
    "pattern",
    ["{stem", "{nothing}.tif", "{stem!r}.tif", "{0}.tif", "{}.tif", "{stem:>999999999999}.tif"],
)
def test_a_pattern_that_is_none_is_refused(pattern, run, scans):
    done = run("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", pattern)
    assert done.exit_code == 1
    assert "{stem}" in done.stderr
    assert "{suffix}" in done.stderr


@pytest.mark.parametrize("output", ["x" * 300 + ".tif", "{stem}" + "x" * 300 + ".tif", "x" * 300])
def test_a_name_that_is_too_long_is_refused(output, run, scans):
    done = run("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", output)
    assert done.exit_code == 1
    assert "shorter name" in done.stderr
    assert "report it" not in done.stderr


def test_two_images_of_one_name_are_refused(run, scans):
    (scans / "sub" / "c.tif").rename(scans / "sub" / "a.tif")
    both = (scans / "a.tif", scans / "sub" / "a.tif")
    done = run("denoise", *both, "-m", "m.safetensors", "-o", "out/{stem}.tif")
    assert done.exit_code == 1
    assert "would both be written" in done.stderr


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_there_is_skipped(jobs, run, scans, tmp_path):
    words = ("denoise", scans / "*.tif", "-m", "m.safetensors", "-o", "out/{name}", "--jobs", jobs)
    (scans / "broken.tif").unlink()
    first = run(*words[:1], scans / "a.tif", *words[2:])
    assert first.exit_code == 0, first.output
    before = (tmp_path / "out" / "a.tif").stat().st_mtime_ns
    again = run(*words, "--skip-existing")
    assert again.exit_code == 0, again.output
    assert "a.tif: skipped, a.tif is there already." in again.stderr
    assert (tmp_path / "out" / "a.tif").stat().st_mtime_ns == before
    assert (tmp_path / "out" / "b.ome.tif").exists()
    both = run(*words, "--skip-existing", "--overwrite")
    assert both.exit_code == 2
    assert "not both" in both.stderr


def test_patterns_of_inputs_are_expanded(scans, refused):
    found = find_images([scans / "*.tif"])
    assert [p.name for p in found] == ["a.tif", "b.ome.tif", "broken.tif"]
    assert len(find_images([scans / "**" / "[ac].tif"])) == 2
    with refused("fits no file", remedy=".tif"):
        find_images([scans / "*.png"])
    odd = scans / "a[1].tif"  # a name like a pattern, but it is there
    odd.write_bytes(b"x")
    assert find_images([odd]) == [odd]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_image_that_fails_is_reported_and_the_rest_goes_on(jobs, run, scans, tmp_path):
    done = run("denoise", scans, "-m", "m.safetensors", "-o", "out", "--jobs", jobs)
    assert done.exit_code == 1
    assert "broken.tif" in done.stderr
    assert "1 of 3 images failed" in done.stderr
    assert names(tmp_path / "out") == ["a.tif", "b.ome.tif"]
    single = run("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", "alone.tif")
    assert single.exit_code == 0
    several, alone = (read_image(p).array for p in (tmp_path / "out" / "a.tif", "alone.tif"))
    np.testing.assert_array_equal(several, alone)


@pytest.mark.parametrize("name", ["report.html", "pages/report.md"])
def test_the_report_shows_each_image_and_what_failed(name, run, scans, tmp_path):
    words = ("denoise", scans, "-m", "m.safetensors", "-o", "out", "--report", name)
    assert run(*words).exit_code == 1
    page = (tmp_path / name).read_text(encoding="utf-8")
    assert "2 of 3 images denoised" in page
    assert "broken.tif" in page
    assert "40 x 50" in page
    assert page.count("uint16") == 2
    folder = "../out" if "/" in name else "out"
    assert f"{folder}/b.ome.tif" in page
    if name.endswith(".html"):
        assert page.count("data:image/png;base64,") == 2
    else:
        pictures = re.findall(r"!\[\]\((.+?)\)", page)
        shapes = [read_image((tmp_path / name).parent / p).array.shape for p in pictures]
        assert shapes == [(40, 100)] * 2
    assert run(*words).exit_code == 1, "a report that is there is not replaced"


def test_a_name_cannot_break_the_page(run, scans, tmp_path):
    (scans / "a.tif").rename(scans / "a&b #1 100%?.tif")
    run("denoise", scans, "-m", "m.safetensors", "-o", "out", "--report", "r 1.html")
    page = (tmp_path / "r 1.html").read_text(encoding="utf-8")
    assert "a&amp;b #1 100%?.tif" in page
    assert "a&b" not in page
    links = re.findall('href="(.+?)"', page)
    targets = [tmp_path / urllib.parse.unquote(urllib.parse.urlsplit(link).path) for link in links]
    assert len(targets) == 2
    assert all(target.is_file() for target in targets)
    assert run("denoise", scans / "b.ome.tif", "-m", "m.safetensors", "-o", "b.tif", "--report",
               "r 1.md").exit_code == 0  # fmt: skip
    (picture,) = re.findall(r"!\[\]\((.+?)\)", (tmp_path / "r 1.md").read_text(encoding="utf-8"))
    assert " " not in picture
    assert (tmp_path / urllib.parse.unquote(picture)).is_file()


def test_a_result_to_which_no_way_leads_is_named_in_full(monkeypatch, tmp_path):
    def refuse(*_paths):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(batch_report.os.path, "relpath", refuse)
    assert batch_report._relative(tmp_path / "a.tif", tmp_path) == str(tmp_path / "a.tif")


def test_a_fault_of_ours_costs_one_image(run, scans, tmp_path, monkeypatch):
    usual = batch.denoise_file

    def fails(denoiser, path, *more):
        if path.name == "a.tif":
            raise ZeroDivisionError("by nothing")
        return usual(denoiser, path, *more)

    monkeypatch.setattr(batch, "denoise_file", fails)
    done = run("denoise", scans, "-m", "m.safetensors", "-o", "out")
    assert done.exit_code == 1
    assert "a.tif: ZeroDivisionError: by nothing. This should not happen" in done.stderr
    assert names(tmp_path / "out") == ["b.ome.tif"]


@pytest.mark.parametrize(("axes", "shape"), [("YXC", (30, 31, 3)), ("ZYX", (3, 30, 31))])
def test_stacks_and_colours_are_reported(axes, shape, run, scans, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    photometric = "rgb" if axes == "YXC" else "minisblack"
    tifffile.imwrite(tmp_path / "in.tif", image, photometric=photometric)
    done = run("denoise", "in.tif", "-m", "m.safetensors", "-o", "o.tif", "--report", "r.md",
               "--axes", axes)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert read_image(tmp_path / "r_files" / "0000.png").array.shape[:2] == (30, 62)


def bright_square(size, corner):
    """Return a dark noisy image with a bright square, to be found again in a picture."""
    image = np.random.default_rng(0).normal(40, 3, (size, size))
    image[corner : corner + size // 4, corner : corner + size // 4] += 150
    return image.astype(np.uint8)


def halves(path):
    picture = np.asarray(read_image(path).array, float)
    return np.split(picture, 2, axis=1)


def test_the_report_of_a_level_compares_the_same_places(run, tmp_path):
    group = zarr.open_group(tmp_path / "p.ome.zarr", mode="w", zarr_format=2)
    small = bright_square(320, 60)
    levels = [np.kron(small, np.ones((2, 2), np.uint8)), small]
    for number, image in enumerate(levels):
        group.create_array(str(number), data=image)
    paths = [{"path": str(number)} for number in range(2)]
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": paths}]
    done = run("denoise", "p.ome.zarr", "-m", "microscopy", "-o", "l.ome.zarr", "--level", 1,
               "--report", "r.md")  # fmt: skip
    assert done.exit_code == 0, done.output
    noisy, clean = halves(tmp_path / "r_files" / "0000.png")
    assert np.corrcoef(noisy.ravel(), clean.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("output", ["o.ome.tif", "o.ome.zarr", "o.npy"])
def test_the_report_shows_colours_however_they_lie_in_the_result(output, run, tmp_path):
    image = np.stack([bright_square(64, corner) for corner in (8, 24, 40)], axis=-1)
    tifffile.imwrite(tmp_path / "rgb.ome.tif", image, photometric="rgb")
    done = run("denoise", "rgb.ome.tif", "-m", "natural-rgb", "-o", output, "--dtype", "float32",
               "--report", "r.md")  # fmt: skip
    assert done.exit_code == 0, done.output
    noisy, clean = halves(tmp_path / "r_files" / "0000.png")
    assert noisy.shape == (64, 64, 3)
    assert np.corrcoef(noisy.ravel(), clean.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["r.html", "r.md"])
def test_what_fails_in_a_report_costs_one_picture(name, run, scans, tmp_path, monkeypatch):
    whole = batch_report._picture

    def fails_once(noisy, clean, failed=[]):  # noqa: B006 (remembers that it has failed)
        if not failed:
            failed.append(True)
            raise IndexError("nobody thought of <this>")
        return whole(noisy, clean)

    monkeypatch.setattr(batch_report, "_picture", fails_once)
    both = (scans / "a.tif", scans / "b.ome.tif")
    done = run("denoise", *both, "-m", "m.safetensors", "-o", "out", "--report", name)
    assert done.exit_code == 0, done.output
    page = (tmp_path / name).read_text(encoding="utf-8")
    assert "2 of 2 images denoised" in page
    assert "No picture: IndexError: nobody thought of" in page
    assert page.count("image/png" if name == "r.html" else "![]") == 1


def test_a_report_of_another_kind_is_refused_before_any_work(run, scans, tmp_path):
    words = ("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", "o.tif", "--report", "r.pdf")
    done = run(*words)
    assert done.exit_code == 1
    assert ".html" in done.stderr
    assert not (tmp_path / "o.tif").exists()


def test_a_cluster_gives_the_same_and_reports_what_failed(run, scans, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=None,
        memory_limit=None,
    ) as cluster:
        words = ("-m", "m.safetensors", "--scheduler", cluster.scheduler_address)
        done = run("denoise", scans, *words, "-o", "out", "--report", "r.html")
    assert done.exit_code == 1
    assert "broken.tif" in done.stderr
    assert "1 of 3 images failed" in done.stderr
    assert names(tmp_path / "out") == ["a.tif", "b.ome.tif"]
    assert "2 of 3 images denoised" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert run("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", "alone.tif").exit_code == 0
    there, alone = (read_image(p).array for p in (tmp_path / "out" / "a.tif", "alone.tif"))
    np.testing.assert_array_equal(there, alone)


def test_a_scheduler_that_is_none_is_refused(run, scans, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(batch, "_PATIENCE", 1)
    words = ("denoise", scans / "a.tif", "-m", "m.safetensors", "-o", "o.tif", "--scheduler")
    for address in ("nonsense://here", "tcp://127.0.0.1:1"):
        done = run(*words, address)
        assert done.exit_code == 1
        assert "dask scheduler" in done.stderr
        assert dask.config.get("scheduler", None) is None  # later work goes on without one
    assert run(*words, "tcp://127.0.0.1:1", "--jobs", 2).exit_code == 2


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_cancels_the_work_and_leaves_the_cluster(scans, tmp_path):
    distributed = pytest.importorskip("distributed")
    many = tmp_path / "many"
    many.mkdir()
    for number in range(40):
        image = np.random.default_rng(number).integers(0, 4000, (400, 400), np.uint16)
        tifffile.imwrite(many / f"{number:02}.tif", image)
    out = tmp_path / "out"
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=None,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        words = ["denoise", many, "-m", tmp_path / "m.safetensors", "-o", out, "--tile", 16]
        words += ["--scheduler", cluster.scheduler_address]
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_ae_denoise.cli", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: finished_in(out) or process.poll() is not None, 120)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "cancelled" in err
        # what the cluster had begun may end; the rest is not begun, and the cluster lives
        until(lambda: not any(client.processing().values()), 60)
        finished = finished_in(out)
        assert 0 < len(finished) < 40
        time.sleep(2)
        assert len(finished_in(out)) <= len(finished) + 1  # the worker's only thread had begun one
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
    for name in finished:  # whole files, and nothing in part
        assert read_image(out / name).array.shape == (400, 400)


def finished_in(folder):
    """Return the names of the files that are whole: one that is being written begins with a dot."""
    return [name for name in names(folder) if not name.startswith(".")]


def until(happened, seconds):
    """Wait for something."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"nothing within {seconds} seconds"
        time.sleep(0.02)
