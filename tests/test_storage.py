import os
import sys

import pytest

from napari_ae_denoise.storage import Precious, replacing, replacing_folder, same_file


def test_a_new_file_is_written(tmp_path):
    path = tmp_path / "new.bin"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["new.bin"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_failing_write_leaves_the_old_file_whole(tmp_path, error):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the ne")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_full_disk_is_said_with_path_and_reason(tmp_path, refused):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with refused(path, "No space left", remedy="space"), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_failing_rename_leaves_the_old_file_whole(tmp_path, refused, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "replace", fail)
    with refused(path, "Permission denied"), replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_folder_that_is_not_there_is_refused(tmp_path, refused):
    path = tmp_path / "no" / "file.bin"
    with refused(path, "No such file", remedy="folder that exists"), replacing(path) as temporary:
        temporary.write_bytes(b"x")


def test_data_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    order = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), real(fd)))
    path = tmp_path / "file.bin"
    replace = type(path).replace

    def noted(self, target):
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", noted)
    with replacing(path) as temporary:
        temporary.write_bytes(b"x")
    assert order[:2] == ["fsync", "rename"]


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "a") as second:
        assert first != second
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has shorter paths")
def test_long_names_fit(tmp_path):
    path = tmp_path / ("n" * 250)
    with replacing(path) as temporary:
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"


def test_one_file_has_many_paths(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    assert same_file(tmp_path / "a.tif", tmp_path / "sub" / ".." / "a.tif")
    assert same_file(tmp_path / "new.tif", tmp_path / "sub" / ".." / "new.tif")
    assert not same_file(tmp_path / "a.tif", tmp_path / "b.tif")


def test_a_file_is_lost_with_each_folder_around_it(tmp_path):
    inner = tmp_path / "in.zarr" / "0"
    inner.mkdir(parents=True)
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "link.zarr").symlink_to(tmp_path / "in.zarr")
    (tmp_path / "other.zarr" / "1").symlink_to(inner)
    precious = Precious([inner])
    for target in (inner, inner.parent, tmp_path, tmp_path / "link.zarr", tmp_path / "link.zarr/0"):
        assert precious.lost_with(target) == inner
    for target in (tmp_path / "other.zarr", tmp_path / "new.zarr", inner / "new"):
        assert precious.lost_with(target) is None
    given = tmp_path / "other.zarr" / "1"  # a link in it is lost too
    assert Precious([given]).lost_with(tmp_path / "other.zarr") == given
    assert Precious([given]).lost_with(tmp_path / "in.zarr") == given


def test_a_folder_takes_the_place_of_what_was_there(tmp_path):
    path, elsewhere = tmp_path / "a.zarr", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    for before in ("nothing", "folder", "file", "link"):
        if before == "folder":
            (path / "x").mkdir(parents=True)
        elif before == "file":
            path.touch()
        elif before == "link":
            path.symlink_to(elsewhere)
        with replacing_folder(path) as temporary:
            temporary.mkdir()
            (temporary / before).touch()
        assert [p.name for p in path.iterdir()] == [before]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "elsewhere"]
        (path / before).unlink()
        path.rmdir()
    assert (elsewhere / "kept").exists()


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=str)
def test_a_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch, error):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "kept").touch()
    usual = type(path).replace

    def replace(self, target):
        if self.suffix == ".part":
            raise error
        return usual(self, target)

    monkeypatch.setattr(type(path), "replace", replace)
    with pytest.raises(type(error)), replacing_folder(path) as temporary:
        temporary.mkdir()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    assert (path / "kept").exists()


def test_names_that_begin_alike_share_no_hidden_folder(tmp_path):
    one, two = (tmp_path / ("n" * 100 + end) for end in "ab")
    with replacing_folder(one) as first, replacing_folder(two) as second:
        assert first != second
        first.mkdir()
        second.mkdir()
        with replacing_folder(one) as third:
            assert third != first
            third.mkdir()
    assert {p.name for p in tmp_path.iterdir()} == {one.name, two.name}


def test_what_killed_runs_left_goes_with_the_next_result(tmp_path):
    path = tmp_path / "a.zarr"
    gone = [tmp_path / f".a.zarr.0123abc{n}.{end}" for n, end in enumerate(["old", "new"])]
    running, others = tmp_path / ".a.zarr.0123abcd.new", tmp_path / ".aazarr.0123abcd.old"
    for place in (*gone, running, others):
        (place / "0").mkdir(parents=True)
    os.utime(gone[1], (0, 0))
    with replacing_folder(path) as temporary:
        temporary.mkdir()
    assert {p.name for p in tmp_path.iterdir()} == {"a.zarr", running.name, others.name}
