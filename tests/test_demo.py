import dataclasses
import time
from types import SimpleNamespace

import numpy as np
import pytest

from napari_ae_denoise import demo as module
from napari_ae_denoise import training_run
from napari_ae_denoise.demo import demo_figure, make_demo
from napari_ae_denoise.samples import mitochondria


def finished(steps):
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


@pytest.fixture
def small_sample(monkeypatch):
    """The micrograph, a quarter of it, so that the demo takes seconds."""
    whole = mitochondria()
    parts = {n: getattr(whole, n)[256:768, 512:].copy() for n in ("noisy", "clean")}
    part = dataclasses.replace(whole, **parts)
    monkeypatch.setattr(module, "mitochondria", lambda: part)
    return part


def test_the_demo_denoises_a_part_that_was_not_trained_on(small_sample, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module,
        "TrainingData",
        lambda **data: seen.append(data) or original(**data),
    )
    # of processor time: on a busy machine less is learned in a second of the clock
    clock = SimpleNamespace(monotonic=time.process_time)
    monkeypatch.setattr(training_run, "time", clock)
    demo, steps = finished(make_demo(8, device="cpu"))
    assert steps > 10
    assert set(seen[0]) == {"noisy", "clean", "axes"}
    assert not np.shares_memory(seen[0]["noisy"], demo.noisy)
    np.testing.assert_array_equal(demo.noisy, small_sample.noisy[:256, 256:])
    assert demo.denoised_psnr > demo.noisy_psnr + 4
    assert demo.denoised.dtype == small_sample.noisy.dtype
    assert demo.denoised.shape == demo.noisy.shape
    assert demo.code.shape[1:] == tuple(-(-n // demo.stride) for n in demo.noisy.shape)
    assert np.isfinite(demo.code).all()
    assert 0 <= demo.channel < len(demo.code)
    low, high = demo.limits
    assert demo.denoised.min() <= low < high <= demo.denoised.max()

    titles = [axes.get_title() for axes in demo_figure(demo).axes]
    assert [t.split(",")[0] for t in titles] == ["noisy", "denoised", "latent code"]
    assert f"{demo.denoised_psnr:.1f} dB" in titles[1]


original = module.TrainingData


def test_the_channel_shown_is_the_one_like_the_image(untrained):
    denoised = np.zeros((16, 16), np.uint16)
    denoised[4:12, 4:12] = 100
    code = np.random.default_rng(0).standard_normal((5, 4, 4)).astype(np.float32)
    code[3] = -denoised[::4, ::4].astype(np.float32)
    code[1] = 7  # says nothing
    made = module.Demo(
        denoised, denoised, denoised, code, untrained("classic"), (1.0, 1.0), "pixel", 20.0, 30.0
    )
    assert made.stride == 4
    assert made.channel == 3
