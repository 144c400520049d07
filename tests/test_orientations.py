"""An image seen in eight orientations: the mean of all, the same whole or in tiles."""

import dask.array as da
import numpy as np
import pytest
import torch
from skimage.data import camera

from napari_ae_denoise import Denoiser, add_gaussian_noise, psnr, speed
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.card import Card
from napari_ae_denoise.fingerprints import of_settings
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.orientations import Orientation, orientations_for
from napari_ae_denoise.steps import drain
from napari_ae_denoise.subsampled_network import subsampled
from napari_ae_denoise.tile_runner import PredictSettings

SPECS = {
    "classic": PRESETS["classic"],
    "zero edge": NetworkSpec("plain", widths=(4, 6), edge="zero"),
    "differences": NetworkSpec(
        "residual", widths=(6, 8), blocks=1, skips=True, stem=2, differences=True
    ),
}
CLOSE = {"rtol": 0, "atol": 2e-6}


def _all_orientations(image):
    for turns in range(4):
        for mirrored in (False, True):
            yield turns, mirrored, np.rot90(image[:, ::-1] if mirrored else image, turns)


def _by_hand(denoiser, image, **how):
    """Return the mean of eight images, each denoised and turned back."""
    total = np.zeros(image.shape, np.float64)
    for turns, mirrored, turned in _all_orientations(image):
        made = np.rot90(denoiser.denoise(np.ascontiguousarray(turned), **how), -turns)
        total += made[:, ::-1] if mirrored else made
    return total / 8


@pytest.fixture
def denoisers(far_sighted):
    """Return a function that makes a denoiser of `SPECS`, to whom no two orientations are alike."""

    def make(name):
        network = far_sighted(SPECS[name])
        return Denoiser(network, Card(network=network.spec))

    return make


@pytest.mark.parametrize("name", SPECS)
def test_it_is_the_mean_of_eight_images_turned_back(denoisers, name):
    denoiser = denoisers(name)
    image = np.random.default_rng(0).random((48, 64), np.float32)
    how = {"precision": "float32", "correlated": "none"}
    once = denoiser.denoise(image, **how)
    made = denoiser.denoise(image, orientations=8, **how)
    np.testing.assert_allclose(made, _by_hand(denoiser, image, **how), rtol=0, atol=2e-5)
    assert np.abs(made - once).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "correlated"),
    [("classic", "none"), ("zero edge", "none"), ("differences", "xy"), ("differences", "x")],
)
@pytest.mark.filterwarnings("ignore:3 pixels are NaN")
def test_tiles_blocks_and_disk_give_what_the_whole_gives(denoisers, tmp_path, name, correlated):
    denoiser = denoisers(name)
    image = np.random.default_rng(1).random((1, 71, 57), np.float32)
    image[0, 30, 20:23] = np.nan
    how = {"axes": "ZYX", "precision": "float32", "correlated": correlated, "orientations": 8}
    whole = denoiser.denoise(image, tile=512, **how)
    assert np.isnan(whole).sum() == 3
    np.testing.assert_allclose(denoiser.denoise(image, tile=32, **how), whole, **CLOSE)
    lazy = da.from_array(image, chunks=(1, 37, 57))
    np.testing.assert_allclose(denoiser.denoise(lazy, tile=32, **how).compute(), whole, **CLOSE)
    stored = denoiser.denoise(image, tile=20, to=tmp_path / "a.zarr", **how)
    np.testing.assert_allclose(stored.compute(), whole, **CLOSE)


def test_the_code_is_that_of_the_image_as_it_lies(denoisers):
    denoiser = denoisers("classic")
    image = np.random.default_rng(0).random((40, 40), np.float32)
    both = [PredictSettings(orientations=n) for n in (1, 8)]
    codes = [drain(denoiser.predict_steps(image, settings=s, code=True)).code for s in both]
    np.testing.assert_array_equal(codes[0], codes[1])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mirrored", [(), (2,), (3,), (2, 3)])
def test_an_orientation_is_undone(transposed, mirrored):
    seen = Orientation(transposed, mirrored)
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(seen.undo(seen.apply(x)), x)


def test_there_are_eight_and_the_first_is_the_image_itself(far_sighted):
    network = far_sighted(SPECS["differences"])
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    seen = orientations_for(network, 8)
    assert seen[0] == Orientation()
    assert len({(*one.apply(x).shape, *one.apply(x).flatten().tolist()) for one in seen}) == 8
    # noise that is alike along one axis only: the network does not see the other as this one
    assert not any(one.transposed for one in orientations_for(subsampled(network, (2, 1)), 8))


def test_photographs_get_better():
    clean = camera()  # whole: on a part of 192 pixels one draw of the noise may decide
    noisy = add_gaussian_noise(clean, 30, seed=0)
    denoiser = Denoiser.load("natural-gray")
    once, often = (
        psnr(clean, denoiser.denoise(noisy, orientations=n), data_range=255) for n in (1, 8)
    )
    assert often > once + 0.03


def test_what_cannot_be_is_refused(denoisers, untrained, refused):
    image = np.random.default_rng(0).random((28, 28), np.float32)
    with refused("3 orientations", remedy="8"):
        denoisers("classic").denoise(image, orientations=3)
    with refused("Dense networks", "one orientation", remedy="1 orientation"):
        untrained(PRESETS["dense"]).denoise(image, orientations=8)


def test_results_of_other_orientations_are_others():
    one, eight = (PredictSettings(orientations=n) for n in (1, 8))
    told = [of_settings(s, np.dtype("uint8"), "float32") for s in (one, eight)]
    assert told[0] != told[1]
    assert "orientations" not in told[0]  # results that were begun before are continued
    codes = [of_settings(s, np.dtype("uint8"), "float32", code=True) for s in (one, eight)]
    assert codes[0] == codes[1]


def test_eight_are_said_to_take_eight_times_as_long_without_being_measured(denoisers):
    network, layout = denoisers("differences").network, plane_layout((300, 300), "YX")
    one, eight = (PredictSettings(orientations=n, precision="float32") for n in (1, 8))
    speed.learn(network, layout, eight, 80.0)
    try:
        assert drain(speed.seconds_steps(network, layout, one)) == pytest.approx(10.0)
        assert drain(speed.seconds_steps(network, layout, eight)) == pytest.approx(80.0)
        lines = subsampled(network, (2, 1))
        speed.learn(lines, layout, one, 10.0)
        assert drain(speed.seconds_steps(lines, layout, eight)) == pytest.approx(40.0)
    finally:
        speed.forget()
