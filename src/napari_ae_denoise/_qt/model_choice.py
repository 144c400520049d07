"""The choice of a model: it follows the image and the newest training until somebody chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import QObject

from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.proposal import Proposal


class ModelChoice(QObject):
    """A field with the models of a shelf.

    Parameters
    ----------
    shelf : Shelf
        Where the models are.
    parent : QObject
        Whose life it shares.
    """

    def __init__(self, shelf: Shelf, parent: QObject) -> None:
        super().__init__(parent)
        self._shelf = shelf
        self.field = ComboBox(
            name="model",
            label="Model",
            tooltip="A bundled model, one trained here, one opened from a file, or one of a file "
            "that you used before. Until you choose, it follows the image.",
            choices=lambda _: shelf.choices(),
        )
        self._proposed = self.field.value  # what is chosen while nobody has chosen
        shelf.changed.connect(self._follow_shelf)
        shelf.listed.connect(self._look_again)

    def chosen(self) -> Denoiser:
        """Return the chosen denoiser, which must be at hand: no file is read for this.

        Raises
        ------
        DenoisingError
            If there is none, or it is not at hand (yet).
        """
        return self._shelf.here(self._name())

    def reading(self) -> Future[Denoiser]:
        """Return the chosen denoiser, which may have to be read first; see `Shelf.reading`.

        Raises
        ------
        DenoisingError
            If there is none.
        """
        return self._shelf.reading(self._name())

    @property
    def at_hand(self) -> bool:
        """Whether no file has to be read for what is chosen."""
        name = self.field.value
        return name is None or self._shelf.at_hand(name) is not None

    def _name(self) -> str:
        if self.field.value is None:
            raise DenoisingError(
                "There is no model yet.", "Train one in the Train panel, or press Open model."
            )
        return str(self.field.value)

    @property
    def follows_image(self) -> bool:
        """Whether a bundled model is chosen, and by nobody."""
        return self.field.value == self._proposed and self._proposed in bundled_names()

    def choose(self, name: str) -> None:
        """Choose a model that somebody has asked for."""
        self.field.value = name

    def follow_image(self, proposal: Proposal) -> None:
        """Choose the bundled model that fits the image, where nobody has chosen another one."""
        if self.follows_image:
            self._proposed = proposal.name
            self.field.value = proposal.name

    def _look_again(self) -> None:
        """Offer what there is still."""
        self.field.reset_choices()

    def _follow_shelf(self, newest: str) -> None:
        """Offer the newest model; choose it where nobody has chosen another one.

        One that was trained here and makes images worse is only offered.
        """
        before = self.field.value
        opened = bool(self._shelf.file_of(newest))
        good = opened or not self._shelf.here(newest).card.makes_worse
        self.field.reset_choices()
        if before is None or (before == self._proposed and good):
            self.field.value = self._proposed = newest
