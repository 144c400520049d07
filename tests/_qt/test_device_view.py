"""The choice of a device: its memory, and a GPU that is not used."""

import pytest

from napari_ae_denoise._qt import device_view
from napari_ae_denoise.devices import DeviceInfo

GPU = DeviceInfo("cuda:0", "NVIDIA T4", 15 * 1024**3)
CPU = DeviceInfo("cpu", "x86_64, 2 cores", 3 * 1024**3)


@pytest.fixture
def machine(monkeypatch):
    def has(devices, hint=""):
        monkeypatch.setattr(device_view, "available_devices", lambda: devices)
        monkeypatch.setattr(device_view, "unused_gpu", lambda: hint)

    return has


def labels(panel):
    combo = panel.device.native
    return [combo.itemText(number) for number in range(combo.count())]


def test_name_and_free_memory_are_shown(viewer, open_panel, machine, qtbot):
    machine([GPU, CPU])
    panel = open_panel("Denoise")
    qtbot.waitUntil(lambda: len(labels(panel)) == 3, timeout=10_000)
    assert "NVIDIA T4" in labels(panel)[1]
    assert "15.0 GiB free" in labels(panel)[1]
    assert panel.device.value == "auto"
    assert not panel.device_hint.text.text()


def test_a_gpu_that_is_not_used_is_said(viewer, open_panel, machine, qtbot):
    machine([CPU], "NVIDIA T4 is in this computer, but this PyTorch is for the CPU only.")
    panel = open_panel("Denoise")
    qtbot.waitUntil(lambda: "NVIDIA T4" in panel.device_hint.text.text(), timeout=10_000)
    assert panel.device_hint.isVisibleTo(panel)
