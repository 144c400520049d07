"""Denoisers as ONNX graphs: onnxruntime gives what `Denoiser.denoise` gives."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from napari_ae_denoise.cli import app
from napari_ae_denoise.interop import onnx as ours
from napari_ae_denoise.interop.grey_values import OwnPercentiles, whole_image
from napari_ae_denoise.interop.onnx import save_onnx
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization

PAGE = Path(__file__).parents[2] / "docs" / "other-programs.md"
FIXED = Normalization("fixed", offset=20, scale=180)
SPECS = {  # colours, edges of zeros and dense networks are in test_bioimageio.py, as ONNX too
    "residual": NetworkSpec("residual", widths=(8, 8, 8), blocks=1, skips=True, stem=2),
    "variational": NetworkSpec("plain", widths=(4,), code_channels=2, variational=True),
}


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def images(spec):
    """Return images of several sizes, odd and smaller than the halo among them, in grey values."""
    rng = np.random.default_rng(4)
    sizes = [spec.image_size] if spec.image_size else [(61, 90), (7, 5), (1, 40)]
    return [100 + 30 * rng.standard_normal((spec.channels, *s)).astype(np.float32) for s in sizes]


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


@pytest.mark.parametrize("name", SPECS)
def test_onnxruntime_gives_what_denoise_gives(name, untrained, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript writes the graph")
    denoiser = untrained(SPECS[name])
    run = session(save_onnx(denoiser, tmp_path / "model.onnx")).run
    for image in images(denoiser.card.network):
        low, high = np.percentile(image, [0.1, 99.9]).astype(np.float32)
        given = {"image": image[None], "low": np.asarray(low), "high": np.asarray(high)}
        (made,) = run(None, given)
        difference = np.abs(made[0] - denoised(denoiser, image)).max() / (high - low)
        assert difference < 1e-4


def test_a_fixed_map_is_in_the_graph(untrained, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript writes the graph")
    denoiser = untrained("plain", normalization=FIXED)
    opened = session(save_onnx(denoiser, tmp_path / "model.onnx"))
    assert [given.name for given in opened.get_inputs()] == ["image"]
    image = images(denoiser.card.network)[0]
    (made,) = opened.run(None, {"image": image[None]})
    np.testing.assert_allclose(made[0], denoised(denoiser, image), atol=1e-4 * FIXED.scale)


@pytest.fixture(scope="module")
def exported(untrained, tmp_path_factory):
    """Return a denoiser, and the graph that the command has written of it."""
    pytest.importorskip("onnxscript", reason="onnxscript writes the graph")
    denoiser = untrained("plain").renamed("mine")
    folder = tmp_path_factory.mktemp("exported")
    model, graph = denoiser.save(folder / "mine.safetensors"), folder / "model.onnx"
    done = CliRunner().invoke(app, ["export", str(model), "--to", "onnx", "-o", str(graph)])
    assert done.exit_code == 0, done.output
    assert "wrote" in done.stdout
    return denoiser, graph


def test_the_graph_of_the_command_says_how_it_is_used(exported):
    denoiser, path = exported
    opened = session(path)
    facts = opened.get_modelmeta().custom_metadata_map
    assert json.loads(facts["normalization"])["high"] == 99.9
    assert (int(facts["halo"]), int(facts["stride"])) == (denoiser.halo, denoiser.stride)
    assert json.loads(facts["card"])["name"] == "mine"
    assert opened.get_inputs()[0].shape == ["N", 1, "Y", "X"] == opened.get_outputs()[0].shape
    assert b"site-packages" not in path.read_bytes(), "the graph tells where it was made"


def test_the_script_of_the_docs_needs_no_torch(exported, tmp_path):
    pytest.importorskip("onnxruntime")
    denoiser, graph = exported
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[:1]
    assert len([line for line in script.splitlines() if line]) == 6
    shutil.copy(graph, tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 4000, (50, 43), np.uint16)
    tifffile.imwrite(tmp_path / "noisy.tif", image)
    forbidden = "import sys; sys.modules.update(torch=None, napari_ae_denoise=None)\n"
    subprocess.run([sys.executable, "-c", forbidden + script], cwd=tmp_path, check=True)
    made = tifffile.imread(tmp_path / "clean.tif")
    expected = denoised(denoiser, image[None].astype(np.float32))[0]
    np.testing.assert_allclose(made, expected, atol=1e-4 * 4000)


def test_a_module_measures_the_percentiles_that_numpy_does(untrained):
    denoiser = untrained("residual")
    module = whole_image(denoiser.network, denoiser.card.normalization)
    for image in images(denoiser.card.network):
        made = module(torch.from_numpy(image)[None])[0].numpy()
        np.testing.assert_allclose(made, denoised(denoiser, image), atol=1e-2)


def test_each_image_of_a_batch_has_its_own_percentiles(untrained):
    module = OwnPercentiles(untrained("plain").network, Normalization())
    image = torch.from_numpy(images(SPECS["residual"])[0])[None]
    both = module(torch.cat([image, 7 * image + 3]))
    torch.testing.assert_close(both[1], 7 * both[0] + 3, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_a_constant_image_gives_finite_numbers(level, untrained):
    module = whole_image(untrained("residual").network, Normalization())
    made = module(torch.full((1, 1, 12, 12), level))
    torch.testing.assert_close(made, torch.full_like(made, level))


def test_a_package_that_writes_wrong_numbers_is_refused(untrained, tmp_path, refused, monkeypatch):
    pytest.importorskip("onnxscript", reason="onnxscript writes the graph")
    monkeypatch.setattr(ours, "version", lambda name: "0.7.0")
    with refused("onnxscript 0.7.0", remedy="onnxscript>=0.7.1"):
        save_onnx(untrained("plain"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_packages_it_is_said_what_to_install(untrained, tmp_path, refused, monkeypatch):
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    with refused("onnx and onnxscript", remedy="napari-ae-denoise[onnx]"):
        save_onnx(untrained("plain"), tmp_path / "model.onnx")
    with refused('".pt"', remedy=".onnx"):
        save_onnx(untrained("plain"), tmp_path / "model.pt")
