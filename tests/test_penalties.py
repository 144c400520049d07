import numpy as np
import pytest
import torch

from napari_ae_denoise import penalties
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.objectives import _PENALTIES, Objective
from napari_ae_denoise.penalty_spec import PENALTY_NAMES, Penalty

SIGMOID = NetworkSpec("plain", widths=(4,), code_channels=3, code_activation="sigmoid")


def network(spec=SIGMOID, seed=0):
    torch.manual_seed(seed)
    return ConvAutoencoder(spec)


def images(count=2, size=4, seed=0):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_named_penalty_can_be_computed():
    assert set(PENALTY_NAMES) == set(_PENALTIES)


def test_weight_penalties_are_sums_over_weights_and_leave_biases_out():
    weights = [torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([100.0])]
    assert penalties.weights_l1(weights).item() == 6
    assert penalties.weights_l2(weights).item() == 14


def test_sparsity_is_zero_at_the_target_and_grows_on_both_sides():
    def at(activity):
        return penalties.sparsity(torch.full((2, 3, 4, 4), activity), 0.1).item()

    assert at(0.1) == pytest.approx(0, abs=1e-7)
    assert at(0.05) > 0 < at(0.2) < at(0.5)
    expected = 0.1 * np.log(0.1 / 0.5) + 0.9 * np.log(0.9 / 0.5)
    assert at(0.5) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite([at(0.0), at(1.0)]).all()


def test_sparsity_is_of_the_mean_of_each_unit():
    code = torch.zeros(2, 2, 1, 1)
    code[0, 0], code[1, 0], code[:, 1] = 0.2, 0.0, 0.1  # both units have the mean 0.1
    assert penalties.sparsity(code, 0.1).item() == pytest.approx(0, abs=1e-6)


def test_gaussian_divergence_is_that_of_torchs_distributions():
    g = generator()
    mean, log_variance = (torch.randn(3, 4, 2, 2, generator=g) for _ in range(2))
    ours = penalties.gaussian_divergence(mean, log_variance, 50)
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0, 1))
    assert ours.item() == pytest.approx(kl.sum().item() / (3 * 50), rel=1e-5)
    zero = torch.zeros(1, 2, 1, 1)
    assert penalties.gaussian_divergence(zero, zero, 9).item() == 0


def test_exact_jacobian_norm_is_that_of_torch():
    net, x = network(), images()
    jacobian = torch.func.jacrev(lambda one: net.encode(one[None])[0].flatten())
    expected = np.mean([jacobian(one).square().sum().item() / 16 for one in x])
    assert penalties.jacobian_norm(net.encode, x).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("size", [4, 8])
def test_projections_agree_with_the_exact_jacobian_norm(size):
    net, x = network(), images(3, size)
    exact = penalties.jacobian_norm(net.encode, x).item()
    estimates = [
        penalties.projected_jacobian_norm(net.encode, x, 1, generator(s)).item() for s in range(400)
    ]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < 4 * error
    assert error < 0.05 * exact


def test_several_projections_are_their_mean():
    net, x = network(), images()
    three = penalties.projected_jacobian_norm(net.encode, x, 3, generator())
    g = generator()
    one = [penalties.projected_jacobian_norm(net.encode, x, 1, g).item() for _ in range(3)]
    assert three.item() == pytest.approx(np.mean(one), rel=1e-5)


def test_contraction_is_exact_for_small_codes_and_projected_for_large_ones():
    net = network()
    small, large = images(size=4), images(size=32)
    exact = penalties.jacobian_norm(net.encode, small)
    assert torch.equal(penalties.contraction(net.encode, small, 0, generator()), exact)
    projected = penalties.projected_jacobian_norm(net.encode, large, 1, generator())
    assert torch.equal(penalties.contraction(net.encode, large, 0, generator()), projected)


def linear_pair(seed=0):
    """Return a linear encoder of 6 pixels to 3 values, and a decoder with orthogonal columns."""
    g = generator(seed)
    down = torch.randn(3, 6, generator=g)
    up = torch.linalg.qr(torch.randn(6, 3, generator=g))[0] * torch.tensor([0.5, 1.0, 2.0])

    def encode(x):
        return (x.flatten(1) @ down.T)[..., None, None]

    def decode(h):
        return (h.flatten(1) @ up.T).view(-1, 1, 2, 3)

    return encode, decode


def test_marginalized_noise_is_what_sampled_noise_adds_on_average():
    encode, decode = linear_pair()
    x = torch.rand(1, 1, 2, 3, generator=generator(1))
    sigma = 0.3

    def loss(seen):
        return (decode(encode(seen)) - x).square().mean(dim=(1, 2, 3))

    noise = sigma * torch.randn(400_000, 1, 2, 3, generator=generator(2))
    added = (loss(x + noise).mean() - loss(x)).item()
    many = x.expand(20_000, -1, -1, -1)
    variance = torch.full((len(many),), sigma**2)
    ours = penalties.marginalized_noise(encode, decode, many, variance, generator(3)).mean().item()
    assert ours == pytest.approx(added, rel=0.02)


@pytest.mark.parametrize("name", PENALTY_NAMES)
def test_every_penalty_leads_to_the_weights(name):
    spec = SIGMOID
    if name == "variational":
        spec = NetworkSpec("plain", widths=(4,), code_channels=3, variational=True)
    net, clean = network(spec), images()
    noisy = clean + 0.1 * images(seed=1)
    gradients = []
    for objective in (Objective(), Objective("mse", (Penalty(name, 2.0),))):
        net.zero_grad()
        objective(net, noisy, clean, generator=generator()).backward()
        gradients.append(net.features[0][0].weight.grad.clone())
    assert torch.isfinite(gradients[1]).all()
    assert (gradients[1] - gradients[0]).abs().max() > 1e-5


def test_what_penalties_draw_follows_from_the_generator():
    net, x = network(), images(size=32)
    objective = Objective("mse", (Penalty("contractive", 1.0),))
    first, again, other = (objective(net, x, x, generator=generator(s)).item() for s in (0, 0, 1))
    assert first == again != other


def test_penalties_are_added_by_their_weights():
    net, x = network(), images()
    parts = [Penalty("sparsity", 1.0), Penalty("weights-l2", 1.0)]
    plain = Objective()(net, x, x).item()
    each = [Objective("mse", (p,))(net, x, x).item() - plain for p in parts]
    both = Objective("mse", (Penalty("sparsity", 0.5), Penalty("weights-l2", 3.0)))
    expected = plain + 0.5 * each[0] + 3 * each[1]
    assert both(net, x, x).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["sparsity", "contractive", "marginalized", "weights-l1"])
def test_scored_pixels_and_usual_errors_go_on_to_work_beside_penalties(name):
    net, clean = network(), images()
    noisy = clean + 0.1
    scored = torch.rand(clean.shape, generator=generator(4)) < 0.5
    usual = torch.tensor([0.5, 1.0])
    penalty = Penalty(name, 0.0)
    given = (net, clean if name == "marginalized" else noisy, clean, scored, usual)
    weightless = Objective("mse", (penalty,))(net, noisy, clean, scored, usual, generator())
    assert weightless.item() == pytest.approx(Objective()(*given).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("record", "words", "remedy"),
    [
        ({"name": "entropy", "weight": 1}, ["entropy"], "sparsity"),
        ({"name": ["sparsity"], "weight": 1}, ["sparsity"], "sparsity"),
        ({"name": "sparsity", "weight": -1}, ["-1"], "from 0"),
        ({"name": "sparsity", "weight": float("nan")}, ["nan"], "from 0"),
        ({"name": "sparsity", "weight": "1"}, ["'1'"], "from 0"),
        ({"name": "sparsity", "weight": 10**400}, ["sparsity"], "from 0"),
        ({"name": "sparsity", "weight": True}, ["True"], "from 0"),
        ({"name": "sparsity", "weight": 1, "target": 1.0}, ["1.0"], "between 0 and 1"),
        ({"name": "sparsity", "weight": 1, "target": 0}, ["0"], "between 0 and 1"),
        ({"name": "contractive", "weight": 1, "projections": -1}, ["-1"], "whole number"),
        ({"name": "contractive", "weight": 1, "projections": 10**9}, ["1000000000"], "64"),
    ],
)
def test_what_is_no_penalty_is_refused(refused, record, words, remedy):
    with refused(*words, remedy=remedy):
        Penalty(**record)


def test_numbers_of_numpy_are_numbers():
    penalty = Penalty("contractive", np.float32(0.5), projections=np.int64(2))
    assert penalty == Penalty("contractive", 0.5, projections=2)
    assert type(penalty.weight) is float
    assert type(penalty.projections) is int


def test_an_objective_says_itself_in_a_line():
    objective = Objective("l1", [Penalty("sparsity", 0.1, target=0.2), Penalty("weights-l1", 1e-6)])
    assert str(objective) == "l1 + sparsity 0.1 (target 0.2) + weights-l1 1e-06"


def test_objectives_hold_each_penalty_once(refused):
    with refused("twice", "sparsity"):
        Objective("mse", (Penalty("sparsity", 1), Penalty("sparsity", 2)))
    with refused("no penalties", remedy="Penalty"):
        Objective("mse", ("sparsity",))
    for given in (None, 0.1):
        with refused("no penalties", remedy="Penalty"):
            Objective("mse", given)


def test_a_penalty_alone_stands_for_a_tuple_of_it():
    one = Penalty("sparsity", 0.1)
    assert Objective("mse", one) == Objective("mse", (one,))
