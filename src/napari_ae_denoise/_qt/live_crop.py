"""Two small pictures: a part of the data, and what a network in training makes of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

if TYPE_CHECKING:
    from napari_ae_denoise.training import Look

_HEIGHT = 170  # of a picture, in the window's points
_PERCENTILES = (1, 99)


class LiveCrop(QWidget):
    """Shows looks; hidden until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: Look | None = None
        self._pictures, self._captions = (_Picture(), _Picture()), (QLabel(), QLabel())
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column in range(2):
            layout.addWidget(self._pictures[column], 0, column)
            layout.addWidget(self._captions[column], 1, column)
            self._captions[column].setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setToolTip(
            "The middle of the data, with the noise that is trained for, and what the network "
            "makes of it just now."
        )
        self.hide()

    def clear(self) -> None:
        """Forget the last training."""
        self.latest = None
        self.hide()

    def show_look(self, look: Look | None) -> None:
        """Show a look, if it is a new one."""
        if look is None or look is self.latest:
            return
        self.latest = look
        limits = _limits(look.given)
        texts = ("before", f"step {look.step}")
        psnrs = (look.given_psnr, look.made_psnr)
        for number, array in enumerate((look.given, look.made)):
            self._pictures[number].show_array(array, limits)
            db = psnrs[number]
            told = f", {db:.1f} dB" if math.isfinite(db) else ""
            self._captions[number].setText(texts[number] + told)
        self.show()


class _Picture(QWidget):
    """Draws an array as large as there is room for it."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self._held: Any = None  # QImage does not copy
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_array(self, array: npt.NDArray[np.float32], limits: tuple[float, float]) -> None:
        """Take an array (Y, X) or (Y, X, 3) with its grey limits."""
        low, high = limits
        scaled = np.clip((np.nan_to_num(array) - low) / (high - low), 0, 1)
        self._held = held = np.ascontiguousarray(np.rint(255 * scaled).astype(np.uint8))
        colours = held.ndim == 3
        kind = QImage.Format.Format_RGB888 if colours else QImage.Format.Format_Grayscale8
        height, width = held.shape[:2]
        self._image = QImage(held.data, width, height, held.strides[0], kind)
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size that it likes to have."""
        return QSize(_HEIGHT, _HEIGHT)

    def paintEvent(self, _event: Any) -> None:
        """Draw the picture in the middle, undistorted."""
        if self._image is None:
            return
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect((self.width() - size.width()) // 2, 0, size.width(), size.height())
        painter = QPainter(self)
        shrunk = self._image.width() > size.width() * self.devicePixelRatioF()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrunk)
        painter.drawImage(place, self._image)
        painter.end()


def _limits(noisy: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return grey limits of what is under the noise: means of 4 x 4 pixels tell them."""
    height, width = (4 * (side // 4) for side in noisy.shape[:2])
    blocks = noisy[:height, :width].reshape(height // 4, 4, width // 4, 4, -1).mean(axis=(1, 3))
    values = blocks if blocks.size > 16 else noisy
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    return (low, high) if high > low else (low, low + 1.0)
