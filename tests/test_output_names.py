"""Where results go: what it takes to find out, for many images."""

import os
from pathlib import PurePath

import pytest

from napari_ae_denoise.output_names import resolve_outputs


@pytest.fixture
def counted(monkeypatch):
    """Return a list that grows with each look at the disk, and each comparison of two paths."""
    looks = []

    def counting(usual):
        def call(*args, **options):
            looks.append(usual.__name__)
            return usual(*args, **options)

        return call

    monkeypatch.setattr(os, "stat", counting(os.stat))
    monkeypatch.setattr(os, "lstat", counting(os.lstat))
    monkeypatch.setattr(PurePath, "__eq__", counting(PurePath.__eq__))
    return looks


def test_each_image_takes_a_few_looks_however_many_there_are(tmp_path, counted):
    """Each was compared with each: 0.9 s of a processor for 100 images."""

    def looks_at(images):
        folder = tmp_path / str(images)
        folder.mkdir()
        paths = [folder / f"{number}.tif" for number in range(images)]
        for path in paths:
            path.touch()
        places = [folder / "out" / f"{{stem}}_{what}.tif" for what in ("clean", "code", "noise")]
        counted.clear()
        assert len(resolve_outputs(paths, *places, overwrite=False)) == images
        return len(counted)

    few, many = looks_at(30), looks_at(300)
    assert many < 12 * few
