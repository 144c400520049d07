from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ae_denoise.tiling import Span, reflect, spans, tiles

strides = st.sampled_from([1, 2, 3, 4, 8])


@st.composite
def cuts(draw):
    """Draw size, tile, stride, halo and margin of an axis."""
    stride = draw(strides)
    halo = stride * draw(st.integers(0, 12))
    return (
        draw(st.integers(1, 120)),
        draw(st.integers(1, 150)),
        stride,
        halo,
        draw(st.integers(0, 3)),
    )


@given(cuts())
def test_spans_write_every_pixel_once(cut):
    written, written_code = np.zeros(cut[0], int), np.zeros(-(-cut[0] // cut[2]), int)
    for span in spans(*cut):
        written[span.write] += 1
        written_code[span.write_code] += 1
    assert (written == 1).all()
    assert (written_code == 1).all()


@given(cuts(), cuts())
def test_tiles_write_every_pixel_once(down, across):
    shape = down[0], across[0]
    written = np.zeros(shape, int)
    for tile in tiles(shape, *down[1:]):
        written[tile.y.write, tile.x.write] += 1
    assert (written == 1).all()


@given(cuts())
def test_copying_tile_by_tile_gives_the_array_back(cut):
    image = np.random.default_rng(0).random(cut[0])
    back = np.full(cut[0], np.nan)
    for span in spans(*cut):
        seen = image[span.read][span.gather]
        back[span.write] = seen[span.keep]
        np.testing.assert_array_equal(image[span.read][span.inner], image[span.write])
    np.testing.assert_array_equal(back, image)


@given(cuts())
def test_what_a_tile_sees_is_a_part_of_the_padded_image(cut):
    size, _, stride, halo, _ = cut
    image = np.random.default_rng(0).random(size)
    ahead = halo + -size % stride
    mode = "edge" if size == 1 else "reflect"
    padded = np.pad(image, (halo, ahead), mode=mode)
    for span in spans(*cut):
        seen = image[span.read][span.gather]
        np.testing.assert_array_equal(seen, padded[span.start : span.start + seen.size])
        assert seen.size % stride == 0
        assert span.start % stride == 0


@given(cuts())
def test_code_of_a_tile_lies_under_its_pixels(cut):
    size, _, stride, halo, _ = cut
    ahead = halo + -size % stride
    whole = np.arange(-halo, size + ahead)[::stride] // stride  # number of each code pixel
    for span in spans(*cut):
        first = span.start // stride
        code = whole[first : first + span.seen.size // stride]
        written = np.arange(whole.size)[span.write_code]
        np.testing.assert_array_equal(code[span.keep_code], written)


@given(cuts())
def test_bare_tiles_see_the_filled_up_image_and_nothing_beyond_its_edge(cut):
    size, _, stride, halo, _ = cut
    image = np.random.default_rng(0).random(size)
    filled = image[reflect(np.arange(-(-size // stride) * stride), size)]
    for span in spans(*cut):
        first = max(span.start - halo, 0)
        last = min(-(-span.stop // stride) * stride + halo, filled.size)
        bare = span.bare
        seen = image[span.read][bare.gather]
        np.testing.assert_array_equal(seen, filled[first:last])
        np.testing.assert_array_equal(seen[bare.keep], image[span.write])
        code = np.arange(first // stride, last // stride)[bare.keep_code]
        np.testing.assert_array_equal(code, np.arange(span.start, span.stop, stride) // stride)


@given(cuts())
def test_a_tile_reads_no_more_than_halo_and_margin(cut):
    size, _, stride, halo, margin = cut
    for span in spans(*cut):
        whole = -(-span.stop // stride) * stride
        if span.start - halo >= 0 and whole + halo <= size:
            wanted = (max(span.start - halo - margin, 0), min(whole + halo + margin, size))
            assert (span.read.start, span.read.stop) == wanted
        assert 0 <= span.read.start < span.read.stop <= size


@given(cuts())
def test_tiles_have_the_size_asked_for(cut):
    _, tile, stride, *_ = cut
    lengths = [span.stop - span.start for span in spans(*cut)]
    step = -(-tile // stride) * stride
    assert lengths[:-1] == [step] * (len(lengths) - 1)
    assert 0 < lengths[-1] <= step


@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 70))
def test_reflection_is_that_of_numpy(size, before, after):
    image = np.arange(size)
    mode = "edge" if size == 1 else "reflect"
    expected = np.pad(image, (before, after), mode=mode)
    np.testing.assert_array_equal(reflect(np.arange(-before, size + after), size), expected)


@pytest.mark.parametrize(("tile", "count"), [(1, 9), (64, 9), (65, 4), (192, 1), (10**9, 1)])
def test_number_of_tiles_follows_from_their_size(tile, count):
    assert len(list(tiles((192, 192), max(tile, 64), 64, 64))) == count


def test_pixels_seen_count_the_halo():
    (tile,) = tiles((10, 17), 100, 8, 16)
    assert tile.pixels_seen == (16 + 32) * (24 + 32)


@given(cuts(), st.integers(1, 6))
def test_tiles_begin_on_the_grid(cut, times):
    size, tile, stride, halo, margin = cut
    grid = times * stride
    step = -(-tile // grid) * grid
    found = spans(size, tile, stride, halo, margin, grid)
    assert [span.start for span in found] == list(range(0, size, step))
    assert [span.stop for span in found] == [*range(step, size, step), size]
    rows = {(t.y.start, t.x.start) for t in tiles((size, 7), tile, stride, halo, margin, grid)}
    assert rows == {(y, x) for y in range(0, size, step) for x in range(0, 7, step)}


def test_where_a_tile_lies_cannot_be_changed():
    (tile,) = tiles((10, 17), 100, 8, 16)
    for record, name in ((tile, "y"), (tile.x, "start")):
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, 0)


def test_without_a_margin_no_more_is_read_than_is_seen():
    (first, *_) = tiles((100, 100), 32, 4, 8)
    assert first.y.margin == first.x.margin == 0
    assert first.x.read == slice(0, 40)


def test_an_axis_is_cut_without_margin_and_at_any_pixel_unless_told():
    assert spans(17, 5, 1, 2) == spans(17, 5, 1, 2, 0, 1)
    assert [span.start for span in spans(17, 5, 1, 2)] == [0, 5, 10, 15]
    assert {span.margin for span in spans(17, 5, 1, 2)} == {0}
    assert Span(17, 5, 10, 1, 2) == spans(17, 5, 1, 2)[1]
    assert list(tiles((17, 9), 5, 1, 2)) == list(tiles((17, 9), 5, 1, 2, 0, 1))
