"""Networks that are prepared once for many images."""

import gc
import threading

import numpy as np
import pytest
import torch

from napari_ae_denoise import prepared_network
from napari_ae_denoise.prepared_network import prepared
from napari_ae_denoise.steps import Stopped, stopping

CPU = torch.device("cpu")


@pytest.fixture
def image():
    return np.random.default_rng(0).random((24, 28)).astype(np.float32)


def test_a_network_is_copied_for_the_first_image_alone(untrained, image, monkeypatch):
    copied = []
    usual = prepared_network.fused
    monkeypatch.setattr(prepared_network, "fused", lambda *how: copied.append(how) or usual(*how))
    denoiser = untrained("residual")
    first, again = (denoiser.denoise(image, precision="float32") for _ in range(2))
    assert len(copied) <= 1
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("way", ["in place", "past autograd", "another tensor"])
def test_other_weights_are_never_missed(untrained, image, way):
    denoiser = untrained("residual")
    before = denoiser.denoise(image, precision="float32")
    weight = denoiser.network.head[0].weight
    usual = weight.detach().clone()
    try:
        if way == "in place":
            with torch.no_grad():
                weight.mul_(2)
        elif way == "past autograd":
            weight.data.mul_(2)
        else:
            weight.data = weight.data * 2
        after = denoiser.denoise(image, precision="float32")
        # the network predicts the noise by this layer, which is linear
        np.testing.assert_allclose(image - after, 2 * (image - before), atol=1e-5)
    finally:
        weight.data = usual


def test_each_precision_has_its_own(untrained):
    network = untrained("residual").network
    exact, coarse = prepared(network, CPU, torch.float32), prepared(network, CPU, torch.bfloat16)
    assert prepared(network, CPU, torch.float32) is exact
    assert prepared(network, CPU, torch.bfloat16) is coarse is not exact


def test_a_stop_ends_its_own_thread_only(untrained):
    fast = prepared(untrained("residual").network, CPU, torch.float32).fast
    x, stop, made = torch.zeros(1, 1, 16, 16), threading.Event(), []
    stop.set()

    def other():
        with torch.inference_mode():
            made.append(fast(x))

    with stopping(stop):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(Stopped), torch.inference_mode():
            fast(x)
    with torch.inference_mode():
        fast(x)
    assert len(made) == 1


def test_copies_go_with_their_network(untrained):
    network = untrained("residual").network.copy_on(CPU)
    prepared(network, CPU, torch.float32)
    kept = len(prepared_network._kept)
    del network
    gc.collect()
    assert len(prepared_network._kept) == kept - 1
