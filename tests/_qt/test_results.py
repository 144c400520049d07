import threading

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import DenoisingError, report
from napari_ae_denoise._qt.layers import Source
from napari_ae_denoise._qt.results import DenoiseChoices, denoise_steps
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner


@pytest.mark.parametrize("denoised", [True, False])
def test_removed_noise_of_a_dask_image_costs_no_second_reading(untrained, denoised):
    values = np.random.default_rng(0).integers(0, 4000, (60, 50)).astype(np.uint16)
    computed = []

    def note(block):
        computed.append(block.shape)
        return block

    lazy = da.from_array(values, chunks=32).map_blocks(note, dtype=values.dtype, meta=values[:0])
    transforms = {"scale": np.ones(2), "translate": np.zeros(2)}
    source = Source("i", lazy, "YX", False, transforms, np.eye(2), {})
    settings = PredictSettings(32, "cpu", "float32")
    denoiser = untrained("plain")
    choices = DenoiseChoices(source, denoiser, settings, denoised=denoised, code=False, noise=True)
    steps = denoise_steps(choices, threading.Event())
    next(steps)
    computed.clear()
    layers = drain(steps).layers
    assert computed == [], "the image was read before the first tile"
    expected = values.astype(np.float32) - denoiser.denoise(lazy, tile=32, precision="float32")
    names = ["i denoised", "i removed noise"] if denoised else ["i removed noise"]
    assert [layer["name"] for layer in layers] == names
    np.testing.assert_array_equal(layers[-1]["data"], expected.compute())


def second_pass(untrained, stop=None):
    """Return the steps of a variational denoiser over 4 tiles, to the end of the first pass."""
    values = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    transforms = {
        "scale": np.ones(2),
        "translate": np.zeros(2),
        "rotate": np.eye(2),
        "shear": np.eye(2),
        "affine": np.eye(3),
        "units": ("pixel", "pixel"),
        "axis_labels": ("y", "x"),
    }
    source = Source("i", values, "YX", False, transforms, np.eye(2), {})
    denoiser = untrained("plain", variational=True)
    settings = PredictSettings(32, "cpu", "float32")
    choices = DenoiseChoices(source, denoiser, settings, denoised=True, code=True, noise=False)
    steps = denoise_steps(choices, stop or threading.Event())
    for _ in range(4):
        assert next(steps).total == 4
    return steps


@pytest.mark.parametrize(
    ("made", "error", "variance"),
    [
        (0, RuntimeError("device-side assert"), []),
        (0, DenoisingError("It is too large.", "Take less."), []),
        (2, RuntimeError("no kernel"), ["i latent variance (broken off at 50%)"]),
    ],
)
def test_a_fault_in_the_pass_for_the_variance_loses_nothing_of_the_first(
    untrained, monkeypatch, tmp_path, made, error, variance
):
    monkeypatch.setattr(report, "log_path", lambda: tmp_path / "errors.log")
    steps = second_pass(untrained)
    usual, calls = TileRunner._run, [0]

    def run(self, batch, *how):
        calls[0] += 1
        if calls[0] > made:
            raise error
        return usual(self, batch, *how)

    monkeypatch.setattr(TileRunner, "_run", run)
    result = drain(steps)
    assert [one["name"] for one in result.layers] == ["i denoised", "i latent mean", *variance]
    assert all(np.isfinite(one["data"]).all() for one in result.layers[:2])
    assert "variance" in result.warning
    assert str(error)[:10] in result.warning
    assert result.summary.startswith("Done")
    known = isinstance(error, DenoisingError)
    assert (tmp_path / "errors.log").exists() == (made == 0 and not known)


@pytest.mark.parametrize("made", [0, 1])
def test_cancel_in_the_pass_for_the_variance_keeps_the_first(untrained, made):
    stop = threading.Event()
    steps = second_pass(untrained, stop)
    for _ in range(made):
        next(steps)
    stop.set()
    result = drain(steps)
    names = [one["name"] for one in result.layers]
    part = ["i latent variance (cancelled at 25%)"] if made else []
    assert names == ["i denoised", "i latent mean", *part]
    assert "Cancelled in the second pass" in result.summary
    assert result.warning == ""
