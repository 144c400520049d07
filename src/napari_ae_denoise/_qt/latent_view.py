"""The fields of the *Denoise* panel that say how a code is shown, and the scatter's window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ae_denoise._qt.forms import field, form, on_change
from napari_ae_denoise._qt.latent_layers import BOTH, COLOURS, UNITS
from napari_ae_denoise.latent_tools import scatter_figure

if TYPE_CHECKING:
    from typing import Any

    from napari_ae_denoise._qt.latent_layers import Scatter


class LatentView(QWidget):
    """How the latent code is shown, and a button for the scatter of the last one.

    Parameters
    ----------
    latent : CheckBox
        Whether there is a code at all; without it there is nothing to choose.
    """

    def __init__(self, latent: Any) -> None:
        super().__init__()
        self.view = field(
            "latent_view",
            UNITS,
            "Latent as",
            "One channel each unit; or the first three principal components of all units, as red, "
            "green and blue.",
            choices=[UNITS, COLOURS, BOTH],
        )
        self.button = QPushButton("Scatter of the cod&es …")
        self.button.setToolTip(
            "Show where each image of the stack lies by its code, coloured by its label where the "
            "layer has labels. For fully-connected and variational networks."
        )
        self.button.clicked.connect(self.show_scatter)
        self.dialog: QDialog | None = None
        self._scatter: Scatter | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.form = form(self.view)
        column.addWidget(self.form.native)
        column.addWidget(self.button)
        self.offer(None)
        self._latent = latent
        on_change([latent], self._follow)
        self._follow()

    def _follow(self) -> None:
        self.setVisible(bool(self._latent.value))

    def offer(self, scatter: Scatter | None) -> None:
        """Take the scatter of the last result."""
        self._scatter = scatter
        self.button.setEnabled(scatter is not None)

    def show_scatter(self) -> None:
        """Show the scatter in a window of its own."""
        if self._scatter is None:
            return
        scatter = self._scatter
        self.dialog = QDialog(self)
        self.dialog.ensurePolished()  # by napari's theme
        colours = self.dialog.palette()
        figure = scatter_figure(
            scatter.coordinates,
            scatter.labels,
            title=scatter.title,
            ink=colours.color(self.dialog.foregroundRole()).name(),
            paper=colours.color(self.dialog.backgroundRole()).name(),
        )
        canvas: Any = figure.canvas
        canvas.draw()
        width, height = canvas.get_width_height()
        pixels = bytes(canvas.buffer_rgba())
        picture = QLabel()
        image = QImage(pixels, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        picture.setPixmap(QPixmap.fromImage(image))
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.dialog.setWindowTitle("Codes")
        QVBoxLayout(self.dialog).addWidget(picture)
        self.dialog.show()
