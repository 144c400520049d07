import copy

import pytest
import torch

from napari_ae_denoise import fused_network
from napari_ae_denoise.fused_network import fused
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder

CPU = torch.device("cpu")


DIFFERENCES = NetworkSpec(
    "residual", channels=3, widths=(8, 6), skips=True, stem=2, differences=True
)
DENSE = NetworkSpec("dense", widths=(16,), code_channels=4, image_size=(9, 7))


def network_of(spec):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConvAutoencoder(spec)
        for parameter in network.parameters():  # so that every layer matters
            parameter.data.normal_(0, 1.5 / parameter[0].numel() ** 0.5)
    return network.copy_on(CPU)


def images_of(network, count=2):
    generator = torch.Generator().manual_seed(1)
    side = (6 * network.stride, 5 * network.stride)
    if network.spec.image_size:
        side = (network.stride, network.stride)
    return torch.rand(count, network.spec.channels, *side, generator=generator)


@pytest.fixture
def small_specs(small_specs):
    return {**small_specs, "dense": DENSE, "differences": DIFFERENCES}


@pytest.mark.parametrize("name", ["classic", "residual", "bottleneck", "dense", "differences"])
def test_image_and_code_are_those_of_the_network(small_specs, name):
    network = network_of(small_specs[name])
    quick = fused(network, torch.float32)
    assert quick is not network
    x = images_of(network)
    with torch.inference_mode():
        before = x.clone()
        for made, expected in zip(quick.image_and_code(x), network.image_and_code(x), strict=True):
            torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(quick.encode(x), network.encode(x), rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", ["classic", "residual", "bottleneck", "differences"])
def test_bfloat16_rounds_no_more_than_autocast_does(small_specs, name):
    network = network_of(small_specs[name])
    quick = fused(network, torch.bfloat16)
    x = images_of(network)
    with torch.inference_mode():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            usual = network(x)
        error, usual_error = ((made.float() - exact).abs().mean() for made in (quick(x), usual))
    assert error < 1.5 * usual_error
    if not network.spec.skips:  # made in float32 from the last features on: no steps to be seen
        assert quick(x).dtype == torch.float32


def test_the_network_itself_is_not_changed(small_specs):
    network = network_of(small_specs["residual"])
    before = copy.deepcopy(network.state_dict())
    x = images_of(network)
    with torch.inference_mode():
        fused(network, torch.bfloat16)(x)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


FORWARD = fused_network._FusedConv.forward


def wrong(self, x, total=None):
    return FORWARD(self, x) if total is None else total


def missing(self, x, total=None):
    if total is None:
        return FORWARD(self, x)
    raise RuntimeError("no such operator")


@pytest.mark.parametrize("operator", [wrong, missing])
def test_operators_that_are_missing_or_wrong_are_not_used(small_specs, monkeypatch, operator):
    network = network_of(small_specs["residual"])
    fused_network._fusing_works.cache_clear()
    monkeypatch.setattr(fused_network._FusedConv, "forward", operator)
    try:
        assert fused(network, torch.float32) is network
    finally:
        fused_network._fusing_works.cache_clear()
