"""What we write is opened by the library ome-zarr, which others open it with."""

import numpy as np
import pytest

from napari_ae_denoise.image_files import write_image
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.result_folder import Destination

pytestmark = pytest.mark.long  # make test-long installs the library; nothing else needs it

SPACING = {"Z": 0.7, "Y": 0.25, "X": 0.2}


@pytest.fixture
def opened():
    """Return a function that opens a folder as the library does: the node of its image."""
    io = pytest.importorskip("ome_zarr.io", reason="ome-zarr is not installed: make test-long")
    reader = pytest.importorskip("ome_zarr.reader")

    def open_image(path):
        (node,) = reader.Reader(io.parse_url(str(path)))()
        return node

    return open_image


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_library_opens_channels_with_names_scale_and_units(version, opened, tmp_path):
    stack = np.random.default_rng(0).integers(0, 900, (2, 3, 24, 28), np.uint16)
    channels = tuple(Channel(name, "0000FF", (0, 4095, 100, 900)) for name in ("DAPI", "GFP"))
    like = ImageFile(tmp_path, None, "CZYX", SPACING, "micrometer", "ome", version, channels)
    write_image(tmp_path / "a.ome.zarr", stack, like)
    node = opened(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(np.asarray(node.data[0]), stack)
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "z", "y", "x"]
    assert [axis.get("unit") for axis in node.metadata["axes"]] == [None, *["micrometer"] * 3]
    (scale,) = node.metadata["coordinateTransformations"][0]
    assert scale == {"type": "scale", "scale": [1, 0.7, 0.25, 0.2]}
    assert node.metadata["channel_names"] == ["DAPI", "GFP"]
    assert node.metadata["contrast_limits"] == [[100, 900]] * 2


def test_the_library_opens_the_pyramid_that_is_written_tile_by_tile(opened, untrained, tmp_path):
    image = np.random.default_rng(0).integers(0, 900, (2, 600, 700), np.uint16)
    to = Destination(tmp_path / "a.ome.zarr", SPACING, "micrometer")
    made = untrained("classic").denoise(image, axes="ZYX", tile=256, device="cpu", to=to)
    node = opened(to.path)
    np.testing.assert_array_equal(np.asarray(node.data[0]), np.asarray(made))
    assert [level.shape for level in node.data] == [(2, 600, 700), (2, 300, 350), (2, 150, 175)]
    scales = [steps[0]["scale"] for steps in node.metadata["coordinateTransformations"]]
    np.testing.assert_allclose(scales, [(0.7, 0.25 * n, 0.2 * n) for n in (1, 2, 4)])
