"""The line under a panel's buttons where an error is said, and its report can be copied."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLabel

from napari_ae_denoise import report

if TYPE_CHECKING:
    from napari_ae_denoise.errors import DenoisingError

_COPY = "copy-report"  # what the link leads to


class ProblemLine:
    """Shows errors in a label. Of errors that come from others a report can be copied.

    Parameters
    ----------
    label : QLabel
        Where to show them.
    """

    def __init__(self, label: QLabel) -> None:
        self._label = label
        self._last: DenoisingError | None = None
        self._text = ""
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByMouse
        )
        label.linkActivated.connect(self.copy_report)

    def show(self, error: DenoisingError) -> None:
        """Say what is wrong and what to do."""
        self._last = error
        cause, remedy = html.escape(error.cause), html.escape(error.remedy)
        copy = "" if error.__cause__ is None else f' <a href="{_COPY}">Copy report</a>'
        self._text = f"<b>{cause}</b> {remedy}{copy}"
        self._label.setText(self._text)

    def clear(self) -> None:
        """Take the error away, where it still stands: the form is another one."""
        if self._text and self._label.text() == self._text:
            self._label.clear()

    def copy_report(self, link: str = _COPY) -> None:
        """Put all that helps to find the cause of the last error into the clipboard."""
        clipboard = QApplication.clipboard()
        if link == _COPY and self._last is not None and clipboard is not None:
            clipboard.setText(report.report_of(self._last))
