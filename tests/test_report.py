import os
import sys

import pytest

from napari_ae_denoise import DenoisingError, __version__, report


def failure():
    try:
        try:
            raise RuntimeError("the first")
        except RuntimeError as error:
            raise DenoisingError("It failed.", "Do that.") from error
    except DenoisingError as error:
        return error


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "logs" / "errors.log"
    monkeypatch.setattr(report, "log_path", lambda: path)
    return path


def test_a_report_has_versions_the_machine_and_both_errors():
    text = report.report_of(failure())
    for word in (__version__, "Python", "numpy", "cores", "RuntimeError: the first", "It failed."):
        assert word in text
    assert "test_report.py" in text


def test_a_report_loads_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "h5py", raising=False)
    assert "h5py" not in report.report_of(failure()).split("\n\n")[0]
    assert "h5py" not in sys.modules


def test_reports_are_appended_and_the_log_stays_small(path, monkeypatch):
    text = report.log(failure())
    report.log(KeyError("second"))
    said = path.read_text()
    assert said.startswith(text)
    assert "KeyError" in said
    monkeypatch.setattr(report, "_LARGEST", 10)
    report.log(KeyError("third"))
    assert "third" in path.read_text()
    assert "second" not in path.read_text()
    assert sorted(os.listdir(path.parent)) == ["errors.log", "errors.old.log"]


def test_a_log_that_cannot_be_written_is_no_second_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(report, "log_path", lambda: tmp_path / "file" / "errors.log")
    assert "It failed." in report.log(failure())


def test_the_log_lies_where_the_system_keeps_logs():
    assert report.log_path().name == "errors.log"
    assert "napari-ae-denoise" in str(report.log_path())
