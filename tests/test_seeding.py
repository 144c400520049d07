import threading

import pytest
import torch

from napari_ae_denoise import NetworkSpec, TrainingData, devices, fused_network
from napari_ae_denoise.seeding import seeded
from napari_ae_denoise.training_run import TrainingRun
from napari_ae_denoise.tutorial import untrained

SMALL = NetworkSpec("plain", widths=(4,))


def test_a_seed_gives_the_same_numbers_and_the_state_stays():
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_trial_of_a_precision_draws_nothing():
    before = torch.get_rng_state()
    devices._bfloat16_pays.__wrapped__()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def train_start(camera, quick_settings):
    return lambda: TrainingRun(TrainingData(clean=camera), quick_settings(), None, None)


@pytest.mark.parametrize("user", ["fused", "tutorial", "training"])
def test_who_draws_by_seed_waits_for_who_does_so_already(user, train_start):
    def fuse():
        fused_network._fusing_works.__wrapped__(torch.float32)

    work = {"fused": fuse, "tutorial": lambda: untrained(SMALL), "training": train_start}[user]
    other = threading.Thread(target=work)
    with seeded(0):
        expected = torch.rand(8)
    with seeded(0):
        first = torch.rand(4)
        other.start()
        other.join(0.5)
        waiting = other.is_alive()
        drawn = torch.cat([first, torch.rand(4)])
    other.join()
    assert waiting
    assert torch.equal(drawn, expected)


def test_the_random_numbers_of_gpus_stay_as_they_are(monkeypatch):
    def refuse(_):
        raise AssertionError("the GPUs were seeded")

    for gpu in (torch.cuda, torch.mps, torch.xpu):
        monkeypatch.setattr(gpu, "manual_seed", refuse)
    for gpu in (torch.cuda, torch.xpu):
        monkeypatch.setattr(gpu, "manual_seed_all", refuse)
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        torch.testing.assert_close(torch.rand(4), first, rtol=0, atol=0)
