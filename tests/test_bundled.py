"""What every model that ships must be and do."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea

from napari_ae_denoise import Denoiser, add_camera_noise, add_gaussian_noise, psnr
from napari_ae_denoise.bundled import bundled_files, bundled_models
from napari_ae_denoise.samples import mitochondria

NAMES = sorted(bundled_files())


@pytest.fixture(scope="module")
def models():
    return {name: Denoiser.load(name) for name in NAMES}


@pytest.fixture
def clean(camera):
    """A photograph as large as the context of a network, gray or in colours."""

    def make(channels):
        gray = np.pad(camera, 64, "reflect").astype(np.float32)
        if channels == 1:
            return gray
        tint = np.linspace(0.6, 1, gray.shape[1], dtype=np.float32)
        return np.stack([gray, gray * tint, gray[:, ::-1] * 0.5 + 60], axis=-1)

    return make


def test_they_fit_into_the_package():
    sizes = [path.stat().st_size for path in bundled_files().values()]
    assert sum(sizes) < 20e6
    assert {"natural-gray", "natural-rgb", "microscopy"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_they_are(name):
    card = bundled_models()[name]
    assert card.name == name
    assert "training/README.md" in card.description
    assert len(card.description) > 100
    assert card.licence
    assert card.sigma_relative
    assert card.sigma == pytest.approx((0, 75 / 255), abs=0.12)
    measured = [key for key in card.metrics if "psnr" in key and "validation" not in key]
    assert len(measured) >= 2
    assert card.network.channels == (3 if name == "natural-rgb" else 1)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_and_finite(models, name):
    network = models[name].network
    assert network.parameter_count <= 5e6
    assert all(np.isfinite(p.numpy()).all() for p in network.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_noise_falls_without_being_told(models, clean, name, sigma):
    reference = clean(models[name].card.network.channels)
    noisy = add_gaussian_noise(reference, sigma, seed=sigma)
    denoised = models[name].denoise(noisy)
    before, after = (psnr(reference, image, data_range=255) for image in (noisy, denoised))
    assert after > before + {15: 3, 25: 5, 50: 7}[sigma]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_noise_stays_nearly_as_it_is(models, clean, name):
    reference = clean(models[name].card.network.channels)
    assert psnr(reference, models[name].denoise(reference), data_range=255) > 33


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [0.01, 7, 250])
def test_they_are_homogeneous(models, clean, name, factor):
    noisy = add_gaussian_noise(clean(models[name].card.network.channels), 25, seed=0)
    plain = models[name].denoise(noisy, precision="float32")
    scaled = models[name].denoise(factor * noisy, precision="float32")
    np.testing.assert_allclose(scaled / factor, plain, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_16_bit_images_are_denoised_as_8_bit_ones(models, clean, name):
    noisy = add_gaussian_noise(clean(models[name].card.network.channels), 25, seed=0)
    deep = np.rint(1000 + 200 * noisy).clip(0, 65535).astype(np.uint16)
    made = models[name].denoise(deep)
    assert made.dtype == np.uint16
    plain = models[name].denoise(noisy)
    assert psnr(plain, (made.astype(float) - 1000) / 200, data_range=255) > 40


@pytest.mark.parametrize("name", [n for n in NAMES if n != "natural-rgb"])
def test_camera_noise_falls(models, clean, name):
    reference = clean(1)
    noisy = add_camera_noise(reference, 6.0, read_noise=3, seed=0)
    denoised = models[name].denoise(noisy)
    before, after = (psnr(reference, image, data_range=255) for image in (noisy, denoised))
    assert after > before + 5


def test_micrographs_are_denoised_by_the_model_for_them(models):
    sample = mitochondria()
    limits = float(np.ptp(sample.clean))
    before = psnr(sample.clean, sample.noisy, data_range=limits)
    after = psnr(sample.clean, models["microscopy"].denoise(sample.noisy), data_range=limits)
    assert after > before + 5


def as_jpeg(image, *, coarse):
    file = io.BytesIO()
    made = Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    made.save(file, "JPEG", quality=92, subsampling=2 if coarse else 0)
    return np.asarray(Image.open(file), np.float32)


@pytest.mark.parametrize("kind", ["own", "grain", "without colours", "JPEG", "coarse JPEG"])
def test_the_noise_of_photographs_as_they_are_saved_falls(models, kind):
    """The model before had only seen noise of each colour's own, and left all but the first."""
    clean = chelsea()[:192, 100:292].astype(np.float32)
    rng = np.random.default_rng(0)
    common = kind in ("grain", "without colours")
    noise = rng.normal(0, 25, (192, 192, 1) if common else clean.shape)
    if kind == "without colours":
        clean = np.repeat(clean[..., 1:2], 3, axis=2)
    noisy = clean + noise
    if "JPEG" in kind:
        noisy = as_jpeg(noisy, coarse=kind == "coarse JPEG")
    made = models["natural-rgb"].denoise(noisy, axes="YXC")
    gain = psnr(clean, made, data_range=255) - psnr(clean, noisy, data_range=255)
    assert gain > (5 if kind == "coarse JPEG" else 8)


def test_natural_rgb_takes_gray_images_too(models, clean):
    image = clean(1)
    noisy = add_gaussian_noise(image, 25, seed=0)
    made = models["natural-rgb"].denoise(noisy)
    expected = psnr(image, models["natural-gray"].denoise(noisy), data_range=255)
    assert psnr(image, made, data_range=255) > expected - 0.7
