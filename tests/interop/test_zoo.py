"""Packages of bioimage.io whose network is none of ours: run tile by tile, as its library does."""

import functools
import zipfile

import dask.array
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner
from zoo_packages import FREE, REACH, write_package

from napari_ae_denoise import Denoiser, TrainingData, TrainSettings, train
from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.interop import zoo_network
from napari_ae_denoise.interop.exports import export_model

for name in ("bioimageio.core", "onnx", "onnxruntime"):
    pytest.importorskip(name, reason=f"{name} is not installed: extra bioimageio")

pytestmark = [  # files that the zoo's library leaves open; its and its peers' own deprecations
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

OPTIONS = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def foreign(tmp_path):
    """Return a function that writes a package of another's network."""
    return functools.partial(write_package, tmp_path)


def noisy(channels=1, size=(120, 96)):
    """Return (Y, X) or (Y, X, channels) float32 of sizes that parametrized packages allow."""
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(0).normal(300, 40, shape).astype(np.float32)


def by_the_zoo(path, image, order):
    """Return what the zoo's own library makes of a whole image."""
    from bioimageio.core import predict

    given = image[..., None] if image.ndim == 2 else image  # Y, X, C
    given = given[None]
    given = (
        given.transpose(["NYXC".index(a) for a in order if a in "NYXC"])
        if set(order) == set("NYXC")
        else given.reshape([given.shape["NYXC".index(a)] for a in "YX"]).transpose(
            ["YX".index(a) for a in order]
        )
    )
    sample = predict(model=path, inputs={"image": given})
    made = np.asarray(sample.members["made"].data)
    left = [order.index(a) for a in "YXC" if a in order]
    made = made.reshape([n for a, n in zip(order, made.shape, strict=True) if a != "N"])
    bare = [a for a in order if a != "N"]
    made = made.transpose([bare.index(a) for a in "YXC" if a in bare])
    assert len(left) == made.ndim
    return made.reshape(image.shape)


def inside(array):
    """Cut off what lies so near the edge that padding decides it."""
    return array[REACH:-REACH, REACH:-REACH]


LINEAR = ("scale_linear", {"gain": 0.01, "offset": -3.0})
BACK = ("scale_linear", {"gain": 100.0, "offset": 300.0})
FIXED = ("fixed_zero_mean_unit_variance", {"mean": 290.0, "std": 44.0})
APART = {"axis": "channel", "gain": [0.01, 0.02, 0.005], "offset": [-3.0, -6.0, -1.5]}
APART_BACK = {"axis": "channel", "gain": [100.0, 50.0, 200.0], "offset": [300.0, 300.0, 300.0]}
MAPPED_BACK = {  # by the package itself: then ours are its numbers
    "as it is": ({}, 1),
    "linear": ({"before": [LINEAR], "after": [BACK]}, 1),
    "fixed mean": ({"before": [FIXED], "after": [BACK, ("clip", {"min": 200.0, "max": 400.0})]}, 1),
    "axes in another order": ({"order": "NXYC", "before": [LINEAR], "after": [BACK]}, 1),
    "a plane alone": ({"order": "XY", "before": [LINEAR], "after": [BACK]}, 1),
    "colours": (
        {
            "order": "NYXC",
            "before": [("scale_linear", APART)],
            "after": [("scale_linear", APART_BACK)],
        },
        3,
    ),
}


@pytest.mark.parametrize("name", MAPPED_BACK)
def test_the_result_is_that_of_the_zoos_library(name, foreign):
    how, channels = MAPPED_BACK[name]
    path = foreign(channels=channels, **how)
    image = noisy(channels)
    made = Denoiser.load(path).denoise(image, **OPTIONS)
    assert made.dtype == image.dtype
    theirs = by_the_zoo(path, image, how.get("order", "NCYX"))
    np.testing.assert_allclose(inside(made), inside(theirs), atol=1e-4 * np.ptp(theirs))


WHOLE = {"axes": ["channel", "y", "x"]}
SPREAD = ("scale_range", {"min_percentile": 1.0, "max_percentile": 99.0, **WHOLE})
UNDONE = {  # not mapped back by the package: ours undoes what was done before the network
    "percentiles": ([SPREAD], lambda x: np.percentile(x, [1, 99])),
    "mean": ([("zero_mean_unit_variance", WHOLE)], lambda x: (x.mean(), x.mean() + x.std())),
    "fixed": ([FIXED], lambda x: (290, 334)),
}


@pytest.mark.parametrize("name", UNDONE)
def test_what_was_done_before_the_network_is_undone_after_it(name, foreign):
    before, limits = UNDONE[name]
    path = foreign(before=before, halo=0)  # what the library pads it would measure, too
    image = noisy()
    low, high = limits(image.astype(np.float64))
    made = Denoiser.load(path).denoise(image, **OPTIONS)
    theirs = by_the_zoo(path, image, "NCYX") * (high - low) + low
    np.testing.assert_allclose(inside(made), inside(theirs), atol=1e-4 * np.ptp(theirs))


@pytest.mark.parametrize("size", [FREE, 40, {"min": 20, "step": 12}], ids=str)
@pytest.mark.parametrize("shape", [(50, 61), (131, 90)])
def test_tiles_do_not_show(size, shape, foreign):
    denoiser = Denoiser.load(foreign(size=size, before=[SPREAD]))
    image = noisy(size=shape)
    # the graph itself, on the image with its true surroundings
    whole = Denoiser.load(foreign(before=[SPREAD])).denoise(image, tile=1024, **OPTIONS)
    for tile in (24, 64, 1024):
        made = denoiser.denoise(image, tile=tile, **OPTIONS)
        np.testing.assert_allclose(made, whole, atol=1e-4 * np.ptp(whole))


def test_a_halo_that_is_not_stated_is_measured(foreign):
    path = foreign(halo=0)
    assert Denoiser.load(path).network.reach == REACH
    image = noisy()
    made = Denoiser.load(path).denoise(image, tile=32, **OPTIONS)
    theirs = by_the_zoo(path, image, "NCYX")
    np.testing.assert_allclose(inside(made), inside(theirs), atol=1e-4 * np.ptp(theirs))


def test_a_stack_goes_lazily_and_to_disk_and_keeps_its_type(foreign, tmp_path):
    denoiser = Denoiser.load(foreign(before=[SPREAD]))
    stack = np.random.default_rng(1).integers(0, 4000, (3, 70, 64), np.uint16)
    made = denoiser.denoise(stack, axes="ZYX", **OPTIONS)
    assert (made.dtype, made.shape) == (stack.dtype, stack.shape)
    lazy = denoiser.denoise(dask.array.from_array(stack, chunks=(1, 32, 64)), axes="ZYX", **OPTIONS)
    np.testing.assert_allclose(lazy.compute(), made, atol=1)
    on_disk = denoiser.denoise(stack, axes="ZYX", to=tmp_path / "clean.ome.zarr", **OPTIONS)
    np.testing.assert_allclose(on_disk.compute(), made, atol=1)


def test_the_command_line_denoises_with_it(foreign, tmp_path):
    model = str(foreign(before=[LINEAR], after=[BACK]))
    image = noisy()
    tifffile.imwrite(tmp_path / "noisy.tif", image)
    write_image(tmp_path / "noisy.ome.zarr", image, axes="YX")
    for name in ("noisy.tif", "noisy.ome.zarr"):
        target = tmp_path / f"clean-{name}"
        words = ["denoise", str(tmp_path / name), "-m", model, "-o", str(target)]
        done = CliRunner().invoke(app, [*words, "--device", "cpu"])
        assert done.exit_code == 0, done.output
        theirs = by_the_zoo(model, image, "NCYX")
        made = np.asarray(read_image(target).array)
        np.testing.assert_allclose(inside(made), inside(theirs), atol=1e-4 * np.ptp(theirs))
    told = CliRunner().invoke(app, ["info", model])
    assert "another family" in told.output
    assert "model of others" in told.output


def test_what_only_our_own_can_is_refused(foreign, tmp_path, refused):
    denoiser = Denoiser.load(foreign())
    image = noisy()
    for ask in (
        lambda: denoiser.encode(image),
        lambda: denoiser.decode(image),
        lambda: list(denoiser.predict_steps(image, code=True)),
    ):
        with refused("no latent code"):
            ask()
    with refused("model of others", "saved"):
        denoiser.save(tmp_path / "mine.safetensors")
    with refused("model of others", "exported"):
        export_model(denoiser, tmp_path / "mine.onnx")
    with refused("model of others", "trained further"):
        train(TrainingData(clean=image), TrainSettings(steps=1), start=denoiser)
    tifffile.imwrite(tmp_path / "noisy.tif", image)
    words = ["denoise", str(tmp_path / "noisy.tif"), "-m", str(tmp_path / "others.zip")]
    words += ["-o", str(tmp_path / "clean.tif"), "--latent", str(tmp_path / "code.tif")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "latent code" in done.output
    assert not (tmp_path / "clean.tif").exists()


def segmentation(facts):
    facts["outputs"][0]["data"] = {"type": "uint8", "values": [0, 1, 2]}


def two_outputs(facts):
    facts["outputs"].append({**facts["outputs"][0], "id": "second"})


def other_channels(facts):
    facts["outputs"][0]["axes"][1]["channel_names"] = ["foreground", "edge"]


def volumes(facts):
    for tensor in (facts["inputs"][0], facts["outputs"][0]):
        tensor["axes"].insert(2, {"type": "space", "id": "z", "size": 16})
        path = tensor["test_tensor"]["source"].with_name("volume.npy")
        np.save(path, np.ones((1, 1, 16, 48, 48), np.float32))
        tensor["test_tensor"] = {"source": path}


def twice_as_large(facts):
    for axis in facts["outputs"][0]["axes"][2:]:
        axis["scale"] = 0.5
        axis.pop("halo", None)


def torchscript(facts):
    path = facts["weights"].pop("onnx")["source"]
    facts["weights"]["torchscript"] = {"source": path, "pytorch_version": "2.6"}


REFUSED = {
    "segmentation": ({"change": segmentation}, "labels"),
    "two outputs": ({"change": two_outputs}, "2 outputs"),
    "other channels": ({"change": other_channels}, "2 channels of 1"),
    "volumes": ({"change": volumes}, '"z"'),
    "another size": ({"change": twice_as_large}, "not as large"),
    "weights that are a program": ({"change": torchscript}, "torchscript"),
    "probabilities": ({"after": [("sigmoid", {})]}, '"sigmoid"'),
    "statistics of the result": (
        {"after": [("scale_mean_variance", {"reference_tensor": "image"})]},
        '"scale_mean_variance"',
    ),
    "each column apart": (
        {"before": [("zero_mean_unit_variance", {"axes": ["channel", "y"]})]},
        'along "x" apart',
    ),
    "whole numbers": ({"before": [("ensure_dtype", {"dtype": "uint8"})]}, "uint8"),
    "a range there, numbers back": ({"before": [SPREAD], "after": [BACK]}, "own range"),
    "measured after a map": ({"before": [LINEAR, SPREAD]}, "not the first"),
    "a clip that nothing undoes": ({"before": [("clip", {"min": 0.0, "max": 1.0})]}, "undone"),
    "all of the image": ({"whole": True, "halo": 0}, "no halo"),
    "weights in another file": ({"external": True}, "other files"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_go_through_tile_by_tile_is_refused_with_its_reason(
    name, foreign, refused, monkeypatch
):
    import bioimageio.spec

    how, words = REFUSED[name]
    # the library must not refuse it already as it is written: its tests are not our matter
    context = bioimageio.spec.ValidationContext(perform_io_checks=False)
    with context:
        path = foreign(**how)
    with refused("model of others" if "files" not in words else "ONNX", words):
        Denoiser.load(path)


def test_a_description_that_the_zoo_refuses_is_refused(foreign, refused):
    path = foreign()
    broken = path.with_name("broken.zip")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(broken, "w") as made:
        for name in archive.namelist():
            text = archive.read(name)
            made.writestr(name, text.replace(b"min: 24", b"min: -1"))
    with refused(broken, "bioimageio.spec refuses"):
        Denoiser.load(broken)


def test_a_graph_that_is_damaged_is_refused(foreign, refused):
    path = foreign()
    broken = path.with_name("broken.zip")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(broken, "w") as made:
        for name in archive.namelist():
            blob = archive.read(name)
            made.writestr(name, blob[: len(blob) // 2] if name.endswith(".onnx") else blob)
    with refused("ONNX"):
        Denoiser.load(broken)


@pytest.mark.parametrize("where", ["initializer", "constant"])
def test_sparse_numbers_in_other_files_are_refused(refused, where):
    from onnx import TensorProto, helper

    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    sparse = helper.make_sparse_tensor(
        values, helper.make_tensor("i", TensorProto.INT64, [1], [0]), [4]
    )
    sparse.values.ClearField("float_data")
    sparse.values.data_location = TensorProto.EXTERNAL
    sparse.values.external_data.add(key="location", value="/etc/passwd")
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    nodes = []
    if where == "constant":
        nodes = [helper.make_node("Constant", [], ["y"], sparse_value=sparse)]
    graph = helper.make_graph(nodes, "g", [], [result])
    if where == "initializer":
        graph.sparse_initializer.append(sparse)
    with refused("other files"):
        zoo_network._check_graph(helper.make_model(graph).SerializeToString())
