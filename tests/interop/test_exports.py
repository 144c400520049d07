import pytest

from napari_ae_denoise.interop import bioimageio, onnx
from napari_ae_denoise.interop.exports import FORMATS, export_model


def test_the_ending_says_the_program(untrained, tmp_path, monkeypatch):
    called = {}
    monkeypatch.setattr(onnx, "save_onnx", lambda d, p: called.setdefault("onnx", p))
    monkeypatch.setattr(
        bioimageio, "save_package", lambda d, p, authors: called.setdefault("zip", p)
    )
    denoiser = untrained("classic")
    for ending in FORMATS:
        export_model(denoiser, tmp_path / f"mine{ending.upper()}")
    assert set(called) == {"onnx", "zip"}
    for ending in (".keras", ".h5"):
        assert (tmp_path / f"mine{ending.upper()}").exists()


@pytest.mark.parametrize("name", ["mine", "mine.safetensors", "mine.pt"])
def test_other_endings_are_refused(untrained, refused, tmp_path, name):
    with refused("ending", remedy=".onnx (ONNX)"):
        export_model(untrained("classic"), tmp_path / name)
