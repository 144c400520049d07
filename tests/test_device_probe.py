"""A device that computes wrong numbers is noticed before it is used."""

import numpy as np
import pytest
import torch

from napari_ae_denoise import device_probe
from napari_ae_denoise.device_probe import check_device, probe, trusted, trusted_device
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU whose results a function makes of the CPU's; count its probes."""
    asked = []

    def make(wrong):
        def fake(device, dtype):
            found = probe(CPU, torch.float32)
            if device.type == "cpu":
                return found
            asked.append((str(device), dtype))
            return wrong(found)

        monkeypatch.setattr(device_probe, "probe", fake)
        monkeypatch.setattr(device_probe, "_trusted", set())
        monkeypatch.setattr(
            device_probe, "choose_device", lambda name: CPU if name == "cpu" else GPU
        )
        return asked

    return make


def broken(values):
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device")


def one_wrong(values):
    values = values.clone()
    values[123] += 0.05 * values.abs().max()
    return values


WRONG = {
    "one number": one_wrong,
    "all zero": torch.zeros_like,
    "NaN": lambda v: torch.full_like(v, torch.nan),
    "infinite": lambda v: v * torch.inf,
    "half of it": lambda v: v / 2,
    "another place": lambda v: v.roll(1),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_device_that_computes_wrong_numbers_is_refused(gpu, refused, case):
    gpu(WRONG[case])
    with refused("cuda:0", "wrong numbers", remedy='"cpu"'):
        trusted_device("cuda:0")


def test_a_device_that_cannot_compute_is_refused(gpu, refused):
    gpu(broken)
    with refused("cuda:0", "no kernel image", remedy='"cpu"'):
        trusted_device("cuda:0")


@pytest.mark.parametrize("wrong", [broken, torch.zeros_like])
def test_where_the_device_was_not_asked_for_the_cpu_is_used(gpu, wrong):
    gpu(wrong)
    with pytest.warns(UserWarning, match=r"cuda:0.*CPU is used"):
        assert trusted_device("auto") == CPU


def test_rounding_is_no_fault_and_a_device_is_asked_once(gpu):
    asked = gpu(lambda v: v * (1 + 1e-3 * torch.sin(torch.arange(len(v)))))
    for _ in range(3):
        assert trusted_device("auto") == GPU
    assert asked == [("cuda:0", torch.float32)]
    check_device(GPU, torch.float16)  # each type of numbers has kernels of its own
    assert asked[1:] == [("cuda:0", torch.float16)]


def test_a_wrong_device_is_asked_again(gpu, refused):
    """The user may have changed something; it is never taken for right meanwhile."""
    asked = gpu(torch.zeros_like)
    for _ in range(2):
        with refused("wrong"):
            trusted_device("cuda:0")
    assert len(asked) == 2


def test_the_cpu_is_not_asked(monkeypatch):
    monkeypatch.setattr(device_probe, "probe", lambda *_: pytest.fail("asked"))
    assert trusted_device("cpu") == CPU


def test_a_wrong_device_denoises_nothing(gpu, untrained, refused):
    gpu(torch.zeros_like)
    with refused("wrong numbers"):
        TileRunner(untrained("plain").network, PredictSettings(device="cuda:0"))
    with pytest.warns(UserWarning, match="CPU is used"):
        runner = TileRunner(untrained("plain").network, PredictSettings(device="auto"))
    assert runner.device == CPU


def test_a_device_that_is_wrong_in_one_type_of_numbers(gpu, monkeypatch, refused):
    gpu(lambda values: values)
    right = device_probe.probe

    def wrong_in_half(device, dtype):
        found = right(device, dtype)
        return found / 2 if device.type != "cpu" and dtype == torch.float16 else found

    monkeypatch.setattr(device_probe, "probe", wrong_in_half)

    def half_on_a_gpu(device):
        return torch.float32 if device.type == "cpu" else torch.float16

    assert trusted("auto", lambda _: torch.float32) == (GPU, torch.float32)
    with pytest.warns(UserWarning, match=r"cuda:0.*CPU is used"):
        assert trusted("auto", half_on_a_gpu) == (CPU, torch.float32)
    with refused("cuda:0", "wrong numbers"):
        trusted("cuda:0", half_on_a_gpu)


def test_a_wrong_device_trains_and_decodes_nothing(gpu, untrained, quick_settings, refused):
    from napari_ae_denoise import TrainingData, train

    gpu(torch.zeros_like)
    image = np.random.default_rng(0).random((40, 40))
    with refused("wrong numbers"):
        train(TrainingData(clean=image), quick_settings(device="cuda:0"))
    code = untrained("plain").encode(image, device="cpu")
    with refused("wrong numbers"):
        untrained("plain").decode(code, device="cuda:0")


def test_no_number_of_the_probe_hides_a_fault():
    """All parts of it are of one size: a fault in any of them is seen."""
    values = probe(CPU, torch.float32)
    assert torch.isfinite(values).all()
    parts = torch.tensor_split(values, 20)
    spread = torch.stack([part.abs().max() for part in parts])
    assert spread.min() > 0.05 * spread.max()


def test_bfloat16_of_the_cpu_is_within_its_tolerance():
    expected = probe(CPU, torch.float32)
    found = probe(CPU, torch.bfloat16)
    off = (found - expected).abs().max() / expected.abs().max()
    assert 0 < off < 0.5 * device_probe._TOLERANCE[torch.bfloat16]
