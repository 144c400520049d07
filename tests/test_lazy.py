import json

import dask
import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import lazy
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

RNG = np.random.default_rng(0)
SHAPES = [
    ("YX", (210, 333)),
    ("YX", (64, 64)),
    ("YX", (5, 3)),
    ("YX", (1, 300)),
    ("ZYX", (2, 130, 90)),
    ("TCYX", (2, 2, 60, 70)),
    ("YXC", (130, 170, 3)),
    ("YXC", (130, 170, 4)),
    ("YZX", (60, 7, 70)),
]


def grey(shape):
    return RNG.normal(100, 20, shape).astype(np.float32)


@pytest.mark.parametrize("spec", ["classic", "residual"])
@pytest.mark.parametrize(("axes", "shape"), SHAPES)
def test_lazy_blocks_are_exactly_the_whole(untrained, spec, axes, shape):
    channels = 3 if axes == "YXC" else 1
    image = grey(shape)
    denoiser = untrained(spec, channels=channels)
    options = {"axes": axes, "precision": "float32"}
    whole, code = denoiser.denoise(image, **options), denoiser.encode(image, **options)
    tolerance = 1e-5 * np.ptp(image)
    for tile, chunks in [(16, 50), (64, 31), ("auto", -1)]:
        lazy = da.from_array(image, chunks=chunks)
        made = denoiser.denoise(lazy, tile=tile, **options)
        assert isinstance(made, da.Array)
        assert (made.shape, made.dtype) == (whole.shape, whole.dtype)
        np.testing.assert_allclose(made.compute(), whole, atol=tolerance, rtol=0)
        encoded = denoiser.encode(lazy, tile=tile, **options)
        assert (encoded.shape, encoded.dtype) == (code.shape, code.dtype)
        scale = max(float(np.ptp(code)), 1e-6)
        np.testing.assert_allclose(encoded.compute(), code, atol=1e-5 * scale, rtol=0)


def test_channels_seen_apart_keep_their_maps(untrained):
    image = grey((2, 60, 70)) * [[[1]], [[30]]]
    denoiser = untrained("residual")
    options = {"axes": "CYX", "precision": "float32"}
    whole = denoiser.denoise(image, **options)
    lazy = denoiser.denoise(da.from_array(image, chunks=25), **options).compute()
    np.testing.assert_allclose(lazy, whole, atol=1e-5 * np.ptp(image))


def test_integers_and_invalid_pixels_are_treated_alike(untrained):
    denoiser = untrained("residual")
    image = RNG.integers(0, 4000, (90, 110)).astype(">u2")
    lazy = denoiser.denoise(da.from_array(image, chunks=40), precision="float32")
    assert lazy.dtype == image.dtype
    difference = lazy.compute().astype(int) - denoiser.denoise(image, precision="float32")
    assert abs(difference).max() <= 1
    holes = image.astype(np.float32)
    holes[::17, ::13] = np.nan
    with pytest.warns(UserWarning, match="NaN"):
        whole = denoiser.denoise(holes, precision="float32")
    lazy = denoiser.denoise(da.from_array(holes, chunks=40), tile=32, precision="float32")
    np.testing.assert_allclose(lazy.compute(), whole, atol=1e-5 * 4000)


def test_a_part_is_computed_from_its_neighbourhood_alone(untrained):
    computed = []

    def note(block, block_info=None):
        computed.append(block_info[0]["chunk-location"])
        return block

    image = da.from_array(grey((1024, 1024)), chunks=128)
    denoiser = untrained("residual")
    made = denoiser.denoise(
        image.map_blocks(note, dtype=image.dtype, meta=np.empty((0, 0), np.float32)),
        tile=128,
        precision="float32",
    )
    computed.clear()
    made[:64, :64].compute(scheduler="synchronous")
    assert 0 < len(computed) <= 9


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_every_scheduler_gives_the_same(untrained, scheduler):
    image = grey((100, 90))
    denoiser = untrained("bottleneck")
    whole = denoiser.denoise(image, precision="float32")
    lazy = denoiser.denoise(da.from_array(image, chunks=50), tile=48, precision="float32")
    with dask.config.set(scheduler=scheduler, num_workers=2):
        np.testing.assert_allclose(lazy.compute(), whole, atol=1e-5 * np.ptp(image))


def test_strength_and_dtype_reach_the_blocks(untrained):
    image = grey((60, 70))
    lazy = da.from_array(image, chunks=30)
    denoiser = untrained("residual")
    np.testing.assert_allclose(denoiser.denoise(lazy, strength=0).compute(), image, rtol=1e-5)
    assert denoiser.denoise(lazy, dtype="u2").compute().dtype == np.uint16


def test_bad_input_is_refused_before_anything_is_computed(untrained, refused):
    denoiser = untrained("classic")
    with refused("complex"):
        denoiser.denoise(da.zeros((8, 8), dtype=complex))
    with refused('"ZYX"', "(8, 8)"):
        denoiser.denoise(da.zeros((8, 8)), axes="ZYX")


# ---- stacks of long chunks


@pytest.mark.parametrize(
    ("axes", "shape", "chunks", "dtype"),
    [
        ("ZYX", (500, 2048, 2048), (500, 128, 128), "f4"),
        ("TZYX", (12, 70, 1024, 1024), (12, 70, 256, 256), "u1"),
        ("TYXC", (200, 1500, 1100, 3), (200, 64, 64, 3), "f8"),
        ("YXZ", (1500, 1500, 90), (64, 64, 90), "u2"),
    ],
)
@pytest.mark.parametrize("method", ["denoise", "encode"])
def test_blocks_are_bounded_however_long_the_chunks_of_the_stack_are(
    untrained, axes, shape, chunks, dtype, method
):
    denoiser = untrained("residual", channels=3 if "C" in axes else 1)
    image = da.zeros(shape, chunks=chunks, dtype=dtype)
    made = getattr(denoiser, method)(image, axes=axes)
    scale = denoiser.stride if method == "encode" else 1
    margin = denoiser.halo + (2 if np.dtype(dtype).kind == "f" else 0)
    letters = axes if method == "denoise" else "C" + axes.strip("YXC") + "YX"
    read = [
        max(sizes) * scale + 2 * margin if letter in "YX" else max(sizes)
        for letter, sizes in zip(letters, made.chunks, strict=True)
        if letter != "C"
    ]
    colours = 3 if "C" in axes else 1
    assert np.prod(read) * colours * np.dtype(dtype).itemsize <= 64 * 1024**2
    assert np.prod(made.chunksize) * made.dtype.itemsize <= 64 * 1024**2


def test_chunks_of_the_stack_are_cut_and_never_joined(untrained):
    image = da.zeros((3, 1000, 64, 64), chunks=((2, 1), (700, 300), 64, 64), dtype="f4")
    made = untrained("residual").denoise(image)
    assert made.chunks[0] == (1, 1, 1)
    assert 700 in np.cumsum(made.chunks[1])
    short = da.from_array(grey((6, 64, 64)), chunks=(2, 64, 64))
    assert untrained("residual").denoise(short).chunks[0] == (2, 2, 2)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("ZYX", (7, 60, 70)),
        ("TCYX", (3, 2, 60, 70)),
        ("YZX", (60, 7, 70)),
        ("ZYXC", (5, 60, 70, 4)),
    ],
)
@pytest.mark.parametrize("budget", [1, 400_000])
def test_cut_stacks_are_exactly_the_whole(untrained, monkeypatch, axes, shape, budget):
    monkeypatch.setattr(lazy, "_BLOCK_BYTES", budget)
    image = grey(shape)
    denoiser = untrained("residual", channels=3 if axes.endswith("YXC") else 1)
    options = {"axes": axes, "precision": "float32"}
    stack = da.from_array(image, chunks=-1)
    made, code = denoiser.denoise(stack, **options), denoiser.encode(stack, **options)
    assert made.npartitions > 1
    whole, whole_code = denoiser.denoise(image, **options), denoiser.encode(image, **options)
    np.testing.assert_allclose(made.compute(), whole, atol=1e-5 * np.ptp(image), rtol=0)
    np.testing.assert_allclose(code.compute(), whole_code, atol=1e-5 * np.ptp(whole_code), rtol=0)


def test_image_and_code_come_from_one_sample_whose_record_is_kept(untrained, monkeypatch):
    image = grey((2, 90, 80))
    exact = PredictSettings(precision="float32")
    lazy, denoiser, seen = da.from_array(image, chunks=(1, 40, 40)), untrained("residual"), []
    usual = type(denoiser).resolve
    monkeypatch.setattr(type(denoiser), "resolve", lambda *how: seen.append(1) or usual(*how))
    made = denoiser.predict_lazily(lazy, axes="ZYX", settings=exact, code=True)
    assert len(seen) == 1
    record = json.loads(json.dumps(made.seen.normalization))
    eager = drain(denoiser.predict_steps(image, axes="ZYX", settings=exact, code=True))
    np.testing.assert_allclose(made.denoised, eager.denoised, atol=1e-3)
    np.testing.assert_allclose(made.code, eager.code, atol=1e-3)
    assert record == json.loads(json.dumps(eager.normalization))
    before = len(seen)
    again = denoiser.predict_lazily(lazy, seen=made.seen, settings=exact)
    assert len(seen) == before
    np.testing.assert_array_equal(again.denoised, made.denoised)


@pytest.mark.parametrize("image", [np.zeros((9, 9)), [[0.0, 1.0]], None])
def test_only_dask_arrays_are_denoised_lazily(image, untrained, refused):
    with refused("dask", type(image).__name__, remedy="from_array"):
        untrained("plain").predict_lazily(image)
