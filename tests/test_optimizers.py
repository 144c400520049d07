import numpy as np
import pytest
import torch
from torch import nn

from napari_ae_denoise.optimizers import OPTIMIZERS, Muon, _orthogonal


def matrix(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator)


@pytest.mark.parametrize("shape", [(8, 8), (8, 50), (50, 8), (1, 9)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape):
    values = torch.linalg.svdvals(_orthogonal(matrix(*shape)))
    # the usual coefficients trade exactness for speed: from about 0.7 to 1.2
    assert values.max() < 1.3
    assert values[:-1].min() > 0.5 if len(values) > 1 else values.min() > 0.5


def test_orthogonalizing_keeps_the_directions():
    given = matrix(6, 40)
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    nearest = u @ v
    cosine = (_orthogonal(given) * nearest).sum() / (_orthogonal(given).norm() * nearest.norm())
    assert cosine > 0.97


def test_updates_are_about_as_large_as_those_of_adam():
    for shape in [(8, 1, 3, 3), (32, 32, 3, 3), (64, 16, 1, 1)]:
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = matrix(shape[0], int(np.prod(shape[1:]))).view(shape)
        Muon([weight], lr=1.0).step()
        assert 0.05 < weight.detach().square().mean().sqrt() < 0.4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_fits_a_convolution_with_a_bias(name):
    torch.manual_seed(0)
    wanted, found = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)
    optimizer = OPTIMIZERS[name](found.parameters(), 0.02)
    x = torch.randn(16, 1, 12, 12)
    losses = []
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / 300)
        loss = ((found(x) - wanted(x)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


def test_weights_decay_on_their_own():
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.zeros(2, 2)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 0.95))


def test_weights_without_a_gradient_are_left_alone():
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], lr=0.1).step()
    torch.testing.assert_close(weight.detach(), torch.ones(2, 2))


def test_a_state_can_be_saved_and_loaded():
    def run(steps, weight, optimizer):
        for step in steps:
            weight.grad = matrix(3, 5, seed=step)
            optimizer.step()

    straight = nn.Parameter(torch.zeros(3, 5))
    run(range(6), straight, Muon([straight], lr=0.1))
    first = nn.Parameter(torch.zeros(3, 5))
    before = Muon([first], lr=0.1)
    run(range(3), first, before)
    second = nn.Parameter(first.detach().clone())
    after = Muon([second], lr=0.1)
    after.load_state_dict(before.state_dict())
    run(range(3, 6), second, after)
    torch.testing.assert_close(second, straight, rtol=0, atol=0)
