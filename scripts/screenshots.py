"""Make the pictures of the docs from the real program; needs a display, or xvfb-run.

make screenshots
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["NAPARI_CONFIG"] = ""  # the user's own settings are neither read nor changed

import napari
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.batch_widget import BatchWidget
from napari_ae_denoise._qt.compare_widget import CompareWidget
from napari_ae_denoise._qt.denoise_widget import DenoiseWidget
from napari_ae_denoise._qt.noise_widget import NoiseWidget
from napari_ae_denoise._qt.train_widget import TrainWidget
from napari_ae_denoise.demo import demo_figure, make_demo
from napari_ae_denoise.figures import save_figure
from napari_ae_denoise.steps import drain

WINDOW = (1280, 800)  # pixels; the smallest that everything must fit


def spin(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def finish(panel) -> None:
    """Wait until a panel's job is done."""
    while panel.job.state.value != "idle":
        spin(0.05)


def shrink(path: Path) -> None:
    """Save a picture with 256 colours, a third of its size."""
    made = Image.open(path).convert("RGB").quantize(256, kmeans=1)  # or an orange line is grey
    made.save(path, optimize=True)
    print(path)


class Photographer:
    """Takes pictures of a viewer with one panel docked at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(*WINDOW)
        self._dock = None

    def show(self, panel, name: str):
        """Dock a panel in the place of the one before."""
        if self._dock is not None:
            self.viewer.window.remove_dock_widget(self._dock)
        self._dock = self.viewer.window.add_dock_widget(panel, name=name)
        self.clear_messages()
        return panel

    def clear_messages(self) -> None:
        """Close what napari said of the panel before."""
        for message in self.viewer.window._qt_window.findChildren(NapariQtNotification):
            message.close()

    def take(self, name: str) -> None:
        """Save a picture of the window, once its layout is settled and its messages are closed."""
        spin(1.2)
        self.clear_messages()
        spin(0.3)
        path = self.folder / f"{name}.png"
        self.viewer.window._qt_window.grab().save(str(path))
        shrink(path)


def photograph_large_images(photo: Photographer, denoise: DenoiseWidget) -> None:
    """Take a picture of a layer that fills from the middle of the view, and of a live view."""
    viewer, others = photo.viewer, [layer for layer in photo.viewer.layers if layer.visible]
    for layer in others:
        layer.visible = False
    mosaic = np.tile(viewer.layers["camera + noise 25"].data, (6, 6))
    layer = viewer.add_image(mosaic, name="mosaic")
    denoise.layer.value = layer
    denoise.latent.value = denoise.noise.value = False
    viewer.reset_view()
    with tempfile.TemporaryDirectory() as folder:
        denoise.filling.folder.value, denoise.filling.limit.value = folder, 0.0
        denoise.tile.value = 512
        denoise.run()
        while denoise.bar.progress.value() < 350:  # of 1000
            spin(0.05)
        photo.take("large-image")
        denoise.job.cancel()
        finish(denoise)
        spin(0.5)
        denoise.filling.limit.value = 2.0
        denoise.tile.value = 0
        for one in [x for x in viewer.layers if x.name.startswith("mosaic denoised")]:
            viewer.layers.remove(one)
    viewer.scene.camera.zoom *= 7  # all of what is seen is denoised
    denoise.live.switch.value = True
    spin(15)
    photo.take("live")
    denoise.live.switch.value = False
    viewer.layers.remove(layer)
    for layer in others:
        layer.visible = True
    viewer.reset_view()


def photograph_batch(photo: Photographer) -> None:
    """Take a picture of a folder that was denoised, with an image in it that cannot be read."""
    noisy = photo.viewer.layers["camera + noise 25"].data
    batch = photo.show(BatchWidget(photo.viewer), "Batch")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "scans"
        folder.mkdir()
        for number in range(4):
            Image.fromarray(noisy[128 * number :][:128, :256]).save(folder / f"scan_{number}.tif")
        (folder / "damaged.tif").write_bytes(b"II*")
        batch.fields.folder.value = folder
        batch.model.value = "natural-gray"
        batch.run()
        finish(batch)
        photo.take("batch")


def main() -> None:
    """Walk through the panels as a user does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="of training")
    args = parser.parse_args()
    photo = Photographer(args.folder)
    viewer = photo.viewer

    from skimage.data import camera

    clean = viewer.add_image(camera(), name="camera")
    noise = photo.show(NoiseWidget(viewer), "Add Gaussian noise")
    noise.run()
    finish(noise)
    photo.take("noise")

    train = photo.show(TrainWidget(viewer), "Train autoencoder")
    train.first.value = clean
    train.fields.length.value = args.seconds / 60
    train.run()
    while train.bar.progress.value() < 500 and train.job.state.value != "idle":  # of 1000
        spin(0.1)
    photo.take("train-running")
    finish(train)

    denoise = photo.show(DenoiseWidget(viewer), "Denoise")
    denoise.layer.value = viewer.layers["camera + noise 25"]
    denoise.model.value = "natural-gray"  # and not what a minute of training gave
    denoise.latent.value = denoise.noise.value = True
    denoise.run()
    finish(denoise)
    photo.take("denoise")

    photograph_large_images(photo, denoise)

    compare = photo.show(CompareWidget(viewer), "Compare")
    compare.reference.value = clean
    noisy = viewer.layers["camera + noise 25"]
    compare.images.value = [noisy, viewer.layers[2]]
    compare.fields.classical.value, compare.fields.noisy.value = True, noisy
    compare.run()
    finish(compare)
    photo.take("compare")

    photograph_batch(photo)
    viewer.close()

    path = args.folder / "before-after.png"
    save_figure(demo_figure(drain(make_demo(args.seconds))), path)
    shrink(path)


if __name__ == "__main__":
    main()
