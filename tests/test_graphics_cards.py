"""GPUs that PyTorch does not use, with drivers that are missing, broken, slow or well."""

import stat
import sys

import pytest

from napari_ae_denoise import graphics_cards
from napari_ae_denoise.graphics_cards import nvidia_cards, unused_card

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Return a function that installs a stand-in for nvidia-smi."""
    monkeypatch.setattr(graphics_cards, "_DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return install


def test_without_a_driver_there_is_no_card_and_nothing_is_said(driver):
    assert nvidia_cards() == []
    assert unused_card(["cpu"], cuda_build=False) == ""


def test_a_card_with_a_pytorch_for_the_cpu_is_said_with_the_remedy(driver):
    driver("echo 'NVIDIA RTX A4000'; echo 'NVIDIA T4'")
    assert nvidia_cards() == ["NVIDIA RTX A4000", "NVIDIA T4"]
    said = unused_card(["cpu"], cuda_build=False)
    assert "NVIDIA RTX A4000" in said
    assert "CPU only" in said
    assert "pytorch.org" in said


def test_a_card_that_a_cuda_build_cannot_use_needs_its_driver(driver):
    driver("echo 'NVIDIA T4'")
    assert "Update the NVIDIA driver" in unused_card(["cpu"], cuda_build=True)


def test_nothing_is_said_where_a_gpu_is_used(driver):
    driver("echo 'NVIDIA T4'")
    assert unused_card(["cuda:0", "cpu"], cuda_build=True) == ""


@pytest.mark.parametrize(
    "script",
    [
        "echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9",
        "exit 0",
        "kill -9 $$",
        "printf '\\377\\376'; exit 1",
    ],
)
def test_a_broken_driver_is_no_card(driver, script):
    driver(script)
    assert nvidia_cards() == []


def test_a_driver_that_hangs_is_not_waited_for(driver, monkeypatch):
    monkeypatch.setattr(graphics_cards, "_SECONDS", 0.2)
    driver("while :; do :; done")
    assert nvidia_cards() == []


def test_a_program_that_cannot_be_run_is_no_card(driver, tmp_path, monkeypatch):
    driver("")
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF not really")
    assert nvidia_cards() == []


def test_the_files_of_the_driver_are_read_where_its_program_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(graphics_cards, "_DRIVER", tmp_path)
    card = tmp_path / "0000:01:00.0"
    card.mkdir()
    (card / "information").write_text("Model: \t\t NVIDIA GeForce RTX 4070\nIRQ: 1\n")
    assert nvidia_cards() == ["NVIDIA GeForce RTX 4070"]
