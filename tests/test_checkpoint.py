import math

import pytest
import torch

from napari_ae_denoise.checkpoint import TrainingState
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.model_file import write_model
from napari_ae_denoise.optimizers import Muon


def start(seed=0, average=0.9, width=4):
    """Return a network, its optimizer and its state."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, width, 3), torch.nn.Conv2d(width, 1, 1))
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    return network, optimizer, TrainingState(network, optimizer, average=average)


def go(network, optimizer, state, steps):
    generator = torch.Generator().manual_seed(state.step)
    for _ in range(steps):
        optimizer.zero_grad()
        (network(torch.randn(2, 1, 8, 8, generator=generator)) ** 2).mean().backward()
        optimizer.step()
        state.after_step()


def flat(weights):
    return torch.cat([w.detach().flatten() for w in weights])


def test_best_weights_do_not_follow_the_live_ones():
    network, optimizer, state = start()
    before = {k: v.clone() for k, v in state.best.items()}
    go(network, optimizer, state, 3)
    assert all(torch.equal(state.best[k], v) for k, v in before.items())
    state.keep_if_best(20.0)
    kept = {k: v.clone() for k, v in state.best.items()}
    go(network, optimizer, state, 3)
    assert all(torch.equal(state.best[k], v) for k, v in kept.items())
    assert not torch.equal(flat(before.values()), flat(kept.values()))


def test_average_follows_the_formula():
    network, optimizer, state = start(average=0.6)
    mean = flat(network.parameters())
    for step in range(1, 12):
        go(network, optimizer, state, 1)
        decay = min(0.6, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * flat(network.parameters())
    with state.averaged():
        torch.testing.assert_close(flat(network.parameters()), mean)


def test_without_average_the_live_weights_are_kept():
    network, optimizer, state = start(average=0)
    go(network, optimizer, state, 4)
    state.keep_if_best(1.0)
    assert torch.equal(flat(state.best.values()), flat(network.state_dict().values()))


def test_averaged_weights_are_only_lent():
    network, optimizer, state = start()
    go(network, optimizer, state, 4)
    live = flat(network.parameters())

    def fail():
        with state.averaged():
            assert not torch.equal(flat(network.parameters()), live)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(flat(network.parameters()), live)


def test_only_better_weights_are_kept():
    network, optimizer, state = start()
    kept = {}
    for psnr in (10.0, 12.0, 11.0, math.nan, -math.inf, 12.0):
        go(network, optimizer, state, 1)
        state.keep_if_best(psnr)
        kept[psnr] = flat(state.best.values())
    assert state.best_psnr == 12.0
    assert not torch.equal(kept[10.0], kept[12.0])
    assert torch.equal(kept[12.0], kept[11.0])


@pytest.mark.parametrize("psnr", [math.nan, -math.inf])
def test_weights_that_have_diverged_are_not_kept_even_first(psnr):
    network, optimizer, state = start()
    before = flat(state.best.values())
    go(network, optimizer, state, 1)
    state.keep_if_best(psnr)
    assert math.isnan(state.best_psnr)
    assert torch.equal(flat(state.best.values()), before)


def test_loaded_state_goes_on_as_if_nothing_had_happened(tmp_path):
    network, optimizer, state = start()
    go(network, optimizer, state, 5)
    state.keep_if_best(17.5)
    state.elapsed = 3.25
    state.save(tmp_path / "state")
    other, its_optimizer, its_state = start(seed=9)
    its_state.load(tmp_path / "state")
    assert (its_state.step, its_state.elapsed, its_state.best_psnr) == (5, 3.25, 17.5)
    for n, o, s in [(network, optimizer, state), (other, its_optimizer, its_state)]:
        go(n, o, s, 4)
    assert torch.equal(flat(network.parameters()), flat(other.parameters()))
    assert all(torch.equal(its_state.best[name], best) for name, best in state.best.items())
    with state.averaged(), its_state.averaged():
        assert torch.equal(flat(network.parameters()), flat(other.parameters()))


def test_state_before_the_first_validation_comes_back(tmp_path):
    network, optimizer, state = start()
    go(network, optimizer, state, 1)
    state.save(tmp_path / "state")
    _, _, other = start(seed=2)
    other.load(tmp_path / "state")
    assert math.isnan(other.best_psnr)


def test_state_of_another_network_is_refused_and_nothing_changes(tmp_path, refused):
    start(width=5)[2].save(tmp_path / "state")
    network, _, state = start()
    before = flat(network.parameters())
    with refused(tmp_path / "state", remedy="anew"):
        state.load(tmp_path / "state")
    assert torch.equal(flat(network.parameters()), before)
    assert state.step == 0


def test_a_model_is_no_training_state(tmp_path, refused, untrained):
    untrained("plain").save(tmp_path / "model.safetensors")
    with refused("training state"):
        start()[2].load(tmp_path / "model.safetensors")


def damage(record, tensors):
    """Return records and tensors of a state that are wrong, by name."""
    return {
        "kind": (record | {"kind": "model"}, tensors),
        "no step": ({k: v for k, v in record.items() if k != "step"}, tensors),
        "step": (record | {"step": "many"}, tensors),
        "best_psnr": (record | {"best_psnr": []}, tensors),
        "missing": (record, {k: v for k, v in tensors.items() if k != "best.0.weight"}),
        "shape": (record, tensors | {"network.0.weight": torch.zeros(4, 1, 2, 2)}),
        "average": (record, tensors | {"average.0": torch.zeros(3)}),
        "optimizer": (record, tensors | {"optimizer.first.exp_avg": torch.zeros(3)}),
        "moment": (record, tensors | {"optimizer.0.exp_avg": torch.zeros(3)}),
    }


@pytest.mark.parametrize(
    "how",
    ["kind", "no step", "step", "best_psnr", "missing", "shape", "average", "optimizer", "moment"],
)
def test_damaged_states_are_refused_and_nothing_changes(tmp_path, refused, how):
    from napari_ae_denoise.model_file import read_model

    network, optimizer, state = start()
    go(network, optimizer, state, 2)
    state.save(tmp_path / "state")
    tensors, record = read_model(tmp_path / "state")
    record, tensors = damage(record, tensors)[how]
    write_model(tmp_path / "state", tensors, record)
    network, _, state = start(seed=3)
    before = flat(network.parameters())
    with refused(tmp_path / "state", remedy="anew"):
        state.load(tmp_path / "state")
    assert torch.equal(flat(network.parameters()), before)
    assert state.step == 0


def test_a_truncated_state_is_refused(tmp_path, refused):
    path = tmp_path / "state"
    start()[2].save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with refused(path):
        start()[2].load(path)


def test_a_state_of_another_optimizer_is_refused(tmp_path):
    network, optimizer, state = start()
    go(network, optimizer, state, 2)
    state.save(tmp_path / "c")
    other = Muon(network.parameters(), 0.05)
    with pytest.raises(DenoisingError, match="optimizer Adam"):
        TrainingState(network, other, average=0.9).load(tmp_path / "c")
