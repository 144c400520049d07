"""Two passes over an image, the first over every second pixel: the same whole or in tiles."""

import pickle

import dask.array as da
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_ae_denoise import Denoiser, DenoisingError
from napari_ae_denoise.card import Card
from napari_ae_denoise.fingerprints import of_network
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.region import Region, denoise_region
from napari_ae_denoise.shared_model import SharedModel
from napari_ae_denoise.subsampled_network import subsampled
from napari_ae_denoise.tile_runner import PredictSettings

SPECS = {
    "classic": PRESETS["classic"],
    "differences": NetworkSpec(
        "residual", widths=(6, 8), blocks=1, skips=True, stem=2, differences=True
    ),
    "three levels": NetworkSpec("residual", widths=(4, 6, 8), blocks=1, skips=True, stem=2),
}
STEPS = [(2, 2), (1, 2), (2, 1)]


def _by_hand(network, x, steps):
    """Return what two passes make of an image whose sides are multiples of all strides."""
    down, across = steps
    first = torch.empty_like(x)
    for y in range(down):
        for z in range(across):
            first[..., y::down, z::across] = network(x[..., y::down, z::across])
    return network.image_and_code(first)


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_it_is_the_network_on_every_second_pixel_and_then_on_the_whole(far_sighted, name, steps):
    network = far_sighted(SPECS[name])
    side = 4 * network.stride
    x = torch.from_numpy(np.random.default_rng(0).random((2, 1, side, 2 * side), np.float32))
    with torch.inference_mode():
        image, code = _by_hand(network, x, steps)
        twin = subsampled(network, steps)
        torch.testing.assert_close(twin(x), image)
        torch.testing.assert_close(twin.encode(x), code)


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_the_inside_is_that_of_the_whole_pass(far_sighted, name, steps):
    network = subsampled(far_sighted(SPECS[name]), steps)
    context, grid = network.halo, network.grid
    assert context % grid == 0
    # the last rows are no whole step of the grid, as at the lower edge of an image
    shape = (1, 1, 2 * context + 3 * grid, 2 * context + grid + network.stride)
    x = torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    with torch.inference_mode():
        whole, whole_code = network.image_and_code(x)
        made, code = network.image_and_code(x, context)
        encoded = network.encode(x, context)
    edge = context // network.stride
    torch.testing.assert_close(made, whole[..., context:-context, context:-context])
    torch.testing.assert_close(code, whole_code[..., edge:-edge, edge:-edge])
    torch.testing.assert_close(encoded, code)


@pytest.mark.filterwarnings("ignore:3 pixels are NaN")
@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("name", ["classic", "differences"])
def test_tiles_blocks_regions_and_disk_give_what_the_whole_gives(
    far_sighted, tmp_path, name, steps
):
    network = far_sighted(SPECS[name])
    denoiser = Denoiser(network, Card(network=network.spec))
    image = np.random.default_rng(1).random((2, 101, 93), np.float32)
    image[0, 50, 40:43] = np.nan
    along = "".join(axis for axis, step in zip("yx", steps, strict=True) if step == 2)
    along = "xy" if along == "yx" else along
    how = {"axes": "ZYX", "correlated": along, "precision": "float32"}
    whole = denoiser.denoise(image, tile=512, **how)
    close = {"rtol": 0, "atol": 2e-6}
    np.testing.assert_allclose(denoiser.denoise(image, tile=20, **how), whole, **close)
    lazy = da.from_array(image, chunks=(1, 37, 50))
    np.testing.assert_allclose(denoiser.denoise(lazy, tile=20, **how).compute(), whole, **close)
    stored = denoiser.denoise(image, tile=20, to=tmp_path / "a.zarr", **how)
    np.testing.assert_allclose(stored.compute(), whole, **close)
    code = denoiser.encode(image, tile=512, **how)
    np.testing.assert_allclose(denoiser.encode(image, tile=20, **how), code, **close)
    seen = denoiser.resolve(image, "ZYX", correlated=along)
    model = SharedModel.of(denoiser.network_for(seen), PredictSettings(precision="float32"))
    region = Region((1,), slice(33, 60), slice(17, 93))
    made = denoise_region(model, image, seen.layout, seen.maps, region)
    np.testing.assert_allclose(made[0], whole[1, 33:60, 17:93], **close)


def test_other_steps_are_another_network_in_another_process(far_sighted):
    network = far_sighted(SPECS["differences"])
    twin = subsampled(network, (2, 1))
    assert of_network(twin) != of_network(network)
    again = pickle.loads(pickle.dumps(twin))
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(again(x), twin(x))
    assert subsampled(network, (1, 1)) is network


def test_a_network_of_one_size_is_refused():
    spec = PRESETS["dense"]
    denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))
    image = np.random.default_rng(0).random((28, 28), np.float32)
    with pytest.raises(DenoisingError, match="one size only"):
        denoiser.denoise(image, correlated="xy")
    assert denoiser.denoise(image).shape == (28, 28)


def test_shared_noise_is_found_said_and_removed_better():
    """The numbers that the bundled model reaches without being told anything."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    clean = 100 + 60 * np.sin(x / 11) * np.cos(y / 17) + 50 * (np.hypot(y - 90, x - 160) < 40)
    noise = gaussian_filter(rng.standard_normal(clean.shape), 0.75)
    noisy = (clean + 15 * noise / noise.std()).astype(np.float32)
    denoiser = Denoiser.load("natural-gray")
    seen = denoiser.resolve(noisy, "YX")
    assert seen.steps == (2, 2)
    assert "alike along Y and X" in " ".join(seen.remarks)

    def error(made):
        return float(np.sqrt(np.mean((made - clean) ** 2)))

    told, white = denoiser.denoise(noisy), denoiser.denoise(noisy, correlated="none")
    assert error(told) < 0.75 * error(white)


def test_white_noise_is_denoised_as_before():
    rng = np.random.default_rng(0)
    noisy = (100 + 20 * rng.standard_normal((128, 128))).astype(np.float32)
    denoiser = Denoiser.load("natural-gray")
    assert denoiser.resolve(noisy, "YX").steps == (1, 1)
    np.testing.assert_array_equal(
        denoiser.denoise(noisy), denoiser.denoise(noisy, correlated="none")
    )


def test_unknown_axes_are_refused_with_those_there_are():
    with pytest.raises(DenoisingError, match="xy"):
        Denoiser.load("natural-gray").denoise(np.eye(64), correlated="z")
