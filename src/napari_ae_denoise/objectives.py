"""How a network is scored: a reconstruction loss between what it makes and what it should make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor


def mean_squared_error(made: Tensor, target: Tensor) -> Tensor:
    """Return the mean of ``(made - target)**2``: the best guess under it is the mean."""
    return functional.mse_loss(made, target)


def mean_absolute_error(made: Tensor, target: Tensor) -> Tensor:
    """Return the mean of ``|made - target|``: the best guess under it is the median."""
    return functional.l1_loss(made, target)


RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mean_squared_error,
    "l1": mean_absolute_error,
}


@dataclass(frozen=True, slots=True)
class Objective:
    """How a network is scored.

    Parameters
    ----------
    reconstruction : {"mse", "l1"}
        The loss between the network's image and the target, on normalized grey values.
    """

    reconstruction: str = "mse"

    def __post_init__(self) -> None:
        """Refuse a loss that is not known."""
        if self.reconstruction not in RECONSTRUCTION:
            raise DenoisingError(
                f'The reconstruction loss "{self.reconstruction}" is not known.',
                f"Use one of {', '.join(RECONSTRUCTION)}.",
            )

    def __call__(
        self,
        network: torch.nn.Module,
        noisy: Tensor,
        target: Tensor,
        scored: Tensor | None = None,
        usual_error: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch, (N, C, Y, X) each, as a scalar float32 tensor.

        ``scored``, bool, says which pixels count; by default all. ``usual_error``, (N,), is the
        unit that the errors of each image are measured in.
        """
        made = network(noisy).float()
        if usual_error is not None:
            unit = usual_error.view(-1, 1, 1, 1)
            made, target = made / unit, target / unit
        if scored is not None:
            made, target = made[scored], target[scored]  # (pixels,)
        return RECONSTRUCTION[self.reconstruction](made, target)
