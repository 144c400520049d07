import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ae_denoise import denoiser as module
from napari_ae_denoise.bundled import bundled_models
from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.model_file import read_model, write_model
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.steps import drain

FIXED = Normalization("fixed", offset=0, scale=1)
DTYPES = ["u1", "u2", ">u2", "u4", ">u4", "i1", "i2", ">i2", "i4", "u8", "i8", "?",
          "f2", ">f2", "f4", ">f4", "f8", ">f8"]  # fmt: skip


def image_of(dtype, shape=(30, 26), seed=0):
    values = np.random.default_rng(seed).random(shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = limits.min / 2 + values * (limits.max - limits.min / 2) * 0.999
    return values.astype(dtype)


@pytest.fixture(scope="module")
def plain(untrained):
    return untrained("plain")


def denoise(denoiser, image, **how):
    return denoiser.denoise(image, **({"precision": "float32", "device": "cpu"} | how))


# ---- the input


@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_and_dtype_are_kept_and_the_input_is_untouched(plain, dtype):
    image = image_of(dtype)
    image.flags.writeable = False
    before = image.tobytes()
    out = denoise(plain, image)
    plain.encode(image, precision="float32")
    assert (out.shape, out.dtype) == (image.shape, image.dtype)
    assert image.tobytes() == before
    assert not np.shares_memory(out, image)
    assert out.flags.writeable


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, 1::3],
        lambda a: a[::-1, ::-1],
        lambda a: a.T,
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[0], (12, a.shape[1])),
        lambda a: np.ascontiguousarray(a).view(np.ndarray).astype(">f4"),
    ],
)
def test_any_strides_and_byte_order_give_what_a_plain_copy_gives(plain, view):
    base = image_of("f4", (60, 60))
    image = view(base)
    before = base.tobytes()
    expected = denoise(plain, np.array(image, dtype="=f4", order="C"))
    np.testing.assert_array_equal(denoise(plain, image), expected)
    assert base.tobytes() == before


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i2", "u4", "i4"])
def test_integers_are_what_floats_are_rounded(untrained, dtype):
    denoiser = untrained("residual")
    image = image_of(dtype)
    exact = denoise(denoiser, image.astype(np.float64))
    span = float(np.ptp(image.astype(float)))
    limits = np.iinfo(np.dtype(dtype))
    out = denoise(denoiser, image).astype(float)
    np.testing.assert_allclose(out, np.clip(exact, limits.min, limits.max), atol=0.51 + 1e-6 * span)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i1", "i2", "u4", "i4", "u8", "i8"])
def test_integers_never_wrap(untrained, dtype):
    """A network that overshoots by far ends at the limits of the dtype, on the right side."""
    denoiser = untrained("residual", seed=5, normalization=FIXED)
    network = ConvAutoencoder(denoiser.network.spec)
    with torch.no_grad():
        network.load_state_dict(denoiser.network.state_dict())
        for parameter in network.head.parameters():
            parameter.mul_(300)
    wild = Denoiser(network, denoiser.card)
    image = image_of(dtype, (32, 32))
    limits = np.iinfo(np.dtype(dtype))
    exact = denoise(wild, image.astype(np.float64))
    assert exact.min() < limits.min
    assert exact.max() > limits.max
    out = denoise(wild, image)
    span = limits.max - limits.min
    above, below = exact > limits.max + 0.01 * span, exact < limits.min - 0.01 * span
    assert (out[below] == limits.min).all()
    assert (limits.max - out[above].astype(float) <= limits.max * 1e-7).all()


def test_dtype_of_the_result_can_be_chosen(plain):
    image = image_of("u1")
    out = denoise(plain, image, dtype=np.float32)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.rint(out), denoise(plain, image), atol=1)
    assert denoise(plain, image.astype(np.float64) * 9 - 500, dtype="u1").dtype == np.uint8


def test_lists_are_images_too(plain):
    image = image_of("f8")
    np.testing.assert_array_equal(denoise(plain, image.tolist()), denoise(plain, image))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (7, 1), (3, 3), (5, 8)])
@pytest.mark.parametrize("preset", ["classic", "residual"])
def test_images_smaller_than_the_stride_are_denoised(untrained, preset, shape):
    denoiser = untrained(preset)
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) * 100
    out = denoise(denoiser, image)
    assert (out.shape, out.dtype) == (shape, np.uint16)
    code = denoiser.encode(image, precision="float32")
    down = tuple(-(-n // denoiser.stride) for n in shape)
    assert code.shape == (denoiser.network.spec.code_width, *down)
    assert np.isfinite(code).all()


# ---- two routes to one result


@pytest.mark.parametrize("preset", ["classic", "residual"])
@pytest.mark.parametrize("kind", [Normalization(), FIXED])
def test_result_does_not_depend_on_the_tile(untrained, preset, kind):
    denoiser = untrained(preset, normalization=kind)
    image = image_of("f4", (90, 75))
    for method in (denoiser.denoise, denoiser.encode):
        first = method(image, precision="float32", tile=1000)
        for tile in (8, 40):
            again = method(image, precision="float32", tile=tile)
            np.testing.assert_allclose(again, first, rtol=0, atol=1e-5 * max(np.ptp(first), 1))


@pytest.mark.parametrize("factor", [0.01, 3.0, 250.0])
def test_residual_is_homogeneous_through_the_front_door(untrained, factor):
    """With a fixed map without offset the network itself meets every brightness."""
    denoiser = untrained("residual", normalization=FIXED)
    image = image_of("f8", (40, 50)) + 0.2
    expected = factor * denoise(denoiser, image)
    found = denoise(denoiser, factor * image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.ptp(expected))
    assert np.abs(expected - factor * image).max() > 1e-3 * factor


@pytest.mark.parametrize("preset", ["classic", "residual"])
def test_brightness_and_contrast_of_the_image_carry_over(untrained, preset):
    denoiser = untrained(preset)
    image = image_of("f8", (40, 50))
    expected = 7 * denoise(denoiser, image) + 100
    np.testing.assert_allclose(denoise(denoiser, 7 * image + 100), expected, rtol=1e-5)


def test_a_stack_is_its_planes_one_by_one(untrained):
    denoiser = untrained("residual", normalization=Normalization("fixed", offset=9, scale=90))
    stack = np.random.default_rng(0).integers(0, 2000, (2, 3, 40, 33)).astype(np.uint16)
    out = denoise(denoiser, stack, axes="TZYX")
    code = denoiser.encode(stack, axes="TZYX", precision="float32")
    assert (out.shape, out.dtype) == (stack.shape, np.uint16)
    assert code.shape[1:3] == (2, 3)
    for t, z in np.ndindex(2, 3):
        alone = denoise(denoiser, stack[t, z])
        assert np.abs(out[t, z].astype(int) - alone).max() <= 1
        np.testing.assert_allclose(
            code[:, t, z], denoiser.encode(stack[t, z], precision="float32"), rtol=0, atol=1e-4
        )


@pytest.mark.parametrize("axes", ["YXC", "CYX", "YCX", "XYC"])
def test_order_of_the_axes_does_not_matter(untrained, axes):
    denoiser = untrained("plain", channels=3, normalization=FIXED)
    image = image_of("f4", (3, 30, 26))
    expected = denoise(denoiser, image, axes="CYX")
    turned = image.transpose(["CYX".index(a) for a in axes])
    out = denoise(denoiser, turned, axes=axes)
    back = out.transpose([axes.index(a) for a in "CYX"])
    np.testing.assert_allclose(back, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_alpha_is_untouched_and_changes_nothing(untrained, channels, dtype):
    denoiser = untrained("plain", channels=channels)
    image = image_of(dtype, (30, 26, 4))
    out = denoise(denoiser, image)
    np.testing.assert_array_equal(out[..., 3], image[..., 3])
    np.testing.assert_array_equal(out[..., :3], denoise(denoiser, image[..., :3]))
    assert not np.array_equal(out[..., :3], image[..., :3])


def test_one_pass_gives_what_two_methods_give(plain):
    image = image_of("f4")
    settings = module.PredictSettings(16, "cpu", "float32")
    both = drain(plain.predict_steps(image, settings=settings, code=True))
    np.testing.assert_array_equal(both.denoised, denoise(plain, image, tile=16))
    np.testing.assert_array_equal(both.code, plain.encode(image, tile=16, precision="float32"))


def test_zarr_is_read_as_numpy_is(plain):
    zarr = pytest.importorskip("zarr")
    image = image_of("u2", (3, 40, 30))
    stored = zarr.array(image, chunks=(1, 16, 16))
    np.testing.assert_array_equal(denoise(plain, stored, tile=16), denoise(plain, image, tile=16))


def test_strength_zero_gives_the_image_back(plain):
    for dtype in ("u1", "u2", "i2"):
        image = image_of(dtype)
        np.testing.assert_array_equal(denoise(plain, image, strength=0), image)


# ---- invalid pixels, progress, stop


def test_invalid_pixels_are_put_back_and_counted_in_a_warning(plain):
    image = image_of("f4")
    image[4, 5], image[6, 7], image[20:23, 9] = np.nan, -np.inf, np.inf
    before = image.tobytes()
    with pytest.warns(UserWarning, match="5 pixels are NaN or infinite"):
        out = denoise(plain, image)
    bad = ~np.isfinite(image)
    assert out[bad].tobytes() == image[bad].tobytes()
    assert np.isfinite(out[~bad]).all()
    assert image.tobytes() == before
    with pytest.warns(UserWarning, match="5 pixels"):
        assert np.isfinite(plain.encode(image, precision="float32")).all()


def test_progress_is_told_after_each_tile(plain):
    told = []
    denoise(plain, image_of("u1", (64, 64)), tile=32, on_progress=told.append)
    assert [(t.done, t.total) for t in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_stop_after_two_tiles_keeps_the_noisy_rest(plain):
    image, stop, told = image_of("u1", (64, 64)), threading.Event(), []

    def after(progress):
        told.append(progress)
        if progress.done == 2:
            stop.set()

    out = denoise(plain, image, tile=32, on_progress=after, stop=stop)
    assert len(told) == 2
    np.testing.assert_array_equal(out[32:], image[32:])
    assert not np.array_equal(out[:32], image[:32])


# ---- files


@pytest.mark.parametrize("preset", ["classic", "residual", "bottleneck"])
def test_saved_and_opened_it_denoises_alike(untrained, tmp_path, preset):
    denoiser = untrained(preset, normalization=Normalization("fixed", offset=1, scale=2))
    denoiser.save(tmp_path / "m.safetensors")
    opened = Denoiser.load(tmp_path / "m.safetensors")
    assert opened.card == denoiser.card
    assert (opened.stride, opened.halo) == (denoiser.stride, denoiser.halo)
    image = image_of("f4")
    np.testing.assert_array_equal(denoise(opened, image), denoise(denoiser, image))


def test_opening_a_model_leaves_the_random_numbers_alone(plain, tmp_path):
    plain.save(tmp_path / "m.safetensors")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Denoiser.load(tmp_path / "m.safetensors")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("given", "made"), [("m", "m.safetensors"), ("m.v2", "m.v2.safetensors")])
def test_the_ending_is_added_where_there_is_none(plain, tmp_path, given, made):
    plain.save(str(tmp_path / given))
    assert [p.name for p in tmp_path.iterdir()] == [made]
    assert Denoiser.load(str(tmp_path / made)).card == plain.card


def test_half_precision_weights_are_opened_as_float32(plain, tmp_path):
    half = {k: v.half() for k, v in plain.network.state_dict().items()}
    write_model(tmp_path / "m.safetensors", half, plain.card.to_record())
    opened = Denoiser.load(tmp_path / "m.safetensors")
    assert {p.dtype for p in opened.network.parameters()} == {torch.float32}


def test_a_failing_save_keeps_the_old_file_and_the_model(plain, tmp_path, refused, monkeypatch):
    path = tmp_path / "m.safetensors"
    plain.save(path)
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with refused(path, "No space left"):
        plain.renamed("other").save(path)
    assert path.read_bytes() == before
    assert denoise(plain, image_of("u1")).shape == (30, 26)


def tampered(plain, path, *, drop=None, add=None, shape=None, **card):
    """Write a model whose weights or card are wrong."""
    tensors = dict(plain.network.state_dict())
    if drop:
        del tensors[drop]
    if add:
        tensors[add] = torch.zeros(3)
    if shape:
        tensors[shape] = torch.zeros(5)
    write_model(path, tensors, plain.card.to_record() | card)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"drop": "head.0.bias"}, ["1 differ", "head.0.bias"]),
        ({"add": "extra"}, ["1 differ", "extra"]),
        ({"shape": "head.0.bias"}, ["1 differ", "head.0.bias"]),
        ({"network": {"style": "plain", "widths": [4, 7]}}, ["differ"]),
        ({"network": {"style": "residual", "widths": [4096] * 6, "blocks": 4}}, ["million"]),
        ({"network": {"style": "os.system", "widths": [4]}}, ["card", "os.system"]),
        ({"format": 99}, ["format 99"]),
        ({"network": None}, ["card"]),
        ({"normalization": {"scale": 0}}, ["card"]),
    ],
)
def test_models_whose_parts_do_not_fit_are_refused(plain, tmp_path, refused, how, words):
    path = tmp_path / "m.safetensors"
    tampered(plain, path, **how)
    with refused(*words):
        Denoiser.load(path)


def test_a_training_state_is_no_denoiser(plain, tmp_path, refused):
    path = tmp_path / "m.safetensors"
    write_model(path, plain.network.state_dict(), {"kind": "training state", "step": 4})
    with refused("state of a training", remedy="checkpoint"):
        Denoiser.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path, refused):
    with refused(tmp_path / "m.safetensors", remedy="path"):
        Denoiser.load(tmp_path / "m.safetensors")
    with refused("no-such-model", "bundled", remedy="path"):
        Denoiser.load("no-such-model")


def test_bundled_models_open_by_name(plain, tmp_path, monkeypatch):
    plain.renamed("mine").save(tmp_path / "tiny.safetensors")
    files = {"tiny": tmp_path / "tiny.safetensors"}
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", lambda: files)
    assert bundled_models()["tiny"].name == "mine"
    assert Denoiser.load("tiny").card.name == "mine"
    with pytest.raises(TypeError):
        bundled_models()["other"] = None


def test_all_bundled_models_that_ship_can_be_opened():
    for name, card in bundled_models().items():
        assert Denoiser.load(name).card == card


# ---- what does not fit


@pytest.mark.parametrize(
    ("image", "axes", "words"),
    [
        (np.ones((8, 8)) * 1j, None, ["complex", "complex128"]),
        (np.array([["a", "b"]]), None, ["no numbers"]),
        (np.array([[None, 1]]), None, ["object"]),
        (np.zeros((0, 8)), None, ["(0, 8)", "no pixels"]),
        (np.full((8, 8), 3.0), None, ["constant", "3"]),
        (np.full((8, 8), np.nan), None, ["NaN"]),
        (np.zeros(8), None, ["(8,)"]),
        (image_of("u1"), "ZYX", ["ZYX", "(30, 26)"]),
        (image_of("u1", (4, 9, 9)), "QYX", ["QYX"]),
    ],
)
def test_images_that_cannot_be_denoised_are_refused(plain, refused, image, axes, words):
    for method in (plain.denoise, plain.encode):
        with refused(*words):
            method(image, axes=axes)


def test_channels_that_do_not_fit_are_refused(untrained, refused):
    with refused("2 channels", "has 1", remedy="one channel"):
        untrained("plain", channels=2).denoise(image_of("u1"))


@pytest.mark.parametrize("dtype", ["c8", "S3", "M8[s]", "O", "nonsense"])
def test_types_that_no_image_has_are_refused(plain, refused, dtype):
    with refused("cannot be of type", remedy="uint16"):
        plain.denoise(np.eye(8), dtype=dtype)


@pytest.mark.parametrize("kind", [torch.tensor, np.ma.asarray, np.ndarray.tolist])
def test_tensors_masked_arrays_and_lists_are_images(plain, kind):
    image = np.random.default_rng(0).normal(100, 20, (20, 24))
    made = plain.denoise(kind(image))
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made, plain.denoise(image))


def test_rows_of_different_lengths_are_refused(plain, refused):
    with refused("no array of numbers", remedy="same length"):
        plain.denoise([[1, 2], [3]])


@pytest.mark.parametrize("name", ["", ".", "/", "a\0b"])
def test_names_that_no_file_has_are_refused(plain, refused, name):
    with refused("cannot be called", remedy="name"):
        plain.save(name)
    with refused("cannot be called", remedy="name"):
        plain.denoise(np.eye(8), to=name)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"tile": 0}, ["0"]),
        ({"tile": True}, ["True"]),
        ({"strength": 2}, ["2"]),
        ({"strength": "1"}, ["'1'"]),
        ({"axes": ["Y", "X"]}, ["['Y', 'X']", "no text"]),
        ({"device": "cuda:9"}, ["cuda:9"]),
        ({"precision": "float8"}, ["float8"]),
    ],
)
def test_settings_that_cannot_be_are_refused(plain, refused, how, words):
    with refused(*words):
        denoise(plain, image_of("u1"), **how)


def test_card_of_another_network_is_refused(plain, refused, small_specs):
    with refused("another network"):
        Denoiser(plain.network, Card(network=small_specs["bottleneck"]))


def test_a_denoiser_says_what_it_is(plain):
    named = plain.renamed("nuclei")
    assert named.card == replace(plain.card, name="nuclei")
    assert "nuclei" in repr(named)
    assert "plain" in repr(named)
    assert plain.card.name == "untitled"
    assert not named.network.training


def test_reading_a_saved_card_needs_no_network(plain, tmp_path):
    plain.save(tmp_path / "m.safetensors")
    _, record = read_model(tmp_path / "m.safetensors")
    assert Card.from_record(record) == plain.card


def test_masked_pixels_are_left_out_and_kept(untrained):
    image = np.random.default_rng(0).normal(100, 20, (64, 64)).astype("f4")
    mask = np.zeros(image.shape, bool)
    mask[10:20] = True
    spoilt = np.where(mask, np.float32(9999), image)
    denoiser = untrained("residual")
    with pytest.warns(UserWarning, match="masked"):
        made = denoiser.denoise(np.ma.masked_array(spoilt, mask))
    with pytest.warns(UserWarning, match="masked"):
        expected = denoiser.denoise(np.where(mask, np.float32("nan"), image))
    np.testing.assert_array_equal(made, expected)


def test_masked_pixels_of_whole_numbers_are_refused(untrained, refused):
    image = np.ma.masked_array(np.zeros((64, 64), np.uint16), np.eye(64, dtype=bool))
    with refused("masked", "uint16", remedy="filled"):
        untrained("residual").denoise(image)
