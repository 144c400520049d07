"""The fields that say which kind of autoencoder is trained, and what its options are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.forms import field, note, on_change
from napari_ae_denoise.kinds import KINDS, Kind
from napari_ae_denoise.penalty_spec import PENALTY_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable


class KindFields:
    """A choice among the kinds, the sentence that says what it is, and its options.

    Parameters
    ----------
    preset : ComboBox
        The choice of the network, which follows the kind.
    """

    def __init__(self, preset: Any) -> None:
        self._preset = preset
        self.kind = field(
            "autoencoder_kind",
            "denoising",
            "Kind",
            "Which kind of autoencoder; what it is stands below.",
            choices=list(KINDS),
        )
        self.sentence = note()
        self.depth = field(
            "depth",
            0,
            "Depth",
            "Levels of the network (hidden layers of a fully-connected one). 0: as it comes.",
            min=0,
            max=6,
        )
        self.code_channels = field(
            "code_channels",
            0,
            "Code channels",
            "Channels of the latent code, or its units. 0: as the kind has it.",
            min=0,
            max=4096,
        )
        self.penalty = field(
            "penalty",
            "sparsity",
            "Penalty",
            "What is added to the loss.",
            choices=list(PENALTY_NAMES),
        )
        self.weight = field(
            "weight",
            0.0,
            "Penalty weight",
            "How strong the penalty is: lambda, or beta of a variational autoencoder.",
            min=0.0,
            max=1e6,
            step=1e-7,
        )
        self.target = field(
            "target",
            0.05,
            "Sparsity target",
            "Wanted mean activity of each code unit.",
            min=0.001,
            max=0.999,
            step=0.001,
        )
        self.options = (self.depth, self.code_channels, self.penalty, self.weight, self.target)
        self.sentence.setText(self.chosen.sentence)
        on_change([self.kind], self._follow_kind)
        on_change([self.penalty], self._follow_penalty)
        self._show_options()

    @property
    def chosen(self) -> Kind:
        """The kind."""
        return KINDS[self.kind.value]

    @property
    def noiseless(self) -> bool:
        """Whether the kind is trained without noise."""
        return self.chosen.settings.get("sigma") == 0

    @property
    def _sparse(self) -> bool:
        return bool(self.chosen.penalties) and self.penalty.value == "sparsity"

    def changed(self, react: Callable[[], None]) -> None:
        """Call a function whenever the network that is described may have changed."""
        on_change([self.kind, self.depth, self.code_channels], react)

    def read(self) -> dict[str, Any]:
        """Return what `TrainSettings.of_kind` takes."""
        options: dict[str, Any] = {"kind": self.kind.value}
        if self.depth.value:
            options["depth"] = self.depth.value
        if self.code_channels.value:
            options["code_channels"] = self.code_channels.value
        if self.chosen.penalties:
            options |= {"penalty": self.penalty.value, "weight": self.weight.value}
        if self._sparse:
            options["target"] = self.target.value
        return options

    def _follow_kind(self) -> None:
        """Say what the kind is, and propose its network and its penalty."""
        self.sentence.setText(self.chosen.sentence)
        self._preset.value = self.chosen.preset
        self._show_options()

    def _show_options(self) -> None:
        penalties = self.chosen.penalties
        self.penalty.visible = len(penalties) > 1
        self.weight.visible = bool(penalties)
        if penalties:
            self.penalty.choices = list(penalties)
            self.penalty.value = next(iter(penalties))
        self._follow_penalty()

    def _follow_penalty(self) -> None:
        usual = self.chosen.penalties.get(self.penalty.value)
        if usual is not None:
            self.weight.value = usual
        self.target.visible = self._sparse
