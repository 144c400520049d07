import dataclasses

import pytest
import torch

from napari_ae_denoise.lean_network import LeanAutoencoder, for_training
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder

SPECS = [
    NetworkSpec("plain", widths=(6,)),
    NetworkSpec("plain", widths=(6, 4)),
    NetworkSpec("plain", channels=3, widths=(5, 4, 3), code_channels=7),
]


def network_of(spec):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConvAutoencoder(spec).double()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_image_code_and_gradients_are_those_of_the_network_itself(spec):
    network = network_of(spec)
    lean = for_training(network)
    assert isinstance(lean, LeanAutoencoder)
    generator = torch.Generator().manual_seed(1)
    shape = (2, spec.channels, 3 * network.stride, 2 * network.stride)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    gradients = []
    for one in (network, lean):
        made, code = one.image_and_code(x)
        one.zero_grad()
        ((made - x) ** 2).mean().backward()
        gradients.append((made.float(), code, [p.grad.clone() for p in one.parameters()]))
    (made, code, slopes), (made_lean, code_lean, slopes_lean) = gradients
    torch.testing.assert_close(made_lean, made)
    torch.testing.assert_close(code_lean, code)
    torch.testing.assert_close(slopes_lean, slopes, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(lean.decode(lean.encode(x)).float(), made)


def test_the_weights_are_shared():
    network = network_of(SPECS[1])
    lean = for_training(network)
    assert list(lean.state_dict()) == list(network.state_dict())
    with torch.no_grad():
        next(lean.parameters()).fill_(2)
    assert (next(network.parameters()) == 2).all()
    assert all(p.requires_grad for p in lean.parameters())


def test_networks_without_a_faster_way_stay(small_specs):
    skipping = dataclasses.replace(SPECS[1], skips=True)
    for spec in (small_specs["residual"], small_specs["bottleneck"], skipping):
        network = ConvAutoencoder(spec)
        assert for_training(network) is network
