"""Windows of arrays in chunks are those of the array in memory."""

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.tiling import Span, Tile
from napari_ae_denoise.window_reader import WindowReader

# axes, shape, chunks that hold several planes, channels of the network
CASES = [
    ("ZYX", (5, 12, 9), (3, 12, 9), 1),
    ("TZYX", (2, 4, 12, 9), (1, 4, 12, 9), 1),
    ("TZYX", (2, 9, 9, 9), (2, 9, 9, 9), 1),  # as many planes as rows: nothing else tells them
    ("CZYX", (3, 4, 9, 9), (3, 2, 9, 9), 1),
    ("TCYX", (2, 3, 9, 9), (1, 3, 9, 9), 1),
    ("ZYXC", (4, 9, 9, 3), (4, 9, 9, 3), 1),
    ("ZYXC", (4, 9, 9, 3), (2, 9, 9, 3), 3),
    ("TZYXC", (2, 4, 9, 9, 4), (1, 4, 9, 9, 4), 3),
    ("YXZ", (9, 9, 9), (9, 9, 9), 1),
    ("YZXT", (9, 4, 9, 3), (9, 4, 9, 3), 1),
]


@pytest.mark.parametrize(("axes", "shape", "chunks", "channels"), CASES)
def test_windows_are_those_of_the_array_in_memory(axes, shape, chunks, channels):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    layout = plane_layout(shape, axes, network_channels=channels)
    reader = WindowReader(da.from_array(image, chunks=chunks), layout)
    in_memory = WindowReader(image, layout)
    assert reader.depth > 1
    height, width = layout.plane_shape
    part = Tile(Span(height, 0, 5, 1, 0), Span(width, 3, 9, 1, 2))
    for tile in (part, Tile(Span(height, 0, height, 1, 0), Span(width, 0, width, 1, 0))):
        for plane in range(layout.planes):
            window, alpha = reader.read(plane, tile)
            index = layout.index(plane, tile.y.read, tile.x.read)
            np.testing.assert_array_equal(window, layout.to_plane(image[index]))
            expected = in_memory.read(plane, tile)[1]
            assert (alpha is None) == (expected is None)
            if alpha is not None:
                np.testing.assert_array_equal(alpha, expected)
