"""Which model is proposed. How often it is the right one: see `benchmarks/proposals.py`."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.data import camera

from napari_ae_denoise import Denoiser, add_camera_noise, add_gaussian_noise, psnr
from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.glance import Glance, glance_steps
from napari_ae_denoise.proposal import COLOURS, GRAY, MICROSCOPY, propose
from napari_ae_denoise.signs import Signs
from napari_ae_denoise.steps import drain

NAMES = ["microscopy", "natural-gray", "natural-rgb"]
GRAY_8 = Glance(
    "YX", (64, 64), "uint8", (5.0, 5.0), None, (0.0, 0.0), Signs(0.2, 1.1, 0.5, 240.0, 0.02)
)
CAMERA = CameraNoise(2.0, 100.0, 3.0)
STEADY = replace(GRAY_8.signs, steady=0.98)


@pytest.mark.parametrize(
    ("changed", "calibrated", "wanted"),
    [
        ({}, False, GRAY),
        ({"dtype": "float64"}, False, GRAY),
        ({"dtype": "float32", "signs": replace(GRAY_8.signs, bright=290.0)}, False, GRAY),
        ({"dtype": "float32", "signs": replace(GRAY_8.signs, bright=3000.0)}, False, MICROSCOPY),
        ({"dtype": "float32", "signs": Signs()}, False, GRAY),
        ({"dtype": "uint16"}, False, MICROSCOPY),
        ({"dtype": ">u2"}, False, MICROSCOPY),
        ({"camera": CAMERA}, False, GRAY),  # it grows by leaps, as texture does
        ({"camera": CAMERA, "signs": STEADY}, False, MICROSCOPY),
        ({"signs": STEADY}, False, GRAY),  # steadily, and hardly
        ({"signs": replace(GRAY_8.signs, spread=2.4)}, False, GRAY),  # structure, not noise
        ({"signs": replace(GRAY_8.signs, spread=2.4, noise=0.08)}, False, MICROSCOPY),
        ({"signs": replace(GRAY_8.signs, middle=0.05)}, False, MICROSCOPY),
        ({}, True, MICROSCOPY),
        ({"axes": "YXC", "shape": (64, 64, 3)}, False, COLOURS),
        (
            {"axes": "YXC", "shape": (64, 64, 4), "camera": CAMERA, "signs": STEADY},
            True,
            COLOURS,
        ),
        ({"axes": "CYX", "shape": (3, 64, 64), "dtype": "uint16"}, False, MICROSCOPY),
    ],
)
def test_the_model_follows_the_image(changed, calibrated, wanted):
    proposal = propose(replace(GRAY_8, **changed), NAMES, calibrated=calibrated)
    assert proposal.name == wanted
    assert proposal.reason


@pytest.mark.parametrize(("dtype", "eight"), [("uint8", True), ("float64", False)])
@pytest.mark.parametrize(("camera", "words"), [(None, "same everywhere"), (CAMERA, "by leaps")])
def test_the_reason_says_what_is_so(dtype, eight, camera, words):
    reason = propose(replace(GRAY_8, dtype=dtype, camera=camera), NAMES).reason
    assert ("8 bits" in reason) == eight
    assert words in reason


def proposed(image):
    return propose(drain(glance_steps(image)), NAMES).name


@pytest.fixture(scope="module")
def photograph():
    from skimage.data import camera

    return camera()[:256, 100:356]


@pytest.fixture(scope="module")
def cells():
    """Cells of several brightnesses over a dim background, (192, 192) in grey values of 8 bit."""
    y, x = np.mgrid[:192, :192]
    waves = np.sin(x / 9) * np.cos(y / 11) + 0.5 * np.sin((x + y) / 23)
    return (90 + 55 * waves).astype(np.float32)


@pytest.mark.parametrize("sigma", [0, 5, 25, 50])
def test_a_photograph_with_gaussian_noise_is_a_photograph_in_any_unit(photograph, sigma):
    real, eight_bit = photograph.astype(np.float32), photograph
    if sigma:
        real, eight_bit = (add_gaussian_noise(one, sigma, seed=0) for one in (real, eight_bit))
    for image in (real, real / 255, eight_bit):
        assert proposed(image) == GRAY


@pytest.mark.parametrize("gain", [2, 8])
def test_noise_of_a_camera_makes_a_micrograph(cells, gain):
    noisy = add_camera_noise(cells, gain=gain, read_noise=1, seed=0)
    for image in (noisy, noisy / 255, np.clip(np.rint(noisy), 0, 255).astype(np.uint8)):
        assert proposed(image) == MICROSCOPY


def test_noise_that_spans_pixels_makes_a_micrograph(cells):
    white = np.random.default_rng(0).normal(0, 100, cells.shape)
    assert proposed(cells + white / 4) == GRAY
    assert proposed(cells + gaussian_filter(white, 0.7)) == MICROSCOPY


def test_a_missing_model_is_stood_in_for_and_no_model_is_none():
    assert propose(GRAY_8, ["microscopy"]).name == "microscopy"
    assert "natural-gray is not there" in propose(GRAY_8, ["microscopy"]).reason
    assert propose(GRAY_8, []) is None


def test_the_names_are_those_of_the_bundled_models():
    assert {COLOURS, MICROSCOPY, GRAY} <= set(bundled_names())


@pytest.mark.parametrize("channels", [3, 4])
def test_a_gray_photograph_in_three_channels_goes_to_a_model_that_denoises_it(channels):
    clean = camera()[100:356, 100:356].astype(np.float32)
    noisy = add_gaussian_noise(clean, 25, seed=0).clip(0, 255).astype(np.uint8)
    image = np.repeat(noisy[..., None], channels, axis=-1)
    image[..., 3:] = 255  # opaque
    found = Denoiser.load(propose(drain(glance_steps(image)), NAMES).name).denoise(image)[..., 0]
    assert psnr(clean, found, data_range=255) > psnr(clean, noisy, data_range=255) + 6
