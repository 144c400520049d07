from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from torch import nn

from napari_ae_denoise import Denoiser, add_camera_noise, add_gaussian_noise
from napari_ae_denoise.camera_noise import StabilizedMap
from napari_ae_denoise.card import Card
from napari_ae_denoise.interop.zoo_network import ZooSpec
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.resolving import resolve
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

GRAY = NetworkSpec("residual", widths=(4,), blocks=1, skips=True, stem=2)
PLAIN = NetworkSpec("plain", widths=(4,))
COLOUR = NetworkSpec("residual", channels=3, widths=(4,), blocks=1, skips=True, stem=2)


def card(spec=GRAY, **changes):
    return Card(network=spec, **({"data_kind": "clean", "sigma": (0.0, 60.0)} | changes))


@pytest.fixture
def gaussian(camera):
    return add_gaussian_noise(camera.astype(np.float32), 20, seed=0)


@pytest.fixture
def poisson(camera):
    return add_camera_noise(camera.astype(np.float32), 6.0, read_noise=4, seed=0)


def stabilized(seen):
    return [isinstance(m, StabilizedMap) for m in seen.maps]


# ---- which noise is assumed


@pytest.mark.parametrize("noise", ["gaussian", "camera"])
def test_noise_that_grows_is_levelled(gaussian, poisson, noise):
    assert stabilized(resolve(card(noise=noise), poisson, None, "auto")) == [True]
    assert stabilized(resolve(card(noise=noise), gaussian, None, "auto")) == [False]


def test_what_was_estimated_is_said(gaussian, poisson):
    (said,) = resolve(card(), poisson, None, "auto").remarks
    assert "camera noise: gain" in said
    (said,) = resolve(card(), gaussian, None, "auto").remarks
    assert "Gaussian noise: sigma" in said


def test_a_model_of_real_noise_sees_the_image_as_it_is(poisson):
    real = card(data_kind="pairs", sigma=None, noise="")
    assert stabilized(resolve(real, poisson, None, "auto")) == [False]
    assert stabilized(resolve(real, poisson, None, "camera")) == [True]


def test_users_may_choose(gaussian, poisson):
    assert stabilized(resolve(card(), poisson, None, "gaussian")) == [False]
    seen = resolve(card(), gaussian, None, "camera")
    assert stabilized(seen) == [False]
    assert "does not grow" in seen.warnings[0]
    assert "Gaussian noise is assumed" in seen.warnings[0]


@pytest.mark.parametrize("correlated", ["auto", "none"])
def test_what_was_estimated_is_said_though_gaussian_noise_was_chosen(camera, correlated):
    noisy = camera + np.random.default_rng(0).normal(0, 300, camera.shape)
    seen = resolve(card(), noisy, None, "gaussian", correlated)
    assert stabilized(seen) == [False]
    assert seen.remarks[0].startswith("Estimated Gaussian noise: sigma 30")
    assert "the model was trained for" in seen.note


@pytest.mark.parametrize("noise_model", ["auto", "gaussian", "camera"])
def test_noise_that_cannot_be_estimated_is_said_to_be_taken_for_gaussian(gaussian, noise_model):
    gaps = np.array(gaussian, np.float32)
    gaps[:, ::3] = np.nan
    seen = resolve(card(), gaps, None, noise_model)
    assert stabilized(seen) == [False]
    said = " ".join([*seen.remarks, *seen.warnings])
    assert "cannot be estimated" in said
    assert "Gaussian noise is assumed" in said
    assert "sigma 0" not in said


def test_the_noise_of_a_small_image_is_said_not_to_be_estimated(gaussian):
    small = np.asarray(gaussian)[:63]
    (said,) = resolve(card(), small, None, "auto").remarks
    assert "too small" in said
    assert "Gaussian noise is assumed" in said
    assert "too small" not in " ".join(resolve(card(), small, None, "camera").remarks)
    real = card(data_kind="pairs", sigma=None, noise="")
    assert resolve(real, small, None, "auto").remarks == ()


def test_a_few_hot_pixels_are_said_where_they_decide_how_the_others_are_seen(gaussian):
    hot = np.array(gaussian)
    hot[3, ::100] = 4000
    plain = card(PLAIN, normalization=Normalization(low=0, high=100))
    assert "hot pixels" in resolve(plain, hot, None, "auto").note
    assert "hot pixels" not in resolve(plain, gaussian, None, "auto").note
    assert "hot pixels" not in resolve(card(), hot, None, "auto").note  # maps by percentiles


def test_channels_are_estimated_one_by_one(gaussian, poisson):
    seen = resolve(card(), np.stack([gaussian, poisson]), "CYX", "auto")
    assert stabilized(seen) == [False, True]
    assert len(seen.remarks) == 2


def test_an_unknown_noise_model_is_refused(refused, gaussian):
    with refused("poisson", remedy="camera"):
        resolve(card(), gaussian, None, "poisson")


def test_lazy_images_are_seen_as_those_in_memory(poisson):
    assert resolve(card(), da.from_array(poisson, 50), None, "auto").maps == list(
        resolve(card(), poisson, None, "auto").maps
    )


def test_a_fixed_map_keeps_its_ends_where_noise_is_levelled(poisson):
    fixed = Normalization("fixed", offset=20.0, scale=200.0)
    (found,) = resolve(card(normalization=fixed), poisson, None, "auto").maps
    assert isinstance(found, StabilizedMap)
    ends = found.apply(np.array([20.0, 220.0]))
    np.testing.assert_allclose(ends, (0, 1), atol=1e-5)
    assert 0 < found.apply(np.array([120.0]))[0] < 1
    dark = resolve(card(normalization=replace(fixed, offset=-900.0)), poisson, None, "auto")
    assert np.isfinite(dark.maps[0].apply(poisson)).all()


# ---- noise beyond the model


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"sigma": (0.0, 60.0)}, False),
        ({"sigma": (0.0, 18.0)}, False),  # the estimate is no closer than that
        ({"sigma": (0.0, 10.0)}, True),
        ({"sigma": (40.0, 60.0)}, True),
        ({"sigma": (0.0, 0.1), "sigma_relative": True}, False),
        ({"sigma": (0.0, 0.03), "sigma_relative": True}, True),
        ({"sigma": (0.2, 0.3), "sigma_relative": True}, True),
        ({"sigma": None}, False),
    ],
)
def test_noise_outside_the_range_of_the_model_is_warned_of(gaussian, changes, warned):
    said = resolve(card(**changes), gaussian, None, "auto").warnings
    assert bool(said) == warned
    if warned:
        assert "sigma of about 2" in said[0]
        assert "trained for" in said[0]
        assert ("in images that span about" in said[0]) == changes.get("sigma_relative", False)


def test_the_warning_reaches_scripts(gaussian):
    denoiser = Denoiser(ConvAutoencoder(GRAY), card(sigma=(0.0, 5.0)))
    with pytest.warns(UserWarning, match=r"about 2\d.*0 to 5 grey values"):
        denoiser.denoise(gaussian)
    with pytest.warns(UserWarning, match="0 to 5 grey values"):
        denoiser.denoise(da.from_array(gaussian))


# ---- colours


def test_colours_in_a_gray_model_are_denoised_one_by_one_and_it_is_said(gaussian):
    colours = np.stack([gaussian, gaussian + 9, gaussian[::-1]], axis=-1)
    denoiser = Denoiser(ConvAutoencoder(GRAY), card())
    assert "each colour" in resolve(denoiser.card, colours, None, "auto").remarks[0]
    made = denoiser.denoise(colours, noise_model="gaussian")
    assert made.shape == colours.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_gray_image_in_a_model_for_colours_is_three_equal_ones(gaussian, dtype):
    gray = np.clip(gaussian, 0, 255).astype(dtype)
    denoiser = Denoiser(ConvAutoencoder(COLOUR), card(COLOUR))
    said = resolve(denoiser.card, gray, None, "auto").remarks[0]
    assert "three equal" in said
    assert "Choose a model for gray images." in said
    made = denoiser.denoise(gray, precision="float32")
    colours = denoiser.denoise(np.stack([gray] * 3, axis=-1), dtype=np.float32, precision="float32")
    assert (made.shape, made.dtype) == (gray.shape, gray.dtype)
    expected = colours.mean(axis=-1)
    if dtype == np.uint8:
        expected = np.clip(expected, 0, 255)
    np.testing.assert_allclose(made, expected, atol=0.51 if dtype == np.uint8 else 1e-3)
    lazy = denoiser.denoise(da.from_array(gray, 40), precision="float32").compute()
    # 8 bit are rounded: what another window computes may be the next grey value
    np.testing.assert_allclose(
        lazy.astype(float), made.astype(float), atol=1 if dtype == np.uint8 else 1e-3
    )
    np.testing.assert_allclose(
        denoiser.encode(gray, precision="float32"),
        denoiser.encode(np.stack([gray] * 3, axis=-1), precision="float32"),
        atol=1e-4,
    )


# ---- what levelling does


def test_levelled_noise_is_tiled_exactly_and_the_unit_does_not_matter(poisson):
    denoiser = Denoiser(ConvAutoencoder(GRAY), card())
    whole = denoiser.denoise(poisson, precision="float32")
    tiled = denoiser.denoise(poisson, tile=32, precision="float32")
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * np.ptp(poisson))
    scaled = denoiser.denoise(5 * poisson, precision="float32")
    np.testing.assert_allclose(scaled, 5 * whole, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("noise_model", ["gaussian", "camera"])
def test_the_code_is_that_of_the_image_as_it_was_denoised(poisson, noise_model):
    denoiser = Denoiser(ConvAutoencoder(GRAY), card())
    how = PredictSettings(precision="float32", noise_model=noise_model)
    both = drain(denoiser.predict_steps(poisson, settings=how, code=True))
    code = denoiser.encode(poisson, precision="float32", noise_model=noise_model)
    np.testing.assert_array_equal(code, both.code)
    other = "camera" if noise_model == "gaussian" else "gaussian"
    assert np.abs(denoiser.encode(poisson, noise_model=other) - code).max() > 1e-3


def test_strength_mixes_grey_values(poisson):
    denoiser = Denoiser(ConvAutoencoder(GRAY), card())
    none, half, whole = (
        denoiser.denoise(poisson, strength=s, precision="float32") for s in (0, 0.5, 1)
    )
    np.testing.assert_allclose(none, poisson, atol=1e-3)
    np.testing.assert_allclose(half, (poisson + whole) / 2, atol=1e-3)


def test_each_channel_is_named_where_there_are_several(gaussian, camera):
    clean = camera.astype(np.float32)
    channels = np.stack([gaussian, add_camera_noise(clean, 6.0, read_noise=4, seed=0)])
    first, second = resolve(card(), channels, "CYX", "auto").remarks
    assert first.startswith("Estimated Gaussian noise: sigma")
    assert first.endswith(" grey values (channel 1).")
    assert second.startswith("Estimated camera noise")
    assert second.endswith(" (channel 2).")
    (only,) = resolve(card(), gaussian, "YX", "auto").remarks
    assert "channel" not in only


@pytest.mark.parametrize("low_high", [(0, 100), (0.1, 99.9)], ids=str)
@pytest.mark.parametrize("noise_model", ["gaussian", "camera"])
def test_that_bright_places_outside_a_sample_may_be_cut_is_said(low_high, noise_model):
    image = np.random.default_rng(0).poisson(100, (1500, 1500)).astype(np.float32)
    how = {"normalization": Normalization(low=low_high[0], high=low_high[1]), "sigma": None}
    lazy = da.from_array(image, chunks=(500, 1500))
    model = card(PLAIN, **how)
    said = [" ".join(resolve(model, one, "YX", noise_model).warnings) for one in (image, lazy)]
    assert "cut off" not in said[0]
    assert ("cut off" in said[1]) == (low_high == (0, 100))
    assert "cut off" not in resolve(model, lazy[:300, :300], "YX", noise_model).note


ONE_SIZE = {"widths": (), "code_channels": 2, "image_size": (1500, 1500)}


@pytest.mark.parametrize(
    ("spec", "cut_off"),
    [
        (PLAIN, True),
        (NetworkSpec("dense", **ONE_SIZE), True),
        (NetworkSpec("dense", **ONE_SIZE, linear=True), False),
        (GRAY, False),
        (NetworkSpec("residual", widths=(4,), blocks=1), False),
        (ZooSpec.of(1), False),
    ],
    ids=["plain", "dense", "linear", "residual with skips", "residual", "zoo"],
)
def test_only_a_network_that_ends_in_a_sigmoid_cuts_bright_places_off(spec, cut_off):
    image = da.from_array(np.random.default_rng(0).normal(100, 9, (1500, 1500)), chunks=(500, 1500))
    model = card(spec, normalization=Normalization(low=0, high=100), sigma=None)
    seen = resolve(model, image, "YX", "gaussian")
    assert ("cut off" in " ".join(seen.warnings)) == cut_off
    ends = spec.style != "zoo" and isinstance(build_empty(spec).head[-1], nn.Sigmoid)
    assert ends == cut_off
