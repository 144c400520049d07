"""Planes and files that are missing in a TIFF, and damage of others."""

import threading

import numpy as np
import pytest
import tifffile

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.tiff_damage import refuse_missing


def picture(shape=(8, 9), dtype="uint8"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def set_of_files(tmp_path, counted=True):
    """Write an OME-TIFF set of two files of one plane each; return the first."""
    names = ("one.ome.tif", "two.ome.tif")
    count = ' IFD="0" PlaneCount="1"' if counted else ""
    planes = "".join(
        f'<TiffData FirstT="{place}"{count}>'
        f'<UUID FileName="{name}">urn:uuid:{place}</UUID></TiffData>'
        for place, name in enumerate(names)
    )
    for place, name in enumerate(names):
        text = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{place}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="8" SizeZ="1" SizeC="1" '
            f'SizeT="2"><Channel ID="Channel:0:0"/>{planes}</Pixels></Image></OME>'
        )
        plane = np.full((8, 9), place + 1, np.uint8)
        tifffile.imwrite(tmp_path / name, plane, description=text, metadata=None)
    return tmp_path / names[0]


@pytest.mark.parametrize("counted", [True, False])
def test_planes_that_are_not_in_the_file_do_not_become_black(counted, tmp_path, refused):
    tifffile.imwrite(tmp_path / "whole.ome.tif", picture((5, 8, 9)), metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "whole.ome.tif") as file:
        text = file.ome_metadata
    if not counted:
        text = text.replace(' IFD="0" PlaneCount="5"', "")
    options = {"description": text, "metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), **options)
    with refused("3 of 5 planes", tmp_path / "a.ome.tif", remedy="save the planes"):
        read_image(tmp_path / "a.ome.tif")


def test_files_of_a_set_that_are_not_there_do_not_become_black(tmp_path, refused):
    path = set_of_files(tmp_path)
    np.testing.assert_array_equal(read_image(path).array.max((1, 2)), [1, 2])
    (tmp_path / "two.ome.tif").unlink()
    with refused("1 of 2 planes", path, '"two.ome.tif"', remedy="one folder"):
        read_image(path)


def test_a_set_of_files_without_counts_is_refused_by_the_name_that_is_missing(tmp_path, refused):
    set_of_files(tmp_path, counted=False).unlink()
    with refused(tmp_path / "two.ome.tif", '"one.ome.tif" is not beside it'):
        read_image(tmp_path / "two.ome.tif")


def test_a_file_of_a_set_that_was_renamed_is_read_with_a_warning(tmp_path):
    path = set_of_files(tmp_path).rename(tmp_path / "renamed.ome.tif")
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata.replace(' UUID="urn:uuid:0"', "")
    tifffile.imwrite(path, picture(), description=text, metadata=None)
    (tmp_path / "two.ome.tif").unlink()
    with pytest.warns(UserWarning, match=r'"one.ome.tif" is not beside it.*: 1 plane\.'):
        np.testing.assert_array_equal(read_image(path).array, picture())


class Series(list):
    """What tifffile makes of the pages of an image."""

    dataoffset = None


def test_what_is_missing_in_files_of_micro_manager(tmp_path, refused):
    path = tmp_path / "a_MMStack.ome.tif"
    cut_off = ["<TiffFile> MMStack is missing 2 pages. Missing data are zeroed"]
    with refused("2 of 3 planes", path):
        refuse_missing(path, Series("abc"), cut_off)
    part = ["<TiffFile> MMStack series is missing files. Returning subset (2, 1) of (4, 1)"]
    with pytest.warns(UserWarning, match=r"one of several files.*: 2 planes"):
        refuse_missing(path, Series("ab"), part)
    refuse_missing(path, Series("ab"), ["<TiffFile> odd, but whole"])


def test_the_damage_of_one_image_is_not_laid_on_another(tmp_path, monkeypatch, caplog):
    good, broken = tmp_path / "good.tif", tmp_path / "broken.tif"
    tifffile.imwrite(good, picture())
    with tifffile.TiffWriter(broken) as file:
        for _ in range(3):
            file.write(picture((64, 64)), metadata=None, contiguous=False)
    with tifffile.TiffFile(broken) as file:
        end = file.pages[1].offset
    broken.write_bytes(broken.read_bytes()[:end])
    read = tifffile.TiffPageSeries.asarray
    failures = []

    def elsewhere():
        tifffile.logger().warning("another program's own file")
        with pytest.raises(DenoisingError) as caught:
            read_image(broken)
        failures.append(caught.value)

    def meanwhile(series, **options):
        if series.parent.filename == "good.tif":
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
        return read(series, **options)

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", meanwhile)
    np.testing.assert_array_equal(read_image(good).array, picture())
    assert "a part of it is missing" in failures[0].cause
    assert caplog.messages == ["another program's own file"]
    assert tifffile.logger().propagate
