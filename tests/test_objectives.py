import numpy as np
import pytest
import torch

from napari_ae_denoise.objectives import RECONSTRUCTION, Objective


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 2, 8, 8, generator=generator)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", lambda d: (d**2).mean()), ("l1", lambda d: np.abs(d).mean())],
)
def test_loss_is_the_formula(pair, name, expected):
    made, target = pair
    loss = RECONSTRUCTION[name](made, target)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected((made - target).numpy().astype(float)), rel=1e-5)


@pytest.mark.parametrize("name", RECONSTRUCTION)
def test_loss_is_zero_only_for_the_target_itself(pair, name):
    assert RECONSTRUCTION[name](pair[0], pair[0]).item() == 0
    assert RECONSTRUCTION[name](pair[0], pair[1]).item() > 0.1


@pytest.mark.parametrize("name", RECONSTRUCTION)
def test_best_constant_is_the_mean_or_the_median(name):
    target = torch.tensor([0.0, 0.0, 0.0, 1.0, 9.0]).reshape(1, 1, 1, 5)
    guesses = torch.linspace(0, 9, 901)
    losses = [RECONSTRUCTION[name](g.expand(1, 1, 1, 5), target).item() for g in guesses]
    best = guesses[int(np.argmin(losses))].item()
    assert best == pytest.approx({"mse": 2.0, "l1": 0.0}[name], abs=0.02)


def test_objective_scores_what_the_network_makes(pair):
    noisy, target = pair
    assert Objective("l1")(torch.nn.Identity(), noisy, target) == RECONSTRUCTION["l1"](*pair)
    zeros = torch.nn.Threshold(1e9, 0.0)
    assert Objective("mse")(zeros, noisy, target).item() == pytest.approx((target**2).mean().item())


@pytest.mark.parametrize(("name", "power"), [("l1", 1), ("mse", 2)])
def test_errors_are_measured_in_what_is_usual_for_each_image(name, power):
    target = torch.zeros(2, 1, 2, 2)
    made = torch.tensor([2.0, 3.0]).view(2, 1, 1, 1).expand_as(target)
    usual = torch.tensor([2.0, 0.5])
    loss = Objective(name)(lambda _: made, target, target, usual_error=usual)
    assert loss.item() == pytest.approx((1**power + 6**power) / 2)


def test_objective_is_float32_for_a_network_of_half_precision(pair):
    loss = Objective()(lambda x: x.bfloat16(), *pair)
    assert loss.dtype == torch.float32


def test_objective_leads_to_the_network(pair):
    network = torch.nn.Conv2d(2, 2, 3, padding=1)
    Objective("mse")(network, pair[0][:, :2], pair[1][:, :2]).backward()
    assert network.weight.grad.abs().max() > 0


def test_unknown_loss_is_refused(refused):
    with refused("['mse']", remedy="mse, l1"):
        Objective(["mse"])
    with refused("mses", remedy="mse, l1"):
        Objective("mses")
