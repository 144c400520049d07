"""What the *Denoise* panel says at once: of the image, its noise, the model and the time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ae_denoise._qt.forms import duration, note
from napari_ae_denoise._qt.glances import LatestGlance
from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise._qt.latest_model import LatestModel
from napari_ae_denoise._qt.layers import NoLayer
from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import in_words
from napari_ae_denoise.noise_correlation import steps_for
from napari_ae_denoise.proposal import Proposal, propose
from napari_ae_denoise.resolving import layout_for, looks_for_shared_noise
from napari_ae_denoise.speed import seconds_steps
from napari_ae_denoise.subsampled_network import subsampled
from napari_ae_denoise.training_data import kind_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.glance import Glance
    from napari_ae_denoise.tile_runner import PredictSettings

_LONGEST = 160  # characters of a model's description


class AtOnce(QWidget):
    """Two lines of text that say what will happen before anything is pressed.

    The model is opened, the noise and the time are found out in threads; what is known is shown
    meanwhile.

    Parameters
    ----------
    source : callable
        Returns a snapshot of the chosen image, or raises a `DenoisingError`.
    shelf : Shelf
        Where the models are.
    model : callable
        Returns the name of the chosen model, or None.
    settings : callable
        Returns the settings of a run.
    """

    proposed = Signal(object)  # Proposal

    def __init__(
        self,
        source: Callable[[], Source],
        shelf: Shelf,
        model: Callable[[], str | None],
        settings: Callable[[], PredictSettings],
    ) -> None:
        super().__init__()
        self._read_source, self._read_model = source, model
        self._read_settings = settings
        self.image_note, self.model_note = note(), note()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for line in (self.image_note, self.model_note):
            column.addWidget(line)
        self._source: Source | None = None
        self._glance: Glance | None = None
        self._size = self._card = ""
        self.proposal: Proposal | None = None
        self._looking, self._timing = LatestGlance(self), Latest(self)
        self._opening = LatestModel(shelf, self)
        self.opened = self._opening.opened  # the chosen model, whenever it is looked at
        self.opened.connect(self._show_model)
        self._opening.failed.connect(self._show_unusable)
        self._looking.seen.connect(self._show_noise)
        self._looking.failed.connect(self._show_refusal)
        self._timing.answered.connect(self._show_time)

    def look(self) -> None:
        """Say what the image is; its noise, the model for it and the time follow."""
        self._looking.drop()
        self.proposal = self._source = self._glance = None
        try:
            self._source = source = self._read_source()
        except DenoisingError as error:
            self.image_note.setText(error.remedy if isinstance(error, NoLayer) else str(error))
            self.time()
            return
        self._size = in_words(tuple(source.image.shape), source.axes, source.image.dtype)
        self.image_note.setText(f"{self._size}. Estimating its noise …")
        self._looking.look(source)
        self.time()

    def time(self) -> None:
        """Say what the model is, and how long it will take for the image."""
        self._timing.drop()
        name = self._read_model()
        if name is None:
            self._opening.drop()
            self.model_note.setText("Train a model, or open one.")
            return
        self._opening.open(name)
        if self._opening.busy:
            self.model_note.setText(f"Opening {name} …")
            self.model_note.setToolTip("")

    def _show_unusable(self, error: DenoisingError) -> None:
        """Say that a model's file cannot be used."""
        self.model_note.setText(str(error))

    def _show_model(self, denoiser: Denoiser) -> None:
        """Say what a model is, and ask how long it will take."""
        card, fits = denoiser.card, self.proposal
        because = f" Fits: {fits.reason}." if fits and fits.name == card.name else ""
        self._card = f"{card_in_words(card)}{because}"
        self.model_note.setText(self._card)
        self.model_note.setToolTip(f"{card.description}\n{technically(card)}".strip())
        source = self._source
        if source is None or self._looking.busy:  # one measurement at a time
            return
        if self._glance is not None and self._glance.blank:
            return  # the run will be refused
        settings = self._read_settings()
        try:
            layout = layout_for(denoiser.card.network, source.image.shape, source.axes)
        except DenoisingError as error:
            self.model_note.setText(f"{self._card} {error}")
            return
        network = subsampled(denoiser.network, self._steps(denoiser, settings))
        self._timing.ask(lambda stop: seconds_steps(network, layout, settings, stop=stop))

    def _steps(self, denoiser: Denoiser, settings: PredictSettings) -> tuple[int, int]:
        """Return what `resolve` will make of the image, as far as a glance has told it."""
        if settings.correlated != "auto":
            return steps_for((), settings.correlated)
        able = looks_for_shared_noise(denoiser.card)
        return self._glance.steps if able and self._glance is not None else (1, 1)

    def leave(self) -> None:
        """Find out nothing more: the panel is out of the window."""
        self._looking.drop()
        self._opening.drop()
        self._timing.drop()

    def _show_noise(self, glance: Glance) -> None:
        if self._source is None:
            return
        self._glance = glance
        self.image_note.setText(f"{self._size}. {glance.noise_in_words}")
        calibrated = self._source.calibrated
        self.proposal = propose(glance, bundled_names(), calibrated=calibrated)
        if self.proposal is not None:
            self.proposed.emit(self.proposal)
        self.time()

    def _show_refusal(self, error: DenoisingError) -> None:
        self.image_note.setText(f"{self._size}. {error}")
        self.time()

    def _show_time(self, seconds: float) -> None:
        if math.isfinite(seconds):
            told = duration(seconds) if seconds < 1 else f"about {duration(seconds)}"
            self.model_note.setText(f"{self._card} Will take {told}.")


def card_in_words(card: Card) -> str:
    """Return a sentence on a model."""
    first = card.description.split(". ")[0].strip().rstrip(".")
    if len(first) > _LONGEST:
        cut = first[:_LONGEST]
        return f"{cut[: cut.rfind(',' if ',' in cut else ' ')]} …"
    return f"{first}." if first else technically(card)


def technically(card: Card) -> str:
    """Return a model's network, its noise and how good it was, in a sentence."""
    colours = "RGB" if card.network.channels == 3 else f"{card.network.channels} channel"
    unit = "% of the range" if card.sigma_relative else "grey values"
    factor = 100 if card.sigma_relative else 1
    sigma = (
        f", sigma {card.sigma[0] * factor:.3g} to {card.sigma[1] * factor:.3g} {unit}"
        if card.sigma
        else ""
    )
    # of noisy images alone it is known against noisy parts only, which tells nobody anything
    quality = math.nan
    if card.data_kind in ("clean", "pairs"):
        quality = card.metrics.get("validation_psnr", math.nan)
    rated = "" if math.isnan(quality) else f", {quality:.1f} dB on parts held out"
    trained = f"Trained on {kind_in_words(card.data_kind)}: " if card.data_kind else ""
    return f"{trained}{card.network.style}, {colours}{sigma}{rated}."
