"""Each kind of autoencoder: that it trains, and that it does what its sentence promises."""

import functools

import numpy as np
import pytest
import torch

from napari_ae_denoise import KINDS, Denoiser, Penalty, TrainingData, TrainSettings, train
from napari_ae_denoise.model_file import read_model
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.optimizers import OPTIMIZERS
from napari_ae_denoise.penalties import jacobian_norm

QUICK = {"device": "cpu", "precision": "float32"}


@functools.cache
def things(count=256, side=8, seed=0):
    """Small images of soft spots and bars, (N, side, side) uint8: few things decide each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / (side - 1)
    images = []
    for _ in range(count):
        cy, cx, size, turn = rng.uniform([0.1, 0.1, 0.15, 0], [0.9, 0.9, 0.35, np.pi])
        spot = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * size**2))
        bar = 0.5 + 0.5 * np.cos(6 * (np.cos(turn) * x + np.sin(turn) * y))
        images.append(0.6 * spot + 0.4 * bar)
    images = np.array(images)
    return np.rint(255 * images / images.max()).astype(np.uint8)


@functools.cache
def trained(kind, **options):
    """Return a small trained network of a kind; the same one for the same options."""
    usual = {"steps": 200, "batch_size": 16, "patch_size": 8, "sigma": 25.0, "average": 0.95}
    usual |= {"preset": "dense", "learning_rate": 3e-3}
    settings = TrainSettings.of_kind(kind, **(usual | QUICK | options))
    return train(TrainingData(clean=things(), axes="NYX"), settings)


def tensor(denoiser, images):
    """Return images as a network sees them, (N, 1, Y, X)."""
    (grey_map,) = denoiser.resolve(images, "NYX").maps
    return torch.from_numpy(grey_map.apply(images.astype(np.float32)))[:, None]


def code_of(denoiser):
    return denoiser.encode(things(), axes="NYX", precision="float32")[:, :, 0, 0]  # (units, N)


def error(denoiser, seen):
    """Return the root mean squared error against the clean images, in grey values."""
    made = denoiser.denoise(seen, axes="NYX", dtype=np.float32, precision="float32")
    return float(np.sqrt(np.square(made - things()).mean()))


def noisy(sigma=25, seed=5):
    return things() + sigma * np.random.default_rng(seed).standard_normal(things().shape)


# ---- every kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_saves_and_gives_image_and_code(kind, camera, tmp_path):
    settings = TrainSettings.of_kind(kind, steps=3, batch_size=2, patch_size=16, **QUICK)
    image = camera[:48, :48]
    denoiser = train(TrainingData(clean=image), settings)
    back = Denoiser.load(denoiser.save(tmp_path / "m"))
    denoised = back.denoise(image, precision="float32")
    assert denoised.shape == image.shape
    np.testing.assert_array_equal(denoised, denoiser.denoise(image, precision="float32"))
    code = back.encode(image)
    width, stride = back.network.spec.code_width, back.stride
    assert code.shape == (width, 48 // stride, 48 // stride)
    assert np.isfinite(code).all()
    assert back.card.training["kind"] == kind
    assert back.card.penalties == settings.objective.penalties
    assert KINDS[kind].sentence.endswith(".")


@pytest.mark.parametrize("kind", ["sparse", "variational", "contractive", "marginalized"])
@pytest.mark.parametrize("preset", ["residual", "dense"])
def test_kinds_go_with_other_networks(kind, preset, camera):
    settings = TrainSettings.of_kind(kind, preset=preset, steps=2, batch_size=2, **QUICK)
    denoiser = train(TrainingData(clean=camera[:32, :32]), settings)
    assert denoiser.network.spec.style == preset
    assert denoiser.denoise(camera[:32, :32]).shape == (32, 32)


@pytest.mark.parametrize("kind", ["sparse", "variational", "contractive"])
def test_kinds_are_resumed_as_if_nothing_had_happened(kind, camera, tmp_path):
    def settings(steps):
        how = {"batch_size": 2, "patch_size": 16, "schedule": "constant", "average": 0.0}
        return TrainSettings.of_kind(kind, steps=steps, **how, **QUICK)

    data = TrainingData(clean=camera[:64, :64])
    train(data, settings(6), checkpoint=tmp_path / "whole")
    train(data, settings(3), checkpoint=tmp_path / "resumed")
    train(data, settings(6), checkpoint=tmp_path / "resumed")
    whole, resumed = (read_model(tmp_path / name)[0] for name in ("whole", "resumed"))
    live = [name for name in whole if name.startswith("network.")]  # the best may be older
    for name in live:
        torch.testing.assert_close(resumed[name], whole[name], rtol=1e-4, atol=1e-6)
    assert live


def test_an_unknown_kind_is_refused_with_the_names(refused):
    with refused("generative", remedy="variational"):
        TrainSettings.of_kind("generative")


@pytest.mark.parametrize(
    ("kind", "options", "words", "remedy"),
    [
        ("denoising", {"weight": 1}, ["denoising", "weight"], "depth"),
        ("regularized", {"target": 0.1}, ["regularized", "target"], "penalty"),
        ("sparse", {"penalty": "contractive"}, ["contractive"], "sparsity"),
        ("sparse", {"penalty": "activity-l1", "target": 0.2}, ["activity-l1", "0.2"], "sparsity"),
        ("sparse", {"mood": 1}, ["mood"], "TrainSettings"),
        ("sparse", {"preset": "huge"}, ["huge"], "classic"),
        ("stacked", {"depth": 0}, ["0 levels"], "from 1"),
        ("sparse", {"code_channels": 0}, ["code_channels", "0"], "whole number"),
        ("sparse", {"weight": -1}, ["-1"], "from 0"),
    ],
)
def test_options_that_are_none_are_refused(refused, kind, options, words, remedy):
    with refused(*words, remedy=remedy):
        TrainSettings.of_kind(kind, **options)


def test_options_reach_network_and_objective():
    settings = TrainSettings.of_kind("sparse", depth=3, code_channels=5, target=0.2, weight=2)
    spec = settings.network_spec(TrainingData(clean=np.zeros((16, 16))))
    assert (spec.widths, spec.code_width, spec.code_activation) == ((32, 32, 32), 5, "sigmoid")
    assert settings.objective.penalties == (Penalty("sparsity", 2, target=0.2),)
    lasso = TrainSettings.of_kind("regularized", penalty="weights-l1")
    assert lasso.objective.penalties == (Penalty("weights-l1", 1e-6),)
    assert TrainSettings.of_kind("stacked", pretraining="none").pretraining == "none"
    assert len(TrainSettings.of_kind("stacked", depth=2).network_changes["widths"]) == 2


# ---- what each promises


def test_autoencoder_has_an_encoder_and_a_decoder_and_no_noise():
    denoiser = trained("autoencoder", sigma=0.0)
    code = denoiser.encode(things(), axes="NYX", precision="float32")
    back = denoiser.decode(code, like=things(), axes="NYX")
    np.testing.assert_array_equal(back, denoiser.denoise(things(), axes="NYX", precision="float32"))
    assert np.sqrt(np.square(back - things().astype(float)).mean()) < 0.3 * things().std()
    assert denoiser.card.sigma == (0, 0)


def test_linear_under_complete_code_spans_the_principal_components():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    flat = rng.normal(size=(200, 64)) * np.array([3, 2.5, 2, *[0.5] * 61]) @ directions.T + 1
    settings = TrainSettings.of_kind("linear", code_channels=3)
    x = torch.from_numpy(flat.astype(np.float32)).view(-1, 1, 8, 8)
    torch.manual_seed(0)
    network = ConvAutoencoder(
        settings.network_spec(TrainingData(clean=x.numpy()[:, 0], axes="NYX"))
    )
    assert network.code_ratio < 1
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = settings.objective(network, x, x)
        loss.backward()
        return loss

    optimizer.step(closure)
    middle = flat.mean(axis=0)
    components = np.linalg.svd(flat - middle, full_matrices=False)[2][:3]
    with torch.no_grad():
        zero = network.decode(torch.zeros(1, 3, 1, 1))
        units = network.decode(torch.eye(3)[:, :, None, None]) - zero
        made = network(x).numpy().reshape(-1, 64)
    base = np.linalg.qr(units.numpy().reshape(3, -1).T)[0]
    assert np.linalg.svd(base.T @ components.T)[1].min() > 0.9999
    best = middle + (flat - middle) @ components.T @ components
    np.testing.assert_allclose(made, best, atol=0.02)


def test_training_the_linear_kind_finds_the_principal_components():
    def farthest(**options):
        """Return the cosine of the largest angle between decoder's and components' subspace."""
        how = {"sigma": 0.0, "steps": 400, "batch_size": 64, "learning_rate": 1e-2}
        network = trained("linear", code_channels=8, **how, **options).network
        with torch.no_grad():
            zero = network.decode(torch.zeros(1, 8, 1, 1))
            units = network.decode(torch.eye(8)[:, :, None, None]) - zero
        base = np.linalg.qr(units.numpy().reshape(8, -1).T)[0]
        flat = things().reshape(len(things()), -1).astype(float)
        components = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][:8]
        return np.linalg.svd(base.T @ components.T)[1].min()

    assert farthest() > 0.95
    assert farthest(weight_decay=0.0) < 0.8  # the random weights of the start are still there


def test_the_linear_kind_has_no_decay_with_adam():
    decay = {o: TrainSettings.of_kind("linear", optimizer=o).weight_decay for o in OPTIMIZERS}
    assert decay == {"muon": 1.0, "adam": 0.0, "adamw": 1.0}


@pytest.mark.parametrize(("kind", "word"), [("under-complete", "<"), ("over-complete", ">")])
def test_code_sizes_are_what_their_names_say(kind, word, camera):
    settings = TrainSettings.of_kind(kind, steps=1, batch_size=1, patch_size=16, **QUICK)
    network = train(TrainingData(clean=camera[:32, :32]), settings).network
    assert (network.code_ratio < 1) == (word == "<")
    assert kind in network.code_in_words


@pytest.mark.parametrize(("name", "order"), [("weights-l2", 2), ("weights-l1", 1)])
def test_regularized_weights_are_smaller(name, order):
    def size(denoiser):
        weights = [p for p in denoiser.network.parameters() if p.ndim > 1]
        return sum(float((w.abs() ** order).sum()) for w in weights)

    free = trained("regularized", penalty=name, weight=0.0)
    held = trained("regularized", penalty=name, weight=1e-4)
    assert size(held) < 0.6 * size(free)


def test_l1_makes_more_weights_useless_than_l2():
    def useless(denoiser):
        weights = denoiser.network.features[0][0].weight
        return float((weights.abs() < 0.02 * weights.abs().max()).float().mean())

    lasso = trained("regularized", penalty="weights-l1", weight=1e-5)
    ridge = trained("regularized", penalty="weights-l2", weight=1e-5)
    assert useless(lasso) > 2 * useless(ridge)


def test_sparse_code_is_near_its_target_and_active_seldom():
    free, sparse = (code_of(trained("sparse", weight=w)) for w in (0.0, 1.0))
    assert abs(sparse.mean() - 0.05) < 0.05 < 0.2 < free.mean()
    assert (sparse > 0.5).mean() < 0.3 * (free > 0.5).mean()


def test_sparse_code_by_l1_is_less_active():
    free, sparse = (
        code_of(trained("sparse", penalty="activity-l1", weight=w)) for w in (0.0, 1e-1)
    )
    assert sparse.mean() < 0.3 * free.mean()


def gaussian_gap(denoiser):
    """Return how far the codes of all images together are from the unit Gaussian."""
    mean = code_of(denoiser)
    variance = denoiser.encode_variance(things(), axes="NYX", precision="float32")[:, :, 0, 0]
    middle, spread = mean.mean(axis=1), mean.var(axis=1) + variance.mean(axis=1)
    return float(np.mean(middle**2) + np.mean((np.sqrt(spread) - 1) ** 2))


def test_variational_code_is_near_the_unit_gaussian():
    near = trained("variational", code_channels=4, weight=3e-2)
    far = trained("variational", code_channels=4, weight=0.0)
    assert gaussian_gap(near) < 0.1
    assert gaussian_gap(near) < 0.5 * gaussian_gap(far)


def test_drawn_images_look_like_the_images():
    denoiser = trained("variational", code_channels=4, weight=3e-2)
    drawn = denoiser.sample(200, seed=3)
    assert drawn.shape == (200, 8, 8)
    images = tensor(denoiser, things())[:, 0].numpy()

    def distance(some):
        """Return the mean squared distance of each to the nearest image."""
        gaps = ((some[:, None] - images[None]) ** 2).mean(axis=(2, 3))
        return float(gaps.min(axis=1).mean())

    shuffled = np.random.default_rng(0).permuted(images.reshape(len(images), -1), axis=0)
    assert distance(drawn) < 0.35 * distance(shuffled.reshape(images.shape)[:200])
    assert drawn.std(axis=0).mean() > 0.3 * images.std(axis=0).mean()  # not one image 200 times


def test_contractive_encoder_has_a_smaller_jacobian():
    def steepness(denoiser):
        network = denoiser.network
        return jacobian_norm(network.encode, tensor(denoiser, things()[:32])).item()

    free, held = (trained("contractive", weight=w, code_channels=8) for w in (0.0, 0.5))
    assert steepness(held) < 0.5 * steepness(free)
    assert error(held, noisy()) < 0.9 * things().std()  # and it still makes the image


def test_noise_harms_a_marginalized_network_less_though_it_saw_none():
    def harm(denoiser):
        """Return what noise adds to the mean squared error, with one map of grey values."""
        (grey_map,) = denoiser.resolve(noisy(40), "NYX").maps
        clean, seen = (
            torch.from_numpy(grey_map.apply(images.astype(np.float32)))[:, None]
            for images in (things(), noisy(40))
        )
        with torch.inference_mode():
            made = [denoiser.network(one) for one in (seen, clean)]
        with_noise, without = (((one - clean) ** 2).mean().item() for one in made)
        return with_noise - without

    how = {"sigma": 40.0, "code_channels": 16, "steps": 500}
    free, held = (trained("marginalized", weight=w, **how) for w in (0.0, 10.0))
    assert harm(held) < 0.85 * harm(free)
    assert error(held, noisy(40)) < 0.8 * np.sqrt(np.square(noisy(40) - things()).mean())


def test_marginalized_network_is_shown_clean_images_only(monkeypatch):
    seen = []
    whole = ConvAutoencoder.training_pass

    def watched(self, x, generator=None):
        seen.append(x)
        return whole(self, x, generator)

    monkeypatch.setattr(ConvAutoencoder, "training_pass", watched)
    trained.__wrapped__("marginalized", steps=3)
    images = tensor(trained("autoencoder", sigma=0.0), things())
    spread = images.flatten(1).std(dim=1).mean()
    assert seen
    for batch in seen:  # each of its images is one of the clean ones, but for the grey map
        flat = torch.corrcoef(torch.cat([batch.flatten(1)[:1], images.flatten(1)]))[0, 1:]
        assert flat.max() > 0.9999
    assert spread > 0


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_no_unit_of_a_narrow_code_is_dead_at_the_start(channels, camera):
    """Units of a ReLU that never fire get no gradient: the image would be one grey for good."""
    network = NetworkSpec("plain", widths=(32, 32), code_channels=channels)
    x = torch.from_numpy(camera[:128, :128] / 255).float()[None, None]
    for seed in range(30):
        torch.manual_seed(seed)
        made = ConvAutoencoder(network)
        ((made(x) - x) ** 2).mean().backward()
        assert (made.encode(x).amax(dim=(0, 2, 3)) > 0).all(), seed
        assert next(made.parameters()).grad.abs().sum() > 0, seed
