"""Networks that see nothing beyond the edge of an image: tiles give what the whole image gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.training import train
from napari_ae_denoise.training_data import TrainingData

STYLES = ["plain", "residual", "bottleneck"]


@pytest.fixture
def denoiser_of(far_sighted, small_specs):
    def make(style):
        spec = replace(small_specs[style], edge="zero")
        network = far_sighted(spec)
        return Denoiser(network, Card(network=spec, normalization=Normalization("fixed")))

    return make


def filled_up(image, stride):
    missing = [(0, -side % stride) for side in image.shape]
    return np.pad(image, missing, mode="reflect")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", [(28, 28), (40, 64), (37, 51), (97, 30)])
@pytest.mark.parametrize("tile", [8, 24, 200])
def test_tiles_are_the_whole_image_run_once(denoiser_of, style, shape, tile):
    denoiser = denoiser_of(style)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    whole = filled_up(image, denoiser.stride)
    with torch.inference_mode():
        made, code = denoiser.network.image_and_code(torch.from_numpy(whole[None, None]))
    expected = made[0, 0, : shape[0], : shape[1]].numpy()
    how = {"tile": tile, "device": "cpu", "precision": "float32"}
    scale = np.abs(expected).max()
    np.testing.assert_allclose(denoiser.denoise(image, **how), expected, atol=1e-5 * scale)
    features = code[0].numpy()
    limit = 1e-5 * np.abs(features).max()
    np.testing.assert_allclose(denoiser.encode(image, **how), features, atol=limit)


def test_decoding_a_code_is_denoising_up_to_the_edge(untrained):
    denoiser = untrained("plain", edge="zero")
    image = np.random.default_rng(0).random((36, 44), dtype=np.float32)
    how = {"device": "cpu", "precision": "float32"}
    made = denoiser.decode(denoiser.encode(image, **how), like=image, device="cpu")
    np.testing.assert_allclose(made, denoiser.denoise(image, **how), atol=1e-5)


def test_lazily_it_is_the_same(untrained):
    import dask.array as da

    denoiser = untrained("plain", edge="zero")
    image = np.random.default_rng(0).random((3, 70, 50), dtype=np.float32)
    how = {"device": "cpu", "precision": "float32"}
    made = denoiser.denoise(da.from_array(image, chunks=(1, 24, 24)), axes="NYX", **how)
    np.testing.assert_allclose(
        made.compute(), denoiser.denoise(image, axes="NYX", **how), atol=1e-5
    )


def test_what_lies_beyond_the_edge_matters(untrained):
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    how = {"device": "cpu", "precision": "float32"}
    zero, mirror = (untrained("plain", edge=e).denoise(image, **how) for e in ("zero", "mirror"))
    assert np.abs(zero - mirror).max() > 1e-4


def test_other_edges_are_refused(small_specs, refused):
    with refused("edge", "'wrap'", remedy="mirror"):
        replace(small_specs["plain"], edge="wrap")


def test_a_preset_that_sees_whole_images_learns_where_they_end(quick_settings):
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16)).astype(np.uint8)
    data = TrainingData(clean=images, axes="NYX")
    for size, edge in ((16, "zero"), (8, "mirror")):
        how = quick_settings(preset="classic", steps=1, patch_size=size)
        assert train(data, how).card.network.edge == edge
