import numpy as np
import pytest
import torch

RNG = np.random.default_rng(0)


def normalized(denoiser, image, axes):
    seen = denoiser.resolve(image, axes)
    assert len(seen.maps) == 1
    return seen.layout, seen.maps[0]


@pytest.mark.parametrize("spec", ["classic", "bottleneck"])
@pytest.mark.parametrize("shape", [(32, 48), (37, 51), (700, 600)])
def test_decode_is_the_network_on_the_code(untrained, spec, shape):
    denoiser = untrained(spec)
    image = RNG.normal(100, 20, shape).astype(np.float32)
    code = denoiser.encode(image, precision="float32")
    made = denoiser.decode(code)
    assert made.shape == tuple(n * denoiser.stride for n in code.shape[1:])
    halo = denoiser.halo // denoiser.stride
    padded = np.pad(code, [(0, 0), (halo, halo), (halo, halo)], "reflect")
    with torch.inference_mode():
        whole = denoiser.network.decode(torch.from_numpy(padded)[None]).numpy()[0, 0]
    edge = denoiser.halo
    whole = whole[edge:-edge, edge:-edge]
    np.testing.assert_allclose(made, whole, atol=1e-5)


@pytest.mark.parametrize("spec", ["classic", "bottleneck"])
@pytest.mark.parametrize(
    ("axes", "shape", "channels"),
    [("YX", (150, 130), 1), ("ZYX", (2, 150, 130), 1), ("YXC", (150, 130, 3), 3)],
)
def test_decode_of_encode_is_denoise_inside(untrained, spec, axes, shape, channels):
    denoiser = untrained(spec, channels=channels)
    image = RNG.normal(100, 20, shape).astype(np.float32)
    options = {"axes": axes, "precision": "float32"}
    back = denoiser.decode(denoiser.encode(image, **options), like=image, axes=axes)
    denoised = denoiser.denoise(image, **options)
    assert (back.shape, back.dtype) == (image.shape, image.dtype)
    # beyond the edge of the image the code is mirrored here, and the image there
    inside = tuple(slice(denoiser.halo, -denoiser.halo) if a in "YX" else slice(None) for a in axes)
    np.testing.assert_allclose(back[inside], denoised[inside], atol=1e-5 * np.ptp(image))


def test_decode_sees_the_image_as_encode_did(untrained):
    denoiser = untrained("classic")
    rough = np.repeat(np.repeat(RNG.normal(100, 20, (40, 40)), 2, 0), 2, 1).astype(np.float32)
    how = {"noise_model": "gaussian", "correlated": "none"}
    back = denoiser.decode(denoiser.encode(rough, precision="float32", **how), like=rough, **how)
    denoised = denoiser.denoise(rough, precision="float32", **how)
    inside = (slice(denoiser.halo, -denoiser.halo),) * 2
    np.testing.assert_allclose(back[inside], denoised[inside], atol=1e-5 * np.ptp(rough))


def test_like_gives_its_dtype_and_keeps_alpha(untrained):
    denoiser = untrained("classic", channels=3)
    image = RNG.integers(0, 255, (40, 30, 4)).astype(np.uint8)
    back = denoiser.decode(denoiser.encode(image), like=image)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back[..., 3], image[..., 3])


@pytest.mark.filterwarnings("ignore:.*pixels are NaN or infinite")
@pytest.mark.parametrize(("shape", "channels"), [((60, 50), 1), ((60, 50), 3), ((60, 50, 3), 3)])
def test_invalid_pixels_of_the_image_stay_as_denoise_keeps_them(untrained, shape, channels):
    denoiser = untrained("classic", channels=channels)
    image = RNG.normal(100, 20, shape).astype(np.float32)
    image[30, 20], image[31, 20], image[3, 4] = np.nan, np.inf, -np.inf
    back = denoiser.decode(denoiser.encode(image), like=image)
    denoised = denoiser.denoise(image)
    invalid = ~np.isfinite(image)
    np.testing.assert_array_equal(~np.isfinite(back), invalid)
    np.testing.assert_array_equal(back[invalid], denoised[invalid])


def test_a_changed_code_gives_a_changed_image(untrained):
    denoiser = untrained("classic")
    image = RNG.normal(100, 20, (64, 64)).astype(np.float32)
    code = denoiser.encode(image)
    other = code.copy()
    other[:, 8, 8] += 1
    difference = abs(denoiser.decode(other) - denoiser.decode(code))
    assert difference.max() > 1e-3
    far = np.ones_like(difference, bool)
    far[32 - denoiser.halo : 36 + denoiser.halo, 32 - denoiser.halo : 36 + denoiser.halo] = False
    assert difference[far].max() < 1e-6


def test_networks_with_skips_have_no_decoder_of_their_own(untrained, refused):
    denoiser = untrained("residual")
    code = denoiser.encode(RNG.random((32, 32)))
    with refused("skip connections", remedy="skips off"):
        denoiser.decode(code)


@pytest.mark.parametrize("shape", [(31, 8, 8), (32, 8), (32, 0, 8)])
def test_what_is_no_code_is_refused_with_its_shape(untrained, refused, shape):
    with refused(shape, remedy="32"):
        untrained("classic").decode(np.zeros(shape, np.float32))


def test_a_code_of_another_image_is_refused(untrained, refused):
    with refused("(32, 8, 8)", "(40, 40)", "(32, 10, 10)"):
        untrained("classic").decode(np.zeros((32, 8, 8)), like=RNG.random((40, 40)))
