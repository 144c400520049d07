import threading

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise._qt.layers import Source
from napari_ae_denoise._qt.results import DenoiseChoices, denoise_steps
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings


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
