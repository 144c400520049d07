import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from napari_ae_denoise import speed
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

SETTINGS = PredictSettings(tile=64, device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def _nothing_known():
    speed.forget()
    yield
    speed.forget()


@pytest.fixture
def network(untrained):
    return untrained("residual").network


def seconds(network, shape, settings=SETTINGS):
    return drain(speed.seconds_steps(network, plane_layout(shape, None), settings))


def test_the_estimate_is_near_the_time_that_it_takes(untrained, monkeypatch):
    """In processor time: other programs may run beside one of the two only."""
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=time.process_time))
    denoiser = untrained("residual")
    image = np.random.default_rng(0).integers(0, 255, (3, 200, 200)).astype(np.uint8)
    denoiser.denoise(image[0], tile=64, precision="float32")  # kernels are prepared
    told = seconds(denoiser.network, image.shape)
    begin = time.process_time()
    denoiser.denoise(image, tile=64, precision="float32", device="cpu")
    taken = time.process_time() - begin
    assert taken / 4 < told < taken * 4


def test_a_larger_image_takes_longer_by_what_the_network_sees_of_it(network):
    one, many = seconds(network, (64, 64)), seconds(network, (10, 64, 64))
    assert many == pytest.approx(10 * one)
    assert seconds(network, (128, 128)) == pytest.approx(4 * one)


def test_it_is_measured_once_for_a_model_and_a_device(network, monkeypatch):
    seconds(network, (64, 64))
    steps = speed.seconds_steps(network, plane_layout((64, 64), None), SETTINGS)
    with pytest.raises(StopIteration):
        next(steps)  # nothing to measure


def test_a_whole_run_teaches_better(network):
    layout = plane_layout((64, 64), None)
    speed.learn(network, layout, SETTINGS, 12.0)
    assert seconds(network, (64, 64)) == pytest.approx(12)
    assert seconds(network, (5, 64, 64)) == pytest.approx(60)


def test_the_strength_decides_about_no_time(network):
    speed.learn(network, plane_layout((64, 64), None), SETTINGS, 12.0)
    weak = PredictSettings(64, "cpu", "float32", strength=0.2, removed=True)
    assert seconds(network, (64, 64), weak) == pytest.approx(12)


def test_a_stop_ends_it(network):
    stop = threading.Event()
    stop.set()
    steps = speed.seconds_steps(network, plane_layout((64, 64), None), SETTINGS, stop=stop)
    assert np.isnan(drain(steps))


def test_a_network_of_one_size_of_image_is_measured_with_that(untrained):
    spec = NetworkSpec("dense", widths=(8,), code_channels=3, image_size=(12, 10))
    settings = PredictSettings(device="cpu")
    assert seconds(untrained(spec).network, (5, 12, 10), settings) > 0
