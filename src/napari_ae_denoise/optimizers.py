"""How weights follow their gradients: Adam and AdamW from torch, and Muon for convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of [1]: fast, to singular values near 1
_ITERATIONS = 5
_ADAM_RMS = 0.2  # root mean square of a usual update of Adam, in learning rates [2]
_BETAS = (0.9, 0.99)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized: every direction of a weight matrix learns equally fast [1]_.

    A convolution's weights (outputs, inputs, height, width) are seen as a matrix (outputs,
    inputs x height x width). Its momentum is replaced by the nearest matrix whose singular values
    are all about 1. Biases, which have no directions, follow Adam. Updates are as large as Adam's,
    so that the same learning rates serve [2]_.

    `torch.optim.Muon` takes matrices only; this one takes convolutions, and biases beside them.

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
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step from the gradients that the weights hold."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                follow = _adam if weight.ndim < 2 else _muon
                update = follow(weight.grad, state, group["momentum"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"])


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


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "muon": Muon,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
