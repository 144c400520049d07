"""How weights follow their gradients: Adam and AdamW from torch, and Muon for convolutions."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of [1]: fast, to singular values near 1
_ITERATIONS = 5
_ADAM_RMS = 0.2  # root mean square of a usual update of Adam, in learning rates [2]
_BETAS = (0.9, 0.99)


class Muon:
    """Momentum, orthogonalized: every direction of a weight matrix learns equally fast [1]_.

    A convolution's weights (outputs, inputs, height, width) are seen as a matrix (outputs,
    inputs x height x width). Its momentum is replaced by the nearest matrix whose singular values
    are all about 1. Biases, which have no directions, follow Adam. Updates are as large as Adam's,
    so that the same learning rates serve [2]_.

    `torch.optim.Muon` takes matrices only; this one takes convolutions, and biases beside them.
    It is used like torch's optimizers, but is none: their base class imports torch's compiler when
    the first of them is made, which takes two seconds and stalls napari's window.

    Parameters
    ----------
    params : iterable of Tensor
        The weights.
    lr : float
        Learning rate.
    momentum : float
        Decay of the average of the gradients.
    weight_decay : float
        Decoupled, as in AdamW.

    Attributes
    ----------
    param_groups : list of dict
        One group, whose ``lr`` may be set before each step.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    .. [2] J. Liu et al., "Muon is scalable for LLM training", arXiv:2502.16982, 2025.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        self._weights = list(params)
        self._momentum, self._weight_decay = momentum, weight_decay
        self.param_groups = [{"lr": lr}]
        self._state: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Take one step from the gradients that the weights hold."""
        rate = self.param_groups[0]["lr"]
        for number, weight in enumerate(self._weights):
            if weight.grad is None:
                continue
            state = self._state.setdefault(number, {})
            follow = _adam if weight.ndim < 2 else _muon
            update = follow(weight.grad, state, self._momentum)
            weight.mul_(1 - rate * self._weight_decay)
            weight.add_(update, alpha=-rate)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            if set_to_none:
                weight.grad = None
            elif weight.grad is not None:
                weight.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers of each weight, by the weight's number."""
        return {"state": self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._state = {
            number: {
                name: value.to(self._weights[number].device, copy=True)
                for name, value in remembered.items()
            }
            for number, remembered in state_dict["state"].items()
        }


def _muon(gradient: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
    average = state.setdefault("momentum", torch.zeros_like(gradient))
    average.lerp_(gradient, 1 - momentum)
    matrix = gradient.lerp(average, momentum).flatten(1)  # (outputs, inputs * height * width)
    update = _orthogonal(matrix).float() * (_ADAM_RMS * math.sqrt(max(matrix.shape)))
    return update.view(gradient.shape)


def _adam(gradient: Tensor, state: dict[str, Tensor], _momentum: float) -> Tensor:
    step = state.setdefault("step", torch.zeros((), device=gradient.device))
    mean = state.setdefault("mean", torch.zeros_like(gradient))
    square = state.setdefault("square", torch.zeros_like(gradient))
    step += 1
    mean.lerp_(gradient, 1 - _BETAS[0])
    square.lerp_(gradient**2, 1 - _BETAS[1])
    unbiased = square / (1 - _BETAS[1] ** step)
    return mean / (1 - _BETAS[0] ** step) / (unbiased.sqrt() + 1e-8)


def _orthogonal(matrix: Tensor) -> Tensor:
    """Return about ``u @ v`` of the singular value decomposition ``u @ diag(s) @ v``.

    Under autocast the products are taken in bfloat16, which is precise enough [1 of `Muon`].
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-12)
    for _ in range(_ITERATIONS):
        square: Tensor = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    made: Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return made


class Optimizer(Protocol):
    """What a training asks of an optimizer; torch's own have it."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Take one step."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "muon": Muon,
    "adam": functools.partial(torch.optim.Adam, fused=True),  # one pass over all weights
    "adamw": torch.optim.AdamW,
}
