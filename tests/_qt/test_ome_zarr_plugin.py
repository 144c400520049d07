"""What we write opens in napari by its plugin for OME-Zarr."""

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.image_record import Channel, ImageFile

MICRO = "micrometer"
STACK = {"Z": 0.7, "Y": 0.25, "X": 0.2}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_naparis_plugin_for_ome_zarr_opens_what_is_denoised(version, untrained, tmp_path):
    plugin = pytest.importorskip("napari_ome_zarr", reason="needs the package napari-ome-zarr")
    stack = np.random.default_rng(0).integers(0, 900, (2, 3, 24, 28), np.uint16)
    model = untrained("plain").save(tmp_path / "m.safetensors")
    window = (0, 4095, 100, 900)
    channels = (Channel("DAPI", "0000FF", window), Channel("GFP", "00FF00", window))
    like = ImageFile(tmp_path, None, "CZYX", STACK, MICRO, "ome", version, channels)
    write_image(tmp_path / "in.ome.zarr", stack, like)
    target = tmp_path / "out.ome.zarr"
    words = ["denoise", tmp_path / "in.ome.zarr", "-o", target, "-m", model]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    ((levels, options, kind),) = plugin.napari_get_reader(str(target))(str(target))
    assert kind == "image"
    np.testing.assert_array_equal(np.asarray(levels[0]), np.asarray(read_image(target).array))
    assert options["channel_axis"] == 0
    assert [name.split(": ")[-1] for name in options["name"]] == ["DAPI", "GFP"]
    assert list(options["scale"]) == pytest.approx([STACK[axis] for axis in "ZYX"])
    assert list(options["units"]) == [MICRO] * 3
    assert options["contrast_limits"] == [[100, 900]] * 2
