import itertools
import math
import threading
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_ae_denoise import independent_pixels, sampling, training_run
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.steps import drain
from napari_ae_denoise.training import Progress, train, training_steps
from napari_ae_denoise.training_data import TrainingData


def psnr(reference, image):
    error = np.mean((reference.astype(float) - image.astype(float)) ** 2)
    return 10 * math.log10(255**2 / error)


def weights(denoiser):
    return torch.cat([p.flatten() for p in denoiser.network.parameters()])


def run(steps):
    """Drain a training; return its records and its denoiser."""
    records = []
    return records, drain(steps, records.append)


@pytest.fixture
def data(camera):
    return TrainingData(clean=camera)


class Falling(Objective):
    """A loss that is not finite from its n-th call on."""

    def __init__(self, after, bad=math.nan, how="loss"):
        super().__init__()
        object.__setattr__(self, "_rest", [after])
        object.__setattr__(self, "_bad", (bad, how))

    def __call__(self, network, noisy, target, scored=None, usual_error=None):
        loss = super().__call__(network, noisy, target, scored, usual_error)
        self._rest[0] -= 1
        if self._rest[0] >= 0:
            return loss
        bad, how = self._bad
        if how == "error":
            raise bad
        if how == "only the loss":
            return loss + bad
        return loss * bad if how == "loss" else loss + _BadGradient.apply(loss)


class _BadGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.zeros_like(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.inf


# ---- what comes out


def test_noise_falls_after_a_short_training(trained, camera, noisy_camera):
    denoised = trained.denoise(noisy_camera, precision="float32")
    assert psnr(camera, denoised) > psnr(camera, noisy_camera) + 4


@pytest.mark.parametrize("sigma", [10, 40])
def test_one_blind_denoiser_serves_weak_and_strong_noise(trained, camera, sigma):
    noisy = camera + sigma * np.random.default_rng(8).standard_normal(camera.shape)
    denoised = trained.denoise(noisy, precision="float32")
    assert psnr(camera, denoised) > psnr(camera, noisy) + 1.5


@pytest.mark.parametrize("kind", ["pairs", "two noisy"])
def test_noise_falls_after_training_on_pairs(camera, kind, quick_settings):
    rng = np.random.default_rng(5)
    first, again = (camera + 30 * rng.standard_normal(camera.shape) for _ in range(2))
    images = {"noisy": first, "clean": camera}
    if kind == "two noisy":
        images = {"noisy": first, "noisy_again": again}
    spec = NetworkSpec("residual", widths=(16, 32), blocks=1, skips=True, stem=2)
    how = quick_settings(
        preset=spec, steps=200, batch_size=8, patch_size=32, learning_rate=3e-3, average=0.95
    )
    denoiser = train(TrainingData(**images), how)
    assert denoiser.card.data_kind == kind
    assert denoiser.card.sigma is None
    assert psnr(camera, denoiser.denoise(first, precision="float32")) > psnr(camera, first) + 3


def test_validation_psnr_says_what_denoising_will_do(trained):
    metrics = trained.card.metrics
    assert metrics["validation_psnr"] > metrics["noisy_psnr"] + 3
    assert 15 < metrics["noisy_psnr"] < 30


@pytest.mark.parametrize("preset", ["plain", "bottleneck", "residual"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_same_seed_gives_the_same_weights(data, quick_settings, small_specs, preset, optimizer):
    how = quick_settings(preset=small_specs[preset], optimizer=optimizer, steps=4)
    first = weights(train(data, how))
    torch.rand(100)
    assert torch.equal(first, weights(train(data, how)))
    assert not torch.equal(first, weights(train(data, replace(how, seed=1))))


def test_training_leaves_the_callers_random_numbers_and_threads_alone(data, quick_settings):
    torch.manual_seed(5)
    np.random.seed(5)
    expected, expected_numpy = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    threads = torch.get_num_threads()
    train(data, quick_settings(steps=2))
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(np.random.rand(3), expected_numpy)
    assert torch.get_num_threads() == threads


def test_card_says_how_the_model_was_made(data, quick_settings):
    how = quick_settings(name="mine", objective=Objective("l1"), relative=True, sigma=(0.1, 0.2))
    card = train(data, how).card
    assert card.network == how.preset
    assert (card.name, card.objective, card.data_kind) == ("mine", "l1", "clean")
    assert (card.sigma, card.sigma_relative, card.axes) == ((0.1, 0.2), True, "YX")
    assert card.training["steps_done"] == 6
    assert card.training["seed"] == 0
    assert "torch" in card.versions
    assert card.created


def test_a_trained_denoiser_can_be_saved_and_opened(data, quick_settings, camera, tmp_path):
    how = quick_settings(seed=np.int64(3), steps=np.int32(3), batch_size=np.int64(2))
    denoiser = train(data, how)
    denoiser.save(tmp_path / "m")
    opened = Denoiser.load(tmp_path / "m.safetensors")
    assert torch.equal(weights(opened), weights(denoiser))
    assert opened.card.to_record()["network"] == denoiser.card.to_record()["network"]
    np.testing.assert_array_equal(
        opened.denoise(camera, precision="float32"), denoiser.denoise(camera, precision="float32")
    )


@pytest.mark.parametrize(
    ("shape", "axes", "channels"),
    [
        ((40, 40, 3), None, 3),
        ((40, 40, 4), "YXC", 3),
        ((2, 40, 40), "CYX", 1),
        ((3, 9, 9), "ZYX", 1),
    ],
)
def test_images_of_any_axes_can_be_trained_on(quick_settings, small_specs, shape, axes, channels):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    spec = replace(small_specs["plain"], channels=channels)
    denoiser = train(TrainingData(clean=image, axes=axes), quick_settings(preset=spec, steps=2))
    out = denoiser.denoise(image, axes=axes, precision="float32")
    assert (out.shape, out.dtype) == (image.shape, image.dtype)


def test_presets_are_trained_by_name(quick_settings):
    image = np.random.default_rng(0).random((24, 24, 3))
    how = quick_settings(preset="classic", steps=1, batch_size=1, sigma=0.1)
    assert train(TrainingData(clean=image), how).card.network.channels == 3


def test_networks_and_data_that_do_not_fit_are_refused(quick_settings, small_specs, refused):
    spec = replace(small_specs["plain"], channels=2)
    data = TrainingData(clean=np.random.default_rng(0).random((5, 24, 24)), axes="CYX")
    with refused("2 channels", "5"):
        train(data, quick_settings(preset=spec))


def test_a_device_that_is_not_there_is_refused(data, quick_settings, refused):
    with refused("cuda:9"):
        train(data, quick_settings(device="cuda:9"))


def test_images_are_not_changed(camera, quick_settings):
    image = camera.copy()
    train(TrainingData(clean=image), quick_settings())
    assert image.tobytes() == camera.tobytes()


def test_one_pixel_can_be_trained_on(quick_settings):
    denoiser = train(
        TrainingData(clean=np.array([[7, 9]], np.uint8)), quick_settings(steps=2, sigma=1)
    )
    assert torch.isfinite(weights(denoiser)).all()


# ---- on the way


def test_progress_counts_steps_and_ends_at_the_end(data, quick_settings):
    records, _ = run(training_steps(data, quick_settings(steps=7)))
    assert [r.step for r in records] == list(range(1, 8))
    assert all(r.steps == 7 for r in records)
    assert [r.fraction for r in records] == pytest.approx(np.arange(1, 8) / 7)
    assert all(a.elapsed <= b.elapsed for a, b in pairwise(records))
    assert records[-1].remaining == 0
    assert all(math.isfinite(r.loss) and r.loss > 0 for r in records)
    assert records[-1].validation_psnr == records[-1].best_psnr
    assert math.isnan(records[0].validation_psnr)
    assert all(isinstance(r, Progress) and r.note == "" for r in records)


def test_validation_comes_after_each_epoch(quick_settings):
    image = np.random.default_rng(0).random((16, 16))
    records, _ = run(
        training_steps(TrainingData(clean=image), quick_settings(steps=120, sigma=0.1))
    )
    changes = [
        r.step
        for before, r in pairwise(records)
        if r.validation_psnr != before.validation_psnr
        and not (math.isnan(r.validation_psnr) and math.isnan(before.validation_psnr))
    ]
    assert changes == [50, 100, 120]
    assert [r.epoch for r in records if r.step in (49, 50, 100)] == [0, 1, 2]


def test_best_weights_are_kept_not_the_last(data, quick_settings, monkeypatch):
    seen = []
    scores = iter([20.0, 30.0, 25.0, 10.0])

    def score(pairs):
        return next(scores) if seen else seen.append(1) or 5.0

    monkeypatch.setattr(training_run, "batches_psnr", score)
    how = quick_settings(steps=200, average=0, patch_size=8, sigma=0.1)
    steps = training_steps(TrainingData(clean=np.random.default_rng(0).random((16, 16))), how)
    live, records = {}, []
    while True:
        try:
            record = next(steps)
        except StopIteration as end:
            denoiser = end.value
            break
        records.append(record)
        network = steps.gi_frame.f_locals["run"].network
        if record.step in (50, 100, 150, 200):
            live[record.step] = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert records[-1].best_psnr == 30
    assert torch.equal(weights(denoiser), live[100])
    assert not torch.equal(live[100], live[200])


def ticking():
    """Return a clock by which a second has passed whenever somebody looks at it."""
    seconds = itertools.count(100.0)
    return SimpleNamespace(monotonic=lambda: next(seconds))


def test_minutes_end_a_training(data, quick_settings, monkeypatch):
    monkeypatch.setattr(training_run, "time", ticking())
    records, _ = run(training_steps(data, quick_settings(steps=None, minutes=0.5)))
    assert 3 <= len(records) <= 30
    assert records[-1].fraction > 0.9
    assert records[-1].steps is None
    assert records[-1].remaining < 3
    assert all(a.fraction < b.fraction for a, b in pairwise(records))


def test_epochs_end_a_training(quick_settings):
    image = np.random.default_rng(0).random((16, 16))
    how = quick_settings(steps=None, epochs=1.5, sigma=0.1)
    records, _ = run(training_steps(TrainingData(clean=image), how))
    assert (len(records), records[-1].epoch) == (75, 1)


def test_patches_grow_on_the_way(data, quick_settings, monkeypatch):
    sizes = []

    class Noted(Objective):
        def __call__(self, network, noisy, target, scored=None, usual_error=None):
            sizes.append(tuple(noisy.shape[-2:]))
            return super().__call__(network, noisy, target, scored, usual_error)

    train(data, quick_settings(steps=6, patch_size=(8, 16, 32), objective=Noted()))
    assert sizes == [(8, 8)] * 2 + [(16, 16)] * 2 + [(32, 32)] * 2


# ---- stopping


def test_stop_gives_a_usable_model_within_one_step(data, quick_settings, camera):
    stop = threading.Event()
    steps = training_steps(data, quick_settings(steps=10_000), stop=stop)
    for _ in range(3):
        next(steps)
    stop.set()
    with pytest.raises(StopIteration) as end:
        next(steps)
    denoiser = end.value.value
    assert denoiser.card.training["steps_done"] == 3
    assert math.isfinite(denoiser.card.metrics["validation_psnr"])
    assert denoiser.denoise(camera, precision="float32").shape == camera.shape


def test_stop_before_the_start_gives_the_start(data, quick_settings, untrained):
    stop = threading.Event()
    stop.set()
    start = untrained("plain", seed=4)
    denoiser = train(data, quick_settings(), start=start, stop=stop)
    assert torch.equal(weights(denoiser), weights(start))


@pytest.mark.parametrize("kind", ["clean", "noisy"])
@pytest.mark.parametrize("from_start", [False, True])
def test_stop_is_obeyed_while_many_images_are_looked_at(
    quick_settings, untrained, monkeypatch, kind, from_start
):
    stop, seen = threading.Event(), []
    usual = sampling.Source

    def looked_at(*how, **more):
        seen.append(1)
        if len(seen) == 3:
            stop.set()
        return usual(*how, **more)

    monkeypatch.setattr(sampling, "Source", looked_at)
    images = [np.random.default_rng(n).integers(0, 255, (64, 64), np.uint8) for n in range(9)]
    start = untrained("plain", seed=4) if from_start else None
    made = train(TrainingData(**{kind: images}), quick_settings(), start=start, stop=stop)
    assert len(seen) == 3
    assert made.card.training["steps_done"] == 0
    assert start is None or torch.equal(weights(made), weights(start))
    stop.set()  # and while it is looked for shared noise
    monkeypatch.setattr(independent_pixels, "noise_correlation", lambda _: pytest.fail("read"))
    train(TrainingData(**{kind: images}), quick_settings(), start=start, stop=stop)
    assert len(seen) == 3


def test_an_abandoned_training_gives_the_threads_back(data, quick_settings):
    torch.set_num_threads(2)
    try:
        steps = training_steps(data, quick_settings(steps=50))
        next(steps)
        steps.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


# ---- going on


@pytest.mark.parametrize("optimizer", ["muon", "adam", "adamw"])
def test_resumed_training_equals_an_uninterrupted_one(data, quick_settings, tmp_path, optimizer):
    how = quick_settings(steps=60, patch_size=(8, 16), optimizer=optimizer)
    expected_records, expected = run(training_steps(data, how))
    state = tmp_path / "state.safetensors"
    for kill_after in (7, 30):
        steps = training_steps(data, how, checkpoint=state, checkpoint_minutes=0)
        for _ in range(kill_after):
            last = next(steps)
        steps.close()
    assert last.step == 37
    records, denoiser = run(training_steps(data, how, checkpoint=state))
    assert records[0].step == 38
    assert [r.loss for r in records] == [r.loss for r in expected_records[37:]]
    assert torch.equal(weights(denoiser), weights(expected))
    assert denoiser.card.metrics == expected.card.metrics


def test_what_was_best_is_rated_anew_by_other_settings(data, quick_settings, tmp_path):
    """Weights that were good at hardly any noise are not kept for being it when noise is strong."""
    state, how = tmp_path / "state", {"preset": "residual", "network_changes": {"widths": (8, 8)}}
    easy = train(data, quick_settings(**how, sigma=(0, 1), steps=20), checkpoint=state)
    hard = train(data, quick_settings(**how, sigma=(60, 60), steps=60), checkpoint=state)
    before, after = (d.card.metrics["validation_psnr"] for d in (easy, hard))
    assert after < before - 3
    assert not torch.equal(weights(easy), weights(hard))


def test_a_training_by_steps_is_gone_on_with_by_minutes(
    data, quick_settings, tmp_path, monkeypatch
):
    state = tmp_path / "state"
    monkeypatch.setattr(training_run, "time", ticking())
    train(data, quick_settings(steps=6), checkpoint=state)
    longer = train(data, quick_settings(steps=None, minutes=2), checkpoint=state)
    assert 6 < longer.card.training["steps_done"] <= 120


def test_a_finished_training_is_not_trained_again(data, quick_settings, tmp_path):
    how, state = quick_settings(), tmp_path / "state"
    first = train(data, how, checkpoint=state)
    records, again = run(training_steps(data, how, checkpoint=state))
    assert records == []
    assert torch.equal(weights(first), weights(again))


def test_a_stopped_training_is_kept_in_its_checkpoint(data, quick_settings, tmp_path):
    stop = threading.Event()
    state = tmp_path / "state"
    steps = training_steps(data, quick_settings(), stop=stop, checkpoint=state)
    next(steps)
    stop.set()
    with pytest.raises(StopIteration):
        next(steps)
    records, _ = run(training_steps(data, quick_settings(), checkpoint=state))
    assert records[0].step == 2


def test_checkpoint_of_another_network_is_refused(
    data, quick_settings, small_specs, tmp_path, refused
):
    train(data, quick_settings(steps=1), checkpoint=tmp_path / "state")
    other = quick_settings(preset=small_specs["bottleneck"])
    with refused(tmp_path / "state", remedy="anew"):
        train(data, other, checkpoint=tmp_path / "state")


def test_fine_tuning_goes_on_from_a_loaded_denoiser(camera, trained, tmp_path, quick_settings):
    trained.save(tmp_path / "m.safetensors")
    start = Denoiser.load(tmp_path / "m.safetensors")
    before = weights(start).clone()
    how = quick_settings(preset="classic", steps=5, learning_rate=1e-4, patch_size=32)
    records, tuned = run(training_steps(TrainingData(clean=camera), how, start=start))
    assert tuned.card.network == start.card.network
    assert tuned.card.training["started_from"] == "small"
    assert torch.equal(weights(start), before)
    assert not any(p.requires_grad for p in start.network.parameters())
    assert 0 < (weights(tuned) - before).abs().max() < 0.05
    assert records[-1].validation_psnr > records[-1].noisy_psnr + 3


def test_fine_tuning_never_returns_something_worse_than_its_start(data, trained, quick_settings):
    how = quick_settings(steps=5, learning_rate=0.5, average=0.0)  # ruins any network
    tuned = train(data, how, start=trained)
    assert torch.equal(weights(tuned), weights(trained))


def test_fine_tuning_keeps_the_normalization_of_the_model(data, quick_settings, untrained):
    kind = Normalization("fixed", offset=100, scale=50)
    tuned = train(data, quick_settings(steps=1), start=untrained("plain", normalization=kind))
    assert tuned.card.normalization == kind


# ---- what goes wrong


@pytest.mark.parametrize(
    ("bad", "how"),
    [(math.nan, "loss"), (math.inf, "loss"), (math.inf, "only the loss"), (0, "gradient")],
)
def test_a_loss_that_is_not_finite_keeps_the_last_good_weights(data, quick_settings, bad, how):
    stop = threading.Event()
    steps = training_steps(data, quick_settings(steps=10, schedule="constant"), stop=stop)
    good = drain(steps, lambda record: stop.set() if record.step == 4 else None)
    usual = quick_settings(steps=10, schedule="constant", objective=Falling(4, bad, how))
    records, denoiser = run(training_steps(data, usual))
    assert [r.step for r in records] == [1, 2, 3, 4, 4]
    assert "Stopped before step 5" in records[-1].note
    assert denoiser.card.training["note"] == records[-1].note
    # not to the last bit: an objective of one's own gets the network as it is, not the lean one
    torch.testing.assert_close(weights(denoiser), weights(good), rtol=0, atol=1e-6)


def test_a_first_loss_that_is_not_finite_is_refused(data, quick_settings, refused):
    with refused("first loss", "nan", remedy="learning rate"):
        train(data, quick_settings(objective=Falling(0)))


def test_weights_that_diverge_are_never_returned(data, quick_settings, untrained):
    start = untrained("bottleneck")
    how = quick_settings(steps=30, learning_rate=1e30, optimizer="adam", average=0)
    records, denoiser = run(training_steps(data, how, start=start))
    assert records[-1].note
    assert torch.equal(weights(denoiser), weights(start))
    # what is said of them is what they reach themselves
    assert denoiser.card.metrics["validation_psnr"] == records[0].validation_psnr


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_is_said_with_a_remedy(data, quick_settings, refused, error):
    how = quick_settings(objective=Falling(0, error, "error"))
    with refused("Memory ran out", "cpu", "16 pixels", remedy="smaller patches") as caught:
        train(data, how)
    assert caught.value.__cause__ is error


def test_other_errors_of_the_first_step_are_not_hidden(data, quick_settings):
    error = RuntimeError("shapes do not match")
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(data, quick_settings(objective=Falling(0, error, "error")))


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error"), torch.OutOfMemoryError("no"), OSError("disk unplugged")]
)
def test_an_error_in_a_later_step_ends_the_training_and_loses_nothing(data, quick_settings, error):
    how = quick_settings(steps=50, objective=Falling(10, error, "error"))
    records, denoiser = run(training_steps(data, how))
    assert "after step 10" in records[-1].note
    assert denoiser.card.training["note"] == records[-1].note
    reference = train(data, quick_settings(steps=50, objective=Falling(10)))  # stops there as well
    assert torch.equal(weights(denoiser), weights(reference))


def test_weights_that_cannot_be_rated_are_kept_all_the_same(data, quick_settings, monkeypatch):
    def fail(self):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(training_run.TrainingRun, "validate", fail)
    records, denoiser = run(training_steps(data, quick_settings(steps=5)))
    assert "after step 5" in records[-1].note
    monkeypatch.undo()
    untouched = train(data, quick_settings(steps=5), stop=_set_event())
    assert not torch.equal(weights(denoiser), weights(untouched))


def _set_event():
    event = threading.Event()
    event.set()
    return event


def test_a_checkpoint_that_cannot_be_written_is_refused_at_once(data, quick_settings, tmp_path):
    steps = training_steps(data, quick_settings(), checkpoint=tmp_path / "nowhere" / "c")
    with pytest.raises(DenoisingError, match="nowhere"):
        next(steps)


def test_a_disk_that_fills_up_later_does_not_cost_the_model(
    data, quick_settings, tmp_path, monkeypatch
):
    steps = training_steps(data, quick_settings(steps=3), checkpoint=tmp_path / "c")
    next(steps)

    def full(self, path):
        raise DenoisingError(f"{path} could not be written: no space.", "Free some.")

    monkeypatch.setattr(training_run.TrainingState, "save", full)
    with pytest.warns(UserWarning, match="no space"):
        _, denoiser = run(steps)
    assert denoiser.card.training["steps_done"] == 3


def test_no_noise_to_learn_from_is_refused_where_copying_would_do(data, quick_settings, refused):
    skips = NetworkSpec("residual", widths=(4,), blocks=1, skips=True)
    with refused("sigma 0", "skip", remedy="above 0"):
        train(data, quick_settings(preset=skips, sigma=0))
    train(data, quick_settings(sigma=0, steps=2))  # an autoencoder without noise is one


def test_one_bad_image_of_many_is_named(camera, quick_settings, refused):
    black = np.zeros((64, 64), np.uint8)
    with refused("Image 2 of 3", "(64, 64)", "every pixel is 0"):
        train(TrainingData(clean=[camera, black, camera]), quick_settings())


def test_dark_images_with_few_bright_points_can_be_trained_on(quick_settings):
    image = np.zeros((512, 512), np.float32)
    image[::101, ::97] = 1000.0
    train(TrainingData(clean=image), quick_settings(steps=2, sigma=(0, 10)))
    large = np.zeros((2048, 2048), np.uint16)
    large[1000:1030, 5:35] = 900
    train(TrainingData(clean=large), quick_settings(steps=2, sigma=(0, 10)))


def test_memory_that_runs_out_in_validation_is_said(data, quick_settings, monkeypatch):
    forward = ConvAutoencoder.forward

    def fail(self, x):
        if torch.is_inference_mode_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(ConvAutoencoder, "forward", fail)
    records, _ = run(training_steps(data, quick_settings(steps=5)))
    assert "Memory ran out" in records[-1].note


def test_noise_that_hides_the_image_is_taken_for_a_mistake_of_the_unit(quick_settings, refused):
    image = np.random.default_rng(0).random((64, 64))
    with refused("sigma 50", "span 0.99", remedy="relative"):
        train(TrainingData(clean=image), quick_settings(sigma=(0, 50)))
    train(TrainingData(clean=image), quick_settings(sigma=(0, 0.5), relative=True, steps=1))
