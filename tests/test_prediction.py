import itertools
import math
import threading
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ae_denoise import prediction, tile_runner
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.normalization import Normalization, of_plane
from napari_ae_denoise.prediction import predict
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner
from napari_ae_denoise.tiling import tiles

UNIT = GreyMap(0.0, 1.0, fill=0.5)
EXACT = 1e-5  # of the data range


def run(network, image, axes=None, *, maps=(UNIT,), tile=32, precision="float32", **what):
    """Run a network tile by tile on the CPU; return records and result."""
    choices = {k: what.pop(k) for k in ("strength", "dtype", "removed") if k in what}
    how = PredictSettings(tile, "cpu", precision, **choices)
    layout = plane_layout(image.shape, axes, network_channels=network.spec.channels)
    steps = predict(network, image, layout, maps, how, **what)
    records = []
    return records, drain(steps, records.append)


def whole(network, image):
    """Return denoised image and code of (channels, Y, X) as one pass gives them, by definition."""
    stride = network.stride
    halo = network.halo if network.spec.edge == "mirror" else 0
    padded = image
    for axis in (1, 2):
        size = image.shape[axis]
        pad = [(0, 0)] * 3
        pad[axis] = (halo, halo + -size % stride)
        padded = np.pad(padded, pad, mode="edge" if size == 1 else "reflect")
    with torch.inference_mode():
        made, code = network.image_and_code(torch.from_numpy(padded[None]))
    height, width = image.shape[1:]
    first, down = halo // stride, [-(-n // stride) for n in (height, width)]
    return (
        made[0, :, halo : halo + height, halo : halo + width].numpy(),
        code[0, :, first : first + down[0], first : first + down[1]].numpy(),
    )


def assert_same(found, expected):
    assert found.shape == expected.shape
    magnitude = float(np.abs(expected).max())
    # a network that sees differences makes nothing but rounding errors of a single pixel
    span = max(float(np.ptp(expected)) or magnitude, 0.1 * magnitude, 0.1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT * span)


# ---- tiles


@settings(max_examples=220)
@given(
    preset=st.sampled_from(["classic", "residual"]),
    edge=st.sampled_from(["mirror", "zero"]),
    along=st.sampled_from("YX"),
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    parts=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_tiled_equals_whole(small_specs, far_sighted, preset, edge, along, size, parts, seed):
    network = far_sighted(replace(small_specs[preset], edge=edge), along=along)
    height, width = size
    image = np.random.default_rng(seed).random((1, height, width)).astype(np.float32)
    denoised, code = whole(network, image)
    tile = max(1, max(height, width) // parts)
    _, result = run(network, image[0], tile=tile, code=True)
    assert_same(result.denoised[None], denoised)
    assert_same(result.code, code)


def test_tiles_inside_leave_out_what_only_their_context_needs(untrained, monkeypatch):
    """Where nothing is beyond the edge, only tiles at the edge have no context to leave out."""
    contexts = []
    original = ConvAutoencoder.image_and_code

    def noted(self, x, context=0):
        contexts.append(context)
        return original(self, x, context)

    network = untrained("residual", edge="zero").network
    image = np.random.default_rng(0).random((4 * network.halo, 5 * network.halo))
    expected = whole(network, image[None].astype(np.float32))[0][0]
    monkeypatch.setattr(ConvAutoencoder, "image_and_code", noted)
    _, result = run(network, image, tile=network.halo, dtype=np.float32)
    assert contexts.count(network.halo) == 6  # of four times five
    assert contexts.count(0) == len(contexts) - 6
    assert_same(result.denoised, expected)


@pytest.mark.parametrize("preset", ["classic", "residual"])
def test_test_images_need_the_whole_halo(small_specs, far_sighted, preset, monkeypatch):
    """With a halo that is one code pixel short, the network of the test above is wrong."""
    network = far_sighted(replace(small_specs[preset], edge="mirror"), along="X")
    image = np.random.default_rng(0).random((1, 64, 200)).astype(np.float32)
    made = run(network, image[0], tile=64)[1].denoised[None]
    monkeypatch.setattr(network, "halo", network.halo - network.stride)
    with pytest.raises(AssertionError):
        assert_same(made, whole(network, image)[0])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("shape", "tile"), [((70, 45), 32), ((3, 5), 8), ((1, 1), 8), ((9, 130), 64)]
)
def test_presets_with_random_weights_are_exact_in_tiles(preset, shape, tile):
    torch.manual_seed(0)
    network = ConvAutoencoder(PRESETS[preset]).eval()
    image = np.random.default_rng(1).random((1, *shape)).astype(np.float32)
    denoised, code = whole(network, image)
    _, result = run(network, image[0], tile=tile, code=True)
    assert_same(result.denoised[None], denoised)
    assert_same(result.code, code)


def test_colours_are_exact_in_tiles(untrained):
    network = untrained("plain", channels=3).network
    image = np.random.default_rng(1).random((50, 61, 3)).astype(np.float32)
    denoised, code = whole(network, np.ascontiguousarray(image.transpose(2, 0, 1)))
    _, result = run(network, image, tile=16, code=True)
    assert_same(result.denoised.transpose(2, 0, 1), denoised)
    assert_same(result.code, code)


class Counting(np.ndarray):
    """An array that counts how often each pixel is written."""

    def __setitem__(self, index, value):
        self.count[index] += 1
        super().__setitem__(index, value)


@pytest.mark.parametrize("axes", ["ZYX", "YXC", "CYX"])
@pytest.mark.parametrize("tile", [4, 12, 100])
def test_every_pixel_is_written_once(untrained, monkeypatch, axes, tile):
    image = np.random.default_rng(0).random((3, 30, 26) if axes != "YXC" else (30, 26, 3))
    counts = np.zeros(image.shape, int)

    def copy(image, dtype):
        out = np.array(image).view(Counting)
        out.count = counts
        return out

    monkeypatch.setattr(prediction, "_own_copy", copy)
    run(untrained("plain").network, image, axes, tile=tile)
    assert (counts == 1).all()


def test_what_the_network_sees_of_a_tile_is_bounded(untrained, monkeypatch):
    sizes = []
    original = ConvAutoencoder.image_and_code

    def noted(self, x, context=0):
        sizes.append(x.numel())
        return original(self, x, context)

    monkeypatch.setattr(ConvAutoencoder, "image_and_code", noted)
    network = untrained("plain").network
    image = np.random.default_rng(0).random((40, 60, 50))
    run(network, image, tile=32)
    assert max(sizes) <= (32 + 2 * network.halo) ** 2
    small, result = run(network, image[:, :5, :6], tile=32)
    assert len(small) < 20, "small planes should share a pass"
    assert result.finished == 1


# ---- stacks


@pytest.mark.parametrize("shape", [(2, 40, 30), (7, 9, 5), (3, 64, 64)])
def test_a_stack_is_its_planes_one_by_one(untrained, shape):
    network = untrained("residual").network
    stack = np.random.default_rng(0).random(shape).astype(np.float32)
    _, result = run(network, stack, code=True)
    for plane in range(shape[0]):
        _, alone = run(network, stack[plane], code=True)
        assert_same(result.denoised[plane], alone.denoised)
        assert_same(result.code[:, plane], alone.code)


def test_channels_apart_have_a_map_each(untrained):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((2, 3, 20, 24)) * [[[[1]], [[50]], [[2000]]]]
    layout = plane_layout(image.shape, "ZCYX", network_channels=1)
    maps = Normalization().of_image(image, layout)
    assert [of_plane(maps, layout, p) for p in range(6)] == maps * 2
    _, result = run(network, image, "ZCYX", maps=maps)
    for channel in range(3):
        _, alone = run(network, image[:, channel], "ZYX", maps=[maps[channel]])
        assert_same(result.denoised[:, channel], alone.denoised)


# ---- pixels that are not numbers


@pytest.mark.parametrize("tile", [4, 16, 64])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_invalid_pixels_are_masked_counted_and_put_back(untrained, tile, dtype):
    image = np.random.default_rng(0).random((40, 37)).astype(dtype)
    bad = np.zeros(image.shape, bool)
    bad[3, 4] = bad[0, 0] = bad[39, 36] = bad[14:18, 14:18] = bad[20:31, 5:17] = True
    image[bad] = np.nan
    image[3, 4], image[0, 0] = np.inf, -np.inf
    before = image.tobytes()
    _, result = run(untrained("plain").network, image, tile=tile, code=True)
    assert result.invalid_pixels == bad.sum()
    assert result.denoised.dtype == dtype
    assert result.denoised[bad].tobytes() == image[bad].tobytes()
    assert np.isfinite(result.denoised[~bad]).all()
    assert np.isfinite(result.code).all()
    assert image.tobytes() == before


def test_invalid_pixels_are_filled_alike_in_every_tile(far_sighted, small_specs):
    network = far_sighted(small_specs["classic"])
    rng = np.random.default_rng(0)
    image = rng.random((61, 70)).astype(np.float32)
    image[rng.random(image.shape) < 0.2] = np.nan
    image[20:30, 20:30] = np.nan
    _, expected = run(network, image, tile=1000, code=True)
    for tile in (4, 8, 20, 32):
        _, found = run(network, image, tile=tile, code=True)
        np.testing.assert_array_equal(np.isnan(found.denoised), np.isnan(image))
        assert_same(np.nan_to_num(found.denoised), np.nan_to_num(expected.denoised))
        assert_same(found.code, expected.code)


def test_invalid_pixels_look_like_their_neighbours_to_the_network(untrained):
    network = untrained("residual").network
    image = np.full((32, 32), 3.0, np.float32)
    image[10, 10] = np.nan
    image[0, 0] = 3.5
    _, holed = run(network, image)
    image[10, 10] = 3.0
    _, filled = run(network, image)
    image[10, 10] = np.nan
    valid = np.isfinite(image)
    assert_same(holed.denoised[valid], filled.denoised[valid])


def test_invalid_pixels_become_integers_without_a_warning(untrained):
    image = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    image[2, 3], image[4, 5], image[6, 7] = np.nan, np.inf, -np.inf
    _, result = run(untrained("plain").network, image, dtype=np.uint8)
    assert [int(result.denoised[p]) for p in [(2, 3), (4, 5), (6, 7)]] == [0, 255, 0]


# ---- on the way


def test_progress_counts_tiles(untrained):
    image = np.random.default_rng(0).random((2, 70, 40))
    records, result = run(untrained("plain").network, image)
    assert [(r.done, r.total) for r in records] == [(i, 12) for i in range(1, 13)]
    assert records[-1].remaining == 0
    assert all(math.isfinite(r.remaining) and r.remaining >= 0 for r in records)
    assert result.finished == 1


def test_stop_after_some_tiles_leaves_the_rest_as_it_was(untrained):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    _, expected = run(network, image, code=True)
    stop = threading.Event()
    layout = plane_layout(image.shape, None, network_channels=1)
    how = PredictSettings(32, "cpu", "float32")
    steps = predict(network, image, layout, [UNIT], how, code=True, stop=stop)
    for _ in range(4):
        last = next(steps)
    stop.set()
    with pytest.raises(StopIteration) as end:
        next(steps)
    result = end.value.value
    assert (last.done, last.total) == (4, 6)
    assert result.finished == pytest.approx(4 / 6)
    np.testing.assert_array_equal(result.denoised[:32], expected.denoised[:32])
    np.testing.assert_array_equal(result.denoised[32:, :32], expected.denoised[32:, :32])
    np.testing.assert_array_equal(result.denoised[32:, 32:], image[32:, 32:])
    np.testing.assert_array_equal(result.code[:, 8:, 8:], np.nan)
    np.testing.assert_array_equal(result.code[:, :8], expected.code[:, :8])


def test_stop_before_the_start_gives_the_image(untrained):
    stop = threading.Event()
    stop.set()
    image = np.random.default_rng(0).random((20, 20))
    records, result = run(untrained("plain").network, image, stop=stop)
    assert records == []
    assert result.finished == 0
    np.testing.assert_array_equal(result.denoised, image)
    assert not np.shares_memory(result.denoised, image)


def test_one_pass_makes_image_and_code_and_nothing_more_than_asked(untrained):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((20, 20))
    both = run(network, image, code=True)[1]
    only_image = run(network, image)[1]
    only_code = run(network, image, denoised=False, code=True)[1]
    assert only_image.code is None
    assert only_code.denoised is None
    np.testing.assert_array_equal(both.denoised, only_image.denoised)
    np.testing.assert_array_equal(both.code, only_code.code)


@pytest.mark.parametrize("strength", [0, 0.25, 1])
def test_strength_mixes_image_and_result(untrained, strength):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    full = run(network, image)[1].denoised
    _, result = run(network, image, strength=strength, code=True)
    np.testing.assert_allclose(result.denoised, image + strength * (full - image), atol=1e-6)
    np.testing.assert_array_equal(result.code, run(network, image, code=True)[1].code)


def test_network_is_copied_and_left_as_it_is(untrained):
    network = untrained("plain").network
    before = {k: v.clone() for k, v in network.state_dict().items()}
    runner = TileRunner(network, PredictSettings(32, "cpu", "float32"))
    assert runner._network.plain is not network
    run(network, np.random.default_rng(0).random((20, 20)))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_bfloat16_stays_close_to_float32(untrained):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    exact, close = (run(network, image, precision=p)[1].denoised for p in ("float32", "bfloat16"))
    assert close.dtype == np.float32
    assert 0 < np.abs(exact - close).max() < 0.02


def overflow(monkeypatch, where="features"):
    """Let networks overflow in half precision, and there only; count their passes."""
    passes = []

    def overflowing(original):
        def run(*args):
            half = torch.is_autocast_enabled("cpu")
            passes.append("half" if half else "float32")
            made = original(*args)
            if not half:
                return made
            if isinstance(made, torch.Tensor):
                return made + torch.inf
            image, code = made
            return (image + torch.nan, code) if where == "image" else (image, code + torch.inf)

        return run

    for name in ("image_and_code", "encode"):
        method = getattr(ConvAutoencoder, name)
        monkeypatch.setattr(ConvAutoencoder, name, overflowing(method))
    return passes


@pytest.mark.parametrize("where", ["image", "features"])
@pytest.mark.parametrize("what", [{}, {"code": True}, {"denoised": False, "code": True}])
def test_tiles_that_overflow_in_half_precision_are_run_again(untrained, monkeypatch, where, what):
    network = untrained("plain").network
    image = np.random.default_rng(0).integers(0, 4000, (40, 40)).astype(np.uint16)
    maps = [GreyMap(0.0, 4000.0)]
    expected = run(network, image, maps=maps, **what)[1]
    passes = overflow(monkeypatch, where)
    found = run(network, image, maps=maps, precision="bfloat16", **what)[1]
    assert passes == ["half", "float32"] * 4
    for name in ("denoised", "code"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_tiles_that_cannot_be_finite_are_not_run_again(untrained, monkeypatch):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    passes = overflow(monkeypatch)
    monkeypatch.setattr(GreyMap, "apply", lambda _, grey: np.full(grey.shape, np.inf, np.float32))
    run(network, image, precision="bfloat16")
    assert passes == ["half"]


def test_finite_tiles_are_run_once(untrained, monkeypatch):
    passes = []
    original = ConvAutoencoder.image_and_code
    monkeypatch.setattr(
        ConvAutoencoder, "image_and_code", lambda *args: passes.append(1) or original(*args)
    )
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    run(untrained("plain").network, image, precision="bfloat16")
    assert len(passes) == 4


# ---- the removed noise


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "u8", "?", "f2", "f4", ">f8"])
def test_removed_noise_is_the_image_minus_the_denoised_one(untrained, dtype):
    image = (200 * np.random.default_rng(0).random((3, 40, 30))).astype(dtype)
    maps = [GreyMap(0.0, 200.0)]
    network = untrained("plain").network
    both = run(network, image, maps=maps, removed=True, code=True)[1]
    work = np.result_type(image.dtype, np.float32)  # which holds both
    expected = np.subtract(image, both.denoised, dtype=work).astype(np.float32)
    assert both.removed.dtype == np.float32
    np.testing.assert_array_equal(both.removed, expected)
    alone = run(network, image, maps=maps, removed=True, denoised=False)[1]
    assert (alone.denoised, alone.code) == (None, None)
    np.testing.assert_array_equal(alone.removed, expected)
    assert run(network, image, maps=maps)[1].removed is None


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_removed_from_alpha(untrained, channels):
    image = np.random.default_rng(0).integers(0, 255, (40, 30, 4)).astype(np.uint8)
    network = untrained("plain", channels=channels).network
    made = run(network, image, "YXC", maps=[GreyMap(0.0, 255.0)], removed=True)[1]
    np.testing.assert_array_equal(made.removed, image.astype(np.float32) - made.denoised)
    assert not made.removed[..., 3].any()
    assert made.removed[..., :3].all(axis=-1).any()


@pytest.mark.parametrize("dtype", [None, "u1"])
def test_removed_noise_of_invalid_pixels_is_invalid(untrained, dtype):
    image = np.random.default_rng(0).random((40, 30)).astype(np.float32)
    image[3, 4], image[20, 5] = np.nan, np.inf
    made = run(untrained("plain").network, image, removed=True, dtype=dtype)[1]
    assert (~np.isfinite(made.removed)).sum() == 2
    assert np.isnan(made.removed[3, 4])


def test_removed_noise_is_zero_where_no_tile_was_made(untrained):
    image = np.random.default_rng(0).random((32, 96)).astype(np.float32)
    stop = threading.Event()
    layout = plane_layout(image.shape, None, network_channels=1)
    how = PredictSettings(32, "cpu", "float32", removed=True)
    steps = predict(untrained("plain").network, image, layout, [UNIT], how, stop=stop)
    result = drain(steps, lambda record: stop.set())
    assert result.finished == pytest.approx(1 / 3)
    assert result.removed[:, :32].all()
    assert not result.removed[:, 32:].any()


# ---- settings and faults


@pytest.mark.parametrize("strength", [-0.1, 1.01, math.nan, math.inf])
def test_strengths_that_make_no_sense_are_refused(refused, strength):
    with refused("strength", strength, remedy="0"):
        PredictSettings(strength=strength)


@pytest.mark.parametrize("tile", [0, -8, 2.5, "big", None])
def test_tiles_that_make_no_sense_are_refused(refused, tile):
    with refused(repr(tile), remedy="auto"):
        PredictSettings(tile=tile)


def test_whole_numbers_of_numpy_are_whole_numbers(untrained):
    image = np.random.default_rng(0).random((20, 20))
    _, result = run(untrained("plain").network, image, tile=np.int64(8))
    assert result.finished == 1


@pytest.mark.parametrize("free", [1, 10**6, 10**9, 10**13])
def test_automatic_tile_follows_from_free_memory(monkeypatch, free):
    monkeypatch.setattr(tile_runner, "free_memory", lambda device: free)
    for preset in PRESETS.values():
        network = ConvAutoencoder(preset)
        tile = TileRunner(network, PredictSettings("auto", "cpu", "float32")).tile
        assert 4 * network.stride <= tile <= 2048
        assert tile % network.stride == 0
        if tile > 4 * network.stride:
            assert (tile + 2 * network.halo) ** 2 * network.bytes_per_pixel <= free / 4 + 1


def fail_with(monkeypatch, error, where="image_and_code"):
    def fail(self, *args, **kwargs):
        raise error

    monkeypatch.setattr(ConvAutoencoder, where, fail)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("where", ["image_and_code", "encode"])
def test_memory_that_runs_out_is_said_with_tile_and_remedy(
    untrained, monkeypatch, refused, error, where
):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((20, 20))
    fail_with(monkeypatch, error, where)
    with refused("Memory ran out", "cpu", "32 pixels", remedy="other programs") as caught:
        run(network, image, denoised=where == "image_and_code", code=True)
    assert caught.value.__cause__ is error


def test_memory_that_runs_out_while_a_tile_is_moved_is_said(untrained, monkeypatch, refused):
    def fail(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    runner = TileRunner(untrained("plain").network, PredictSettings(32, "cpu", "float32"))
    (tile,) = tiles((20, 20), 32, runner.stride, runner.halo)
    monkeypatch.setattr(torch.Tensor, "to", fail)
    with refused("Memory ran out"):
        runner([np.zeros((1, 20, 20))], tile, [UNIT], np.float32)


def test_other_errors_are_not_taken_for_memory(untrained, monkeypatch):
    network = untrained("plain").network
    fail_with(monkeypatch, RuntimeError("size mismatch"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        run(network, np.random.default_rng(0).random((20, 20)))


def test_a_lost_gpu_is_no_reason_to_lose_the_image(untrained, monkeypatch):
    network = untrained("plain").network
    image = np.random.default_rng(0).random((20, 20))
    before = image.tobytes()
    fail_with(monkeypatch, RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError):
        run(network, image)
    assert image.tobytes() == before
    monkeypatch.undo()
    assert run(network, image)[1].finished == 1


def test_half_precision_settings_are_chosen_for_the_device(untrained, monkeypatch, refused):
    with refused("float16", "CPU"):
        TileRunner(
            untrained("plain").network,
            replace(PredictSettings(), precision="float16", device="cpu"),
        )


# ---- arrays that are not in memory


class Disk:
    """An array on a disk that can be read in parts only, and tells how it is read."""

    def __init__(self, values, on_read=lambda: None):
        self._values, self._on_read = values, on_read
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        self.largest = 0

    def __getitem__(self, index):
        self._on_read()
        part = self._values[index]
        self.largest = max(self.largest, part.nbytes)
        return part

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


@pytest.mark.parametrize("shape", [(70, 90), (5, 40, 50)])
def test_an_array_on_disk_is_read_in_parts_and_gives_the_same(untrained, monkeypatch, shape):
    monkeypatch.setattr(prediction, "_READ_BYTES", 4096)
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    network = untrained("plain").network
    layout = plane_layout(shape, None, network_channels=1)
    maps = Normalization().of_image(values, layout)
    disk = Disk(values)
    _, result = run(network, disk, maps=maps, tile=32)
    _, expected = run(network, values, maps=maps, tile=32)
    np.testing.assert_array_equal(result.denoised, expected.denoised)
    assert disk.largest <= 4096


class Chunked(Disk):
    """An array on a disk whose chunks are read whole, and counted."""

    def __init__(self, values, chunks, on_read=lambda: None):
        super().__init__(values, on_read)
        self.chunks, self.counts, self.reads = chunks, {}, 0

    def __getitem__(self, index):
        self.reads += 1
        touched = [
            range(part.start // chunk, -(-part.stop // chunk))
            for part, chunk in zip(index, self.chunks, strict=False)
        ]
        touched += [range(-(-n // c)) for n, c in zip(self.shape, self.chunks, strict=True)][
            len(touched) :
        ]
        for chunk in itertools.product(*touched):
            self.counts[chunk] = self.counts.get(chunk, 0) + 1
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("shape", "chunks", "reads"),
    [
        ((64, 32), (16, 32), 2),  # 2 KiB a chunk, two at once
        ((70, 32), (24, 32), 3),  # 3 KiB a chunk
        ((70, 32), (70, 32), 1),  # one chunk, larger than is read at once
        ((60, 64), (60, 8), 4),  # the rows are one chunk; the columns are cut, two at once
        ((7, 64, 64), (7, 16, 16), 16),
        ((2, 7, 64), (1, 7, 64), 1),
    ],
)
def test_no_chunk_on_disk_is_read_twice(untrained, monkeypatch, shape, chunks, reads):
    monkeypatch.setattr(prediction, "_READ_BYTES", 4096)
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    disk = Chunked(values, chunks)
    found = prediction._in_memory(disk, None)
    np.testing.assert_array_equal(found, values)
    assert set(disk.counts.values()) == {1}
    assert len(disk.counts) == math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    assert disk.reads == reads
    np.testing.assert_array_equal(prediction._in_memory(Disk(values), None), values)


@pytest.mark.parametrize("chunks", [(20, 96), ((5, 30, 5), (96,)), (40, 24), (40, 96)])
@pytest.mark.parametrize("what", [{}, {"removed": True}, {"removed": True, "denoised": False}])
def test_no_chunk_of_dask_is_computed_twice(untrained, monkeypatch, chunks, what):
    monkeypatch.setattr(prediction, "_READ_BYTES", 4096)
    values = np.random.default_rng(0).random((40, 96)).astype(np.float32)
    computed = []

    def note(block, block_info=None):
        computed.append(block_info[0]["chunk-location"])
        return block

    image = da.from_array(values, chunks=chunks).map_blocks(
        note, dtype=values.dtype, meta=np.empty((0, 0), values.dtype)
    )
    computed.clear()
    network = untrained("plain").network
    _, result = run(network, image, tile=16, **what)
    assert sorted(computed) == sorted(set(computed))
    assert len(computed) == image.npartitions
    _, expected = run(network, values, tile=16, **what)
    for name in ("denoised", "removed"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


def test_reading_chunks_can_be_stopped(monkeypatch):
    monkeypatch.setattr(prediction, "_READ_BYTES", 4096)
    stop = threading.Event()
    disk = Chunked(np.zeros((60, 64), np.float32), (60, 8), stop.set)
    assert prediction._in_memory(disk, stop) is None
    assert disk.reads == 1


def test_reading_from_disk_can_be_stopped(untrained, monkeypatch):
    monkeypatch.setattr(prediction, "_READ_BYTES", 4096)
    values = np.random.default_rng(0).random((200, 90)).astype(np.float32)
    network = untrained("plain").network
    maps = [GreyMap(0.0, 1.0)]
    stop, reads = threading.Event(), []

    def read():
        reads.append(1)
        if len(reads) == 2:
            stop.set()

    records, result = run(network, Disk(values, read), maps=maps, tile=32, stop=stop)
    assert len(reads) == 2
    assert (records, result.denoised, result.removed, result.finished) == ([], None, None, 0)


def test_a_result_that_does_not_fit_into_memory_is_refused(untrained, monkeypatch, refused):
    network = untrained("plain").network
    image = np.zeros((64, 64), np.uint16)
    monkeypatch.setattr(prediction, "free_memory", lambda: 64 * 64 * 2)
    run(network, image, maps=[GreyMap(0.0, 1.0)])
    with refused("(64, 64)", "GiB of memory", remedy="dask"):
        run(network, image, maps=[GreyMap(0.0, 1.0)], code=True)
    with refused("are free"):
        run(network, Disk(image), maps=[GreyMap(0.0, 1.0)])


@pytest.mark.parametrize(
    ("what", "lazy", "in_memory"),
    [
        ({}, 2 + 2, 2),
        ({"dtype": "f8"}, 2 + 8, 8),
        ({"removed": True}, 2 + 2 + 4, 2 + 4),
        ({"removed": True, "denoised": False}, 2 + 4, 4),
        ({"denoised": False, "code": True}, 0, 0),
        ({"denoised": False, "code": True, "dtype": "f8"}, 0, 0),
        ({"code": True}, 2 + 2, 2),
    ],
)
def test_only_what_is_read_and_made_counts(untrained, monkeypatch, refused, what, lazy, in_memory):
    """Figures are bytes a pixel, of an image of two bytes a pixel."""
    network = untrained("plain").network
    image = np.random.default_rng(0).integers(0, 99, (64, 64)).astype(np.uint16)
    maps = [GreyMap(0.0, 99.0)]
    code = network.spec.code_width * (64 // network.stride) ** 2 * 4 if "code" in what else 0
    for array, pixel in ((Disk(image), lazy), (image, in_memory)):
        needed = 64 * 64 * pixel + code
        monkeypatch.setattr(prediction, "free_memory", lambda needed=needed: needed)
        assert run(network, array, maps=maps, **what)[1].finished == 1
        monkeypatch.setattr(prediction, "free_memory", lambda needed=needed: needed - 1)
        with refused("GiB of memory"):
            run(network, array, maps=maps, **what)


@pytest.mark.parametrize(
    ("dtype", "values", "said"),
    [
        ("float32", [np.nan, np.inf, -np.inf], "are unchanged in the result"),
        ("uint8", [0, 255, 0], "as uint8 holds none"),
        ("int16", [0, 32767, -32768], "as int16 holds none"),
    ],
)
def test_what_is_said_of_invalid_pixels_is_what_the_result_holds(untrained, dtype, values, said):
    image = np.random.default_rng(0).normal(100, 20, (20, 20)).astype(np.float32)
    image[3:6, 4] = np.nan, np.inf, -np.inf
    with pytest.warns(UserWarning, match=said):
        made = untrained("plain").denoise(image, dtype=dtype, device="cpu", precision="float32")
    np.testing.assert_array_equal(made[3:6, 4], np.array(values, dtype))


def test_a_code_holds_no_invalid_pixels_and_that_is_not_said(untrained):
    image = np.random.default_rng(0).normal(100, 20, (20, 20)).astype(np.float32)
    image[3, 4] = np.nan
    with pytest.warns(UserWarning, match=r"were masked\.$"):
        untrained("plain").encode(image, device="cpu", precision="float32")
