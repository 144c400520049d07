"""Packages of bioimage.io: its own validator passes them, and gives what `denoise` gives."""

import io
import zipfile

import numpy as np
import pytest
import tifffile
import torch
import yaml
from typer.testing import CliRunner

from napari_ae_denoise import Denoiser
from napari_ae_denoise.cli import app
from napari_ae_denoise.interop import bioimageio as ours
from napari_ae_denoise.interop.bioimageio import save_package
from napari_ae_denoise.interop.packages import ATTACHMENT
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization

pytestmark = [  # files that the zoo's library leaves open; its and its peers' own deprecations
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

FIXED = Normalization("fixed", offset=20, scale=180)
SPECS = {
    "residual": (NetworkSpec("residual", widths=(8, 8), blocks=1, skips=True, stem=2), None),
    "fixed map": (NetworkSpec("plain", widths=(4, 6)), FIXED),
    "colours": (NetworkSpec("residual", channels=3, widths=(6,), stem=2, edge="zero"), None),
    "dense": (NetworkSpec("dense", widths=(12,), code_channels=4, image_size=(28, 30)), FIXED),
}


@pytest.fixture(scope="module")
def package(untrained, tmp_path_factory):
    """Return a denoiser of `SPECS` and its package, written once."""
    for name in ("bioimageio.core", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed: extra bioimageio")
    made = {}

    def make(name):
        if name not in made:
            spec, normalization = SPECS[name]
            denoiser = untrained(spec, normalization=normalization).renamed(f"a {name} model")
            path = tmp_path_factory.mktemp("packages") / "model.zip"
            save_package(denoiser, path, authors=["A. Uthor"], licence="CC-BY-4.0")
            made[name] = denoiser, path
        return made[name]

    return make


def denoised(denoiser, image):
    """Return what a denoiser makes of (channels, Y, X), in the same axes."""
    colours = image.shape[0] == 3
    made = denoiser.denoise(
        image.transpose(1, 2, 0) if colours else image[0],
        axes="YXC" if colours else "YX",
        device="cpu",
        precision="float32",
        noise_model="gaussian",
    )
    return made.transpose(2, 0, 1) if colours else made[None]


def noisy(denoiser):
    """Return an image of a size that its package allows, (channels, Y, X) float32."""
    spec = denoiser.card.network
    stepped = denoiser.card.normalization.kind == "fixed"  # its blocks are multiples of the stride
    size = spec.image_size or ((104, 92) if stepped else (103, 90))
    rng = np.random.default_rng(1)
    return (300 + 40 * rng.standard_normal((spec.channels, *size))).astype(np.float32)


_LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("fixed map", "dense", "colours")]


@pytest.mark.parametrize("name", ["residual", *_LONG])  # seconds each
def test_the_zoos_own_test_passes(name, package):
    from bioimageio.core import test_description as check

    summary = check(package(name)[1])
    assert summary.status == "passed", summary.format()


@pytest.mark.parametrize("weights", ["pytorch_state_dict", "onnx"])
@pytest.mark.parametrize("name", SPECS)
def test_the_zoos_library_gives_what_denoise_gives(name, weights, package):
    from bioimageio.core import create_prediction_pipeline, load_model_description, predict

    denoiser, path = package(name)
    image = noisy(denoiser)
    pipeline = create_prediction_pipeline(load_model_description(path), weight_format=weights)
    sample = predict(model=pipeline, inputs={"image": image[None]})
    made = np.asarray(sample.members["denoised"].data)[0]
    assert np.abs(made - denoised(denoiser, image)).max() < 1e-4 * np.ptp(image)


def test_a_fixed_map_may_be_run_block_by_block(package):
    from bioimageio.core import predict

    denoiser, path = package("fixed map")
    image = noisy(denoiser)
    sample = predict(model=path, inputs={"image": image[None]}, blocksize_parameter=3)
    made = np.asarray(sample.members["denoised"].data)[0]
    assert np.abs(made - denoised(denoiser, image)).max() < 1e-4 * FIXED.scale


def test_only_images_whose_blocks_share_a_map_are_said_to_be_cut(package):
    def said(name):
        with zipfile.ZipFile(package(name)[1]) as archive:
            (rdf,) = (n for n in archive.namelist() if n in ("rdf.yaml", "bioimageio.yaml"))
            record = yaml.safe_load(archive.read(rdf))
            return record["inputs"][0]["axes"][2:], archive.read("README.md").decode()

    axes, page = said("fixed map")
    assert all(axis["concatenable"] for axis in axes)
    assert "may be cut into blocks" in page
    for name in ("residual", "colours", "dense"):
        axes, page = said(name)
        assert not any(axis.get("concatenable") for axis in axes)
        assert "Give whole images" in page


@pytest.mark.parametrize("name", SPECS)
def test_a_package_is_opened_as_any_other_model(name, package):
    denoiser, path = package(name)
    again = Denoiser.load(path)
    assert again.card == denoiser.card
    image = noisy(denoiser)
    np.testing.assert_array_equal(denoised(again, image), denoised(denoiser, image))


def test_what_people_see_is_in_it(package):
    with zipfile.ZipFile(package("residual")[1]) as archive:
        names = set(archive.namelist())
        assert {"cover.png", "README.md", "test_input.npy", "test_output.npy"} <= names
        page = archive.read("README.md").decode()
        (rdf,) = names & {"rdf.yaml", "bioimageio.yaml"}
        record = yaml.safe_load(archive.read(rdf))
        assert len(archive.read("cover.png")) < 500_000
    assert "# Validation" in page
    assert record["authors"][0]["name"] == "A. Uthor"
    assert record["license"] == "CC-BY-4.0"


def test_the_command_writes_a_package_whose_test_is_the_sample(untrained, tmp_path, package):
    package("residual")  # skips without the libraries
    sample = np.random.default_rng(0).integers(0, 4000, (60, 70), np.uint16)
    tifffile.imwrite(tmp_path / "noisy.tif", sample)
    model = untrained("plain").renamed("a small one").save(tmp_path / "mine.safetensors")
    path = tmp_path / "out" / "mine.zip"
    words = ["export", str(model), "--to", "bioimageio", "-o", str(path)]
    more = ["--author", "A. Uthor", "--licence", "MIT", "--sample", str(tmp_path / "noisy.tif")]
    done = CliRunner().invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    assert Denoiser.load(path).card.name == "a small one"
    with zipfile.ZipFile(path) as archive:
        test = np.load(io.BytesIO(archive.read("test_input.npy")))
    np.testing.assert_array_equal(test[0, 0], sample)
    wrong = CliRunner().invoke(app, [*words[:3], "onnx", *words[4:], "--author", "A"])
    assert wrong.exit_code == 2


def test_what_a_package_cannot_hold_is_refused(untrained, tmp_path, package, refused):
    package("residual")
    denoiser, path = untrained("plain"), tmp_path / "mine.zip"
    with refused("(60, 70, 3)", "1 channel", remedy="(Y, X)"):
        save_package(denoiser, path, sample=np.zeros((60, 70, 3)))
    with refused("refuses", remedy="SPDX"):
        save_package(denoiser, path, licence="my own rules")
    assert not path.exists()


def test_without_the_library_it_is_said_what_to_install(untrained, tmp_path, refused, monkeypatch):
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    with refused("bioimageio.core", remedy="napari-ae-denoise[bioimageio]"):
        save_package(untrained("plain"), tmp_path / "model.zip")
    with refused('".tar"', remedy=".zip"):
        save_package(untrained("plain"), tmp_path / "model.tar")


# ---- packages that are not ours, or mean harm


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def described(**changes):
    record = {
        "name": "another model",
        "license": "MIT",
        "weights": {
            "pytorch_state_dict": {
                "source": "weights.pt",
                "architecture": {
                    "import_from": "napari_ae_denoise.interop.grey_values",
                    "callable": "from_records",
                    "kwargs": {
                        "network": {"style": "plain", "widths": [4, 6]},
                        "normalization": {"kind": "percentile"},
                    },
                },
            }
        },
    }
    record["weights"]["pytorch_state_dict"] |= changes
    return yaml.safe_dump(record)


def test_weights_of_one_of_our_networks_are_opened_without_our_file(untrained, tmp_path):
    denoiser = untrained("plain")
    blob = io.BytesIO()
    state = {f"between.network.{n}": t for n, t in denoiser.network.state_dict().items()}
    torch.save(state, blob)
    members = [("rdf.yaml", described()), ("weights.pt", blob.getvalue())]
    again = Denoiser.load(write(tmp_path / "model.zip", members))
    assert (again.card.name, again.card.licence) == ("another model", "MIT")
    image = noisy(denoiser)
    np.testing.assert_array_equal(denoised(again, image), denoised(denoiser, image))


class Harm:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


def harmful_weights():
    blob = io.BytesIO()
    torch.save({"between.network.x": Harm()}, blob)
    return blob.getvalue()


HARMFUL = {
    "no zip": (b"PK\x03\x04 and no more", "cut off"),
    "no description": ([("a.txt", "b")], "rdf.yaml"),
    "above": ([("../rdf.yaml", described())], "outside"),
    "absolute": ([("/etc/rdf.yaml", described())], "outside"),
    "a drive": ([("C:/rdf.yaml", described())], "outside"),
    "backslashes": ([("..\\rdf.yaml", described())], "outside"),
    "twice": ([("rdf.yaml", described()), ("RDF.yaml", described())], "twice"),
    "many": ([(f"{n}.txt", "") for n in range(1001)], "1001 members"),
    "a bomb": ([("rdf.yaml", described()), ("weights.pt", bytes(4 * 1024**2))], "MiB large"),
    "long text": ([("rdf.yaml", "# " + "0123456789abcdef" * 70000)], "1.07 MiB large"),
    "no yaml": ([("rdf.yaml", "a: [")], "no yaml"),
    "a list": ([("rdf.yaml", "- a")], "no record"),
    "python in yaml": ([("rdf.yaml", "!!python/object/apply:os.system ['false']")], "no yaml"),
    "no weights": ([("rdf.yaml", described())], "weights.pt"),
    "a pickle": ([("rdf.yaml", described()), ("weights.pt", harmful_weights())], "could run code"),
    "not our file": ([("rdf.yaml", described()), (ATTACHMENT, b"12345678{")], ATTACHMENT),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_packages_are_refused(name, tmp_path, refused):
    content, words = HARMFUL[name]
    path = tmp_path / "model.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content)
    with refused(path, words):
        Denoiser.load(path)


@pytest.mark.parametrize("packed", ["DEFLATED", "BZIP2", "LZMA"])
def test_a_package_with_broken_compressed_data_is_refused(packed, tmp_path, refused):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", getattr(zipfile, f"ZIP_{packed}")) as archive:
        archive.writestr("rdf.yaml", described())
    blob = bytearray(path.read_bytes())
    start = 30 + len("rdf.yaml")  # behind the member's header
    blob[start + 9 : start + 60] = b"\xff" * 51  # LZMA begins with 9 bytes of its properties
    if packed == "DEFLATED":
        blob[start] = 0xFF
    path.write_bytes(bytes(blob))
    with refused(path, "not a bioimage.io package", remedy="copy"):
        Denoiser.load(path)


@pytest.mark.parametrize("architecture", [{}, {"callable": "UNet"}, {"import_from": "os"}])
def test_the_network_of_another_is_named(architecture, tmp_path, refused):
    members = [("rdf.yaml", described(architecture={"kwargs": {}, **architecture}))]
    with refused("another model", "family", remedy="bioimageio.core"):
        Denoiser.load(write(tmp_path / "model.zip", members))


def test_a_missing_package_is_said_to_be_missing(tmp_path, refused):
    with refused("no model file"):
        Denoiser.load(tmp_path / "none.zip")
