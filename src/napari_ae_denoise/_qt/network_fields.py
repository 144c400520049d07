"""What a training starts from, and a line that says what the network is like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise._qt.forms import field, note, on_change
from napari_ae_denoise._qt.latest_model import LatestModel
from napari_ae_denoise._qt.layer_facts import plane_size
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import build_empty

if TYPE_CHECKING:
    from concurrent.futures import Future

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise._qt.train_form import TrainFields
    from napari_ae_denoise._qt.training_images import TrainingImages
    from napari_ae_denoise.denoiser import Denoiser

FROM_NOTHING = "nothing"


class NetworkFields:
    """The field of the start, and the note on the network that the form describes."""

    def __init__(self, shelf: Shelf, fields: TrainFields, images: TrainingImages) -> None:
        self._shelf, self._fields, self._images = shelf, fields, images
        self.start_from = field(
            "start_from",
            FROM_NOTHING,
            "Start from",
            "Nothing: random weights. Or a model that is at hand, to fine-tune it to these images: "
            "its network replaces the one chosen above.",
            choices=lambda _: [(FROM_NOTHING, FROM_NOTHING), *self._shelf.choices()],
        )
        self.note = note()
        self._opening = LatestModel(shelf, self.note)
        self.opened = self._opening.opened
        self.opened.connect(self._show)
        self._opening.failed.connect(self._show_unusable)
        fields.family.changed(self.show)
        on_change([fields.preset, self.start_from, images.first], self.show)
        self.show()

    def start(self) -> Denoiser | None:
        """Return the model to start from.

        Raises
        ------
        DenoisingError
            If it is not open (yet), or is of another family.
        """
        name = self.start_from.value
        if name == FROM_NOTHING:
            return None
        model = self._shelf.here(name)
        model.check_own("trained further")
        return model

    def to_be_read(self) -> Future[Denoiser] | None:
        """Return the model to start from, if its file has to be read first."""
        name = self.start_from.value
        at_hand = name == FROM_NOTHING or self._shelf.at_hand(name) is not None
        return None if at_hand else self._shelf.reading(name)

    def show(self) -> None:
        """Say how large the network and its code are, for the first image."""
        name = self.start_from.value
        if name == FROM_NOTHING:
            self._opening.drop()
            self._show(None)
            return
        self._opening.open(name)
        if self._opening.busy:
            self.note.setText(f"Opening {name} …")

    def _show(self, start: Denoiser | None) -> None:
        size, channels = plane_size(self._images.example)
        try:
            if start is not None:
                start.check_own("trained further")
            described = self._fields.settings("")
            spec = start.card.network if start else described.network_for(size, channels)
        except DenoisingError as error:
            self._show_unusable(error)
            return
        network = build_empty(spec)
        self.note.setText(
            f"{network.parameter_count / 1e6:.2f} million weights; {network.code_in_words}"
        )

    def _show_unusable(self, error: DenoisingError) -> None:
        self.note.setText(str(error))
