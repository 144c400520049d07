"""A plot of the loss while a network trains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyqtgraph
from qtpy.QtCore import Qt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

_BLUE, _ORANGE = "#4a9ade", "#e08a2e"  # seen on dark and on light
_CLOSE = 0.5  # decades within which there is room for all numbers
_POINTS = 400  # a plot this wide shows no more


class LossAxis(pyqtgraph.AxisItem):
    """A log axis that names 1, 2 and 5 of each decade, where all nine would lie on each other."""

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """Return what stands at the values, log10 of the losses."""
        named: list[str] = super().tickStrings(values, scale, spacing)
        if self.range[1] - self.range[0] < _CLOSE:
            return named
        return [text if text.strip("0.")[:1] in ("1", "2", "5") else "" for text in named]


class LossPlot(pyqtgraph.PlotWidget):
    """Losses on a log axis, dashed on held-out data, and the validation PSNR in dB on another."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None, axisItems={"left": LossAxis("left")})
        self.setToolTip(
            "Loss of what it trains on, each value mixed with those before it; dashed: on parts "
            "that were held out, as is the PSNR (dB) on the right axis."
        )
        self.setMinimumHeight(150)
        self.setMaximumHeight(220)
        self.setMenuEnabled(False)
        # pyqtgraph makes the widgets of its menu without a parent: they would outlive the panel
        for orphan in (self.plotItem.ctrlMenu, self.plotItem.ctrl.transformGroup.window()):
            orphan.setParent(self, orphan.windowFlags())
            orphan.hide()
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        item = self.getPlotItem()
        item.setLabel("bottom", "step")
        item.setLabel("left", "loss (dashed: held-out)", color=_BLUE)
        item.setLabel("right", "validation PSNR (dB)", color=_ORANGE)
        # or half of the highest number is cut, or of the label
        item.layout.setContentsMargins(0, 8, 0, 4)
        item.setLogMode(y=True)
        item.getAxis("right").setLogMode(False)  # the plot's log mode reaches both axes
        for side in ("bottom", "left", "right"):
            item.getAxis(side).enableAutoSIPrefix(False)
        self._loss = item.plot(pen=pyqtgraph.mkPen(_BLUE, width=2))
        dashed = pyqtgraph.mkPen(_BLUE, width=2, style=Qt.PenStyle.DashLine)
        dots = {"symbol": "o", "symbolSize": 4, "symbolPen": None}  # the first has no line yet
        self._held_out = item.plot(pen=dashed, symbolBrush=_BLUE, **dots)
        orange = pyqtgraph.mkPen(_ORANGE, width=2)
        self._psnr = pyqtgraph.PlotDataItem(pen=orange, symbolBrush=_ORANGE, **dots)
        self._right = pyqtgraph.ViewBox(enableMenu=False)
        self._right.setMouseEnabled(x=False, y=False)
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        self._right.addItem(self._psnr)
        item.vb.sigResized.connect(self._follow_size)
        self.clear_curves()

    def clear_curves(self) -> None:
        """Begin anew."""
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._held_out_losses: list[float] = []
        self._rated: list[int] = []
        self._psnrs: list[float] = []
        self._draw()

    def add(self, step: int, loss: float, psnr: float, held_out: float = math.nan) -> None:
        """Add a point; values that are no finite number are left out.

        Loss and PSNR on held-out data stay as they are until they are measured anew.
        """
        if math.isfinite(loss) and loss > 0:
            smooth = 0.7 * self._losses[-1] + 0.3 * loss if self._losses else loss
            self._steps.append(step)
            self._losses.append(smooth)
        if math.isfinite(psnr) and (not self._psnrs or psnr != self._psnrs[-1]):
            self._rated.append(step)
            self._psnrs.append(psnr)
            positive = math.isfinite(held_out) and held_out > 0
            self._held_out_losses.append(held_out if positive else math.nan)
        self._draw()

    def _draw(self) -> None:
        thin = max(1, len(self._steps) // _POINTS)
        self._loss.setData(self._steps[::thin], self._losses[::thin])
        self._held_out.setData(self._rated, self._held_out_losses)
        self._psnr.setData(self._rated, self._psnrs)
        # until there is a value, the numbers beside the axis would mean nothing
        self.getPlotItem().getAxis("right").setStyle(showValues=bool(self._psnrs))

    def _follow_size(self) -> None:
        self._right.setGeometry(self.getPlotItem().vb.sceneBoundingRect())
