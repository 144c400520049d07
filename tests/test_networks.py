from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ae_denoise.blocks import ResidualBlock
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import (
    PRESETS,
    ConvAutoencoder,
    NetworkSpec,
    build_empty,
)

SPECS = {
    "classic": PRESETS["classic"],
    "residual": replace(PRESETS["residual"], widths=(4, 4, 4)),
    "one level": NetworkSpec("residual", widths=(4,), blocks=1, stem=1),
    "stem 4": NetworkSpec("residual", widths=(4, 4), blocks=1, stem=4, skips=True),
    "no skips": NetworkSpec("residual", widths=(4, 4, 4), blocks=1, stem=2),
    "narrow code": NetworkSpec("residual", widths=(4, 4), blocks=1, code_channels=2, skips=True),
    "plain skips": NetworkSpec("plain", widths=(4, 4, 4), skips=True),
    "plain colours": NetworkSpec("plain", widths=(4, 4), channels=3),
    "deep": NetworkSpec("plain", widths=(4, 4, 4, 4)),
    "sigmoid code": NetworkSpec("plain", widths=(4, 4), code_channels=3, code_activation="sigmoid"),
    "variational": NetworkSpec("plain", widths=(4, 4), code_channels=3, variational=True),
    "variational residual": NetworkSpec("residual", widths=(4, 4), blocks=1, variational=True),
    "dense": NetworkSpec("dense", widths=(5, 4), code_channels=3, image_size=(6, 4)),
    "linear": NetworkSpec("dense", widths=(), code_channels=2, image_size=(5, 5), linear=True),
}


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]


def changed_columns(function, network, size, column):
    """Return which output columns change if one whole input column does."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, network.spec.channels, 2 * network.stride, size)
    image = 1 + torch.rand(shape, generator=generator, dtype=torch.float64)
    other = image.clone()
    other[..., column] += 1
    difference = (function(image) - function(other)).abs()
    return np.flatnonzero(difference.amax(dim=(0, 1, 2)).numpy() > 0)


def seen_by(network, function, unit):
    """Return how far (before, after) pixels lie that can change the outputs of one code pixel.

    ``unit`` is the number of output columns per code pixel. The network is even, so one code pixel
    in the middle stands for all; the input is perturbed column by column.
    """
    stride = network.stride
    middle = network.halo // stride + 2
    size = (2 * middle + 1) * stride
    own = set(range(middle * unit, (middle + 1) * unit))
    columns = [
        c for c in range(size) if own & set(changed_columns(function, network, size, c).tolist())
    ]
    return middle * stride - min(columns), max(columns) - ((middle + 1) * stride - 1)


def test_reach_is_exactly_how_far_the_output_sees(spec, far_sighted):
    network = far_sighted(spec, torch.float64)
    before, after = seen_by(network, network.forward, network.stride)
    assert max(before, after) == network.reach


def test_halo_is_never_exceeded_and_tight_within_a_stride(spec, far_sighted):
    network = far_sighted(spec, torch.float64)
    assert network.halo % network.stride == 0
    assert network.reach <= network.halo < network.reach + network.stride
    before, after = seen_by(network, network.encode, 1)
    assert max(before, after) <= network.halo


def test_random_weights_see_no_farther_than_the_reach(spec):
    torch.manual_seed(0)
    network = ConvAutoencoder(spec).double().eval()
    with torch.inference_mode():
        before, after = seen_by(network, network.forward, network.stride)
    assert max(before, after) <= network.reach


@pytest.mark.parametrize(
    ("name", "stride", "halo"), [("classic", 4, 12), ("residual-large", 4, 40)]
)
def test_presets_have_the_geometry_that_their_layers_give(name, stride, halo):
    network = build_empty(PRESETS[name])
    assert (network.stride, network.halo) == (stride, halo)


def test_shapes_follow_from_spec_and_stride(spec):
    network = ConvAutoencoder(spec)
    image = torch.rand(2, spec.channels, 3 * network.stride, 2 * network.stride)
    code = network.encode(image)
    assert code.shape == (2, spec.code_width, 3, 2)
    assert network(image).shape == image.shape


def test_one_pass_gives_what_encode_and_forward_give(spec):
    network = ConvAutoencoder(spec).eval()
    image = torch.rand(1, spec.channels, 4 * network.stride, 4 * network.stride)
    with torch.inference_mode():
        made, code = network.image_and_code(image)
        assert torch.equal(made, network(image))
        assert torch.equal(code, network.encode(image))
        if not spec.skips:
            assert torch.equal(network.decode(code), made)


def test_networks_with_skips_refuse_to_decode(refused):
    network = ConvAutoencoder(SPECS["residual"])
    with refused("skip connections", remedy="skips off"):
        network.decode(torch.zeros(1, 4, 2, 2))


def test_classic_is_the_tutorials_network_to_the_layer():
    torch.manual_seed(0)
    network = ConvAutoencoder(PRESETS["classic"])
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [
        (1, 32), (32, 32), (32, 32), (32, 32), (32, 1),
    ]  # fmt: skip
    assert network.parameter_count == 28_353  # what Keras' summary() says
    f = torch.nn.functional
    x = torch.rand(1, 1, 28, 28)
    a, b, c, d, e = (
        lambda h, k=k: f.conv2d(h, k.weight, k.bias, padding="same") for k in convolutions
    )
    code = f.max_pool2d(f.relu(b(f.max_pool2d(f.relu(a(x)), 2))), 2)
    up = f.interpolate(f.relu(d(f.interpolate(f.relu(c(code)), scale_factor=2))), scale_factor=2)
    made, found = network.image_and_code(x)
    torch.testing.assert_close(found, code)
    torch.testing.assert_close(made, torch.sigmoid(e(up)))
    assert found.shape == (1, 32, 7, 7)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0, 1e4])
@pytest.mark.parametrize("name", ["residual", "no skips", "narrow code"])
def test_residual_is_homogeneous(name, factor):
    torch.manual_seed(1)
    network = ConvAutoencoder(SPECS[name]).double().eval()
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        for function in (network.forward, network.encode):
            torch.testing.assert_close(function(factor * x), factor * function(x))
    assert not any("bias" in name for name, _ in network.named_parameters())


@pytest.mark.parametrize("channels", [1, 3])
def test_differences_alone_are_seen(channels):
    """What is added to a channel of the image is found again in the result, and nowhere else."""
    torch.manual_seed(1)
    network = ConvAutoencoder(replace(SPECS["residual"], channels=channels)).double().eval()
    assert network.spec.differences
    x = torch.randn(1, channels, 32, 32, dtype=torch.float64)
    added = torch.tensor([100.0, -30.0, 7.0], dtype=torch.float64)[:channels].view(1, -1, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(x + added), network(x) + added)
        torch.testing.assert_close(network.encode(x + added), network.encode(x))
        flat = torch.ones_like(x) * added
        torch.testing.assert_close(network(flat), flat)


def test_differences_are_taken_in_float32(monkeypatch):
    """In bfloat16 the grey values 1000 and 1001 are the same number."""
    torch.manual_seed(1)
    stem = ConvAutoencoder(SPECS["residual"]).stem
    x = torch.rand(1, 1, 16, 16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        low, high = stem(x), stem(x + 1000)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(high.float(), low.float(), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("changed", [{"skips": False}, {"style": "plain"}])
def test_an_image_cannot_be_made_of_differences(changed):
    with pytest.raises(DenoisingError, match="differences"):
        replace(PRESETS["residual"], **changed)


def test_classic_is_not_homogeneous():
    torch.manual_seed(1)
    network = ConvAutoencoder(PRESETS["classic"])
    x = torch.rand(1, 1, 16, 16)
    assert (network(5 * x) - 5 * network(x)).abs().max() > 0.1


def test_skips_of_residual_predict_the_noise():
    torch.manual_seed(0)
    network = ConvAutoencoder(SPECS["residual"])
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.zero_()
    x = torch.randn(1, 1, 16, 16)
    assert torch.equal(network(x), x)
    torch.nn.init.normal_(network.head[0].weight)
    noise = network._up(*network._down(x))
    assert noise.abs().max() > 0.1
    assert torch.equal(network(x), x - noise)


@pytest.mark.parametrize("name", PRESETS)
def test_no_layer_looks_at_the_rest_of_the_tile(name):
    allowed = (
        torch.nn.Conv2d, torch.nn.ReLU, torch.nn.MaxPool2d, torch.nn.Upsample, torch.nn.Sigmoid,
        torch.nn.PixelUnshuffle, torch.nn.PixelShuffle, torch.nn.Identity, torch.nn.Sequential,
        torch.nn.ModuleList, ResidualBlock, ConvAutoencoder,
    )  # fmt: skip
    assert all(isinstance(module, allowed) for module in build_empty(PRESETS[name]).modules())


def test_empty_network_has_the_same_weights_without_memory(spec):
    empty, real = build_empty(spec), ConvAutoencoder(spec)
    shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (empty, real)]
    assert shapes[0] == shapes[1]
    assert all(p.is_meta for p in empty.parameters())
    assert (empty.stride, empty.halo) == (real.stride, real.halo)


def test_copy_is_independent_and_for_inference_only():
    network = ConvAutoencoder(SPECS["residual"]).train()
    twin = network.copy_on(torch.device("cpu"))
    assert not twin.training
    assert network.training
    assert not any(p.requires_grad for p in twin.parameters())
    with torch.no_grad():
        next(network.parameters()).add_(1)
    first, second = next(network.parameters()), next(twin.parameters())
    assert (first - second).abs().min() > 0.5


def test_numbers_about_a_network_are_right():
    network = build_empty(PRESETS["classic"])
    by_hand = 9 * 32 + 9 * 32 * 32 * (1 / 4 + 1 / 16 + 1 / 4) + 9 * 32
    assert network.multiply_adds == pytest.approx(by_hand)
    assert network.code_ratio == 32 / 16
    assert build_empty(SPECS["narrow code"]).code_ratio == 2 / 4
    assert 25_000 < build_empty(PRESETS["residual"]).multiply_adds < 35_000
    assert 2e5 < build_empty(PRESETS["residual"]).parameter_count < 3e5
    assert 0.9e6 < build_empty(PRESETS["residual-large"]).parameter_count < 1e6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style": "resnet"}, ["style", "resnet"]),
        ({"widths": ()}, ["widths", "()"]),
        ({"widths": (2,) * 7}, ["widths"]),
        ({"widths": (8, 0)}, ["widths", "0"]),
        ({"widths": (8, 4097)}, ["widths", "4097"]),
        ({"widths": (8, 2.5)}, ["widths", "2.5"]),
        ({"widths": (True,)}, ["widths", "True"]),
        ({"widths": 32}, ["widths", "32"]),
        ({"widths": None}, ["widths", "None"]),
        ({"widths": "44"}, ["widths", "'44'"]),
        ({"channels": 0}, ["channels", "0"]),
        ({"channels": 65}, ["channels", "65"]),
        ({"blocks": -1}, ["blocks", "-1"]),
        ({"blocks": 10**9}, ["blocks", "1000000000"]),
        ({"code_channels": 0}, ["code_channels", "0"]),
        ({"stem": 9}, ["stem", "9"]),
        ({"stem": "2"}, ["stem", "'2'"]),
    ],
)
def test_networks_that_cannot_be_built_are_refused(refused, changes, words):
    with refused(*words, remedy=words[0]):
        NetworkSpec(**({"style": "residual"} | changes))


def test_layers_of_unknown_reach_are_no_silent_guess():
    network = ConvAutoencoder(SPECS["one level"])
    network.head.append(torch.nn.BatchNorm2d(1))
    with pytest.raises(TypeError, match="BatchNorm2d"):
        network._needs((0, 0))


def test_same_seed_builds_the_same_weights(spec):
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.flatten() for p in ConvAutoencoder(spec).parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ["plain", "no skips"])
def test_images_made_from_the_code_alone_have_no_steps_in_bfloat16(name):
    spec = SPECS.get(name, PRESETS["classic"])
    network = ConvAutoencoder(spec).eval()
    ramp = torch.linspace(0, 1, 64 * 64).view(1, 1, 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        made = network(ramp)
    assert made.dtype == torch.float32
    levels = len(torch.unique(made))
    assert levels > 3000  # bfloat16 has 128 between 0.5 and 1


# ---- codes with a layer of their own, fully-connected networks


def test_a_sigmoid_code_is_between_0_and_1():
    network = ConvAutoencoder(SPECS["sigmoid code"]).eval()
    code = network.encode(torch.randn(2, 1, 16, 16))
    assert code.shape == (2, 3, 4, 4)
    assert 0 < code.min() < code.max() < 1


@pytest.mark.parametrize("name", ["variational", "variational residual"])
def test_a_variational_code_is_drawn_in_training_and_the_mean_in_prediction(name):
    network = ConvAutoencoder(SPECS[name]).eval()
    x = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        first, again, other = (
            network.training_pass(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
        )
        mean, log_variance = network.distribution(x)
        torch.testing.assert_close(network.encode(x), mean)
        torch.testing.assert_close(network(x), network.decode(mean))
        assert torch.equal(first.code, again.code)
        assert not torch.equal(first.code, other.code)
        torch.testing.assert_close(first.image, network.decode(first.code))
        torch.testing.assert_close(network.variance_encoder().encode(x), log_variance.exp())
        torch.testing.assert_close(network.encode(x), mean)  # the twin changed nothing
        many = torch.stack(
            [network.training_pass(x, torch.Generator().manual_seed(s)).code for s in range(500)]
        )
    torch.testing.assert_close(many.mean(0), mean, atol=0.35, rtol=0.2)
    torch.testing.assert_close(many.var(0), log_variance.exp(), atol=0.4, rtol=0.35)


def test_a_plain_code_has_no_variance(refused):
    with refused("plain code", remedy="variational"):
        ConvAutoencoder(SPECS["plain colours"]).distribution(torch.rand(1, 3, 8, 8))


def test_a_fully_connected_layer_is_one_over_all_pixels():
    spec = NetworkSpec("dense", widths=(), code_channels=3, image_size=(4, 4), linear=True)
    network = ConvAutoencoder(spec)
    assert (network.stride, network.halo) == (4, 0)
    assert network.code_ratio == 3 / 16
    down, up = (m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    x = torch.rand(2, 1, 4, 4)
    code = torch.nn.functional.linear(x.flatten(1), down.weight.flatten(1), down.bias)
    torch.testing.assert_close(network.encode(x)[..., 0, 0], code)
    made = torch.nn.functional.linear(code, up.weight.flatten(1), up.bias).view(2, 1, 4, 4)
    torch.testing.assert_close(network(x), made)


def test_a_linear_network_without_biases_is_linear():
    spec = NetworkSpec(
        "dense", widths=(6,), code_channels=3, image_size=(4, 4), linear=True, bias=False
    )
    network = ConvAutoencoder(spec)
    a, b = torch.randn(2, 1, 1, 4, 4)
    torch.testing.assert_close(network(2 * a - 3 * b), 2 * network(a) - 3 * network(b))
    assert not any(p.ndim == 1 for p in network.parameters())


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"code_activation": "tanh"}, ["code_activation", "tanh"], "sigmoid"),
        ({"variational": 1}, ["variational", "1"], "True or False"),
        ({"variational": True, "skips": True}, ["variational", "skip"], "skips=False"),
        ({"variational": True, "code_activation": "sigmoid"}, ["Gaussian"], "variational=False"),
        ({"image_size": (8, 8)}, ["image_size", "plain"], "dense"),
        ({"linear": True}, ["linear"], "dense"),
        ({"bias": False}, ["bias"], "dense"),
        ({"widths": ()}, ["widths", "()"], "1 to 6"),
        ({"style": "dense"}, ["image_size", "None"], "height and width"),
        ({"style": "dense", "image_size": (8,)}, ["(8,)"], "height and width"),
        ({"style": "dense", "image_size": 5}, ["5"], "height and width"),
        ({"style": "dense", "image_size": "28"}, ["'28'"], "height and width"),
        ({"style": "dense", "image_size": (8, 2.5)}, ["2.5"], "whole numbers"),
        ({"style": "dense", "image_size": (0, 8)}, ["(0, 8)"], "from 1"),
        ({"style": "dense", "image_size": (9000, 8)}, ["9000"], "4096"),
        ({"style": "dense", "image_size": (8, 8), "skips": True}, ["skip"], "skips=False"),
        ({"style": "dense", "image_size": (2048, 2048)}, ["134 million"], "8 units"),
    ],
)
def test_codes_and_sizes_that_make_no_network_are_refused(refused, changes, words, remedy):
    with refused(*words, remedy=remedy):
        NetworkSpec(**({"style": "plain"} | changes))


def test_lists_and_numbers_of_numpy_are_taken_as_what_they_stand_for():
    size = (np.int64(6), np.int64(5))
    spec = NetworkSpec("dense", widths=[8, np.int64(8)], image_size=list(size))
    assert spec == NetworkSpec("dense", widths=(8, 8), image_size=(6, 5))
    spec.check_plane((6, 5))
    assert all(type(side) is int for side in (*spec.widths, *spec.image_size))
    assert hash(spec) == hash(NetworkSpec("dense", widths=(8, 8), image_size=(6, 5)))
    plain = ConvAutoencoder(NetworkSpec("plain", widths=[4, np.int64(4)]))
    assert plain(torch.zeros(1, 1, 8, 8)).shape == (1, 1, 8, 8)
