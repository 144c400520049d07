import dataclasses

import pytest
import torch
from torch.nn import functional

from napari_ae_denoise.first_level import is_faster, pooled_first_level
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


def first_level(x, conv):
    return functional.relu(functional.max_pool2d(conv(x), 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_level_is_made_part_by_part_as_at_once(channels, monkeypatch):
    monkeypatch.setattr("napari_ae_denoise.first_level._ROWS", 7)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((3, channels, 6, 8), generator=generator, dtype=torch.float64)
    x[1] = 0.5  # flat: several pixels are the largest, and the first of them counts
    conv = torch.nn.Conv2d(channels, 5, 3, padding=1, dtype=torch.float64)
    ways = []
    for way in (first_level, pooled_first_level):
        conv.zero_grad()
        made = way(x, conv)
        (made**2).sum().backward()
        ways.append((made.detach(), conv.weight.grad.clone(), conv.bias.grad.clone()))
    torch.testing.assert_close(*ways)
    assert (ways[0][0] == 0).any()  # where ReLU lets no gradient pass


def test_the_first_level_leads_to_the_image_where_asked():
    assert not is_faster(torch.zeros(1, 1, 4, 4, requires_grad=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_faster(torch.zeros(1, 1, 4, 4))
    lean = for_training(network_of(SPECS[0]))
    x = torch.rand((1, 1, 4, 4), dtype=torch.float64, requires_grad=True)
    lean(x).sum().backward()
    assert x.grad.abs().sum() > 0


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
