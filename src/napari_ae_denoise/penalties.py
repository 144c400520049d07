"""Penalties: what a network is asked for beside the image. Each is one small function.

Sums over pixels are divided by the number of pixels, as the reconstruction loss is, so that a
weight means the same for patches of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Encoder = Callable[[Tensor], Tensor]

_SMALL_CODE = 64  # values of a code: up to here its Jacobian is computed row by row
_INSIDE = 1e-6  # how near to 0 and 1 a mean activity is taken


def weights_l1(weights: Iterable[Tensor]) -> Tensor:
    """Return the absolute size of the weights, ``sum |w|`` (the lasso [1]_).

    Many weights become exactly useless: few inputs are left that matter. Biases are not penalized.

    References
    ----------
    .. [1] R. Tibshirani, "Regression shrinkage and selection via the lasso", J. R. Stat. Soc. B
       58, 1996.
    """
    return torch.stack([w.abs().sum() for w in weights if w.ndim > 1]).sum()


def weights_l2(weights: Iterable[Tensor]) -> Tensor:
    """Return the squared size of the weights, ``sum w**2`` (weight decay [1]_).

    All weights become smaller, none exactly useless. Biases are not penalized.

    References
    ----------
    .. [1] A. Krogh, J. A. Hertz, "A simple weight decay can improve generalization", NIPS 1991.
    """
    return torch.stack([w.square().sum() for w in weights if w.ndim > 1]).sum()


def sparsity(code: Tensor, target: float) -> Tensor:
    """Return how far the mean activities of the code's units are from a target [1]_.

    ``mean_j [rho log(rho / rho_j) + (1 - rho) log((1 - rho) / (1 - rho_j))]``, the
    Kullback-Leibler divergence between coins that fall with ``rho`` and with ``rho_j``.

    Parameters
    ----------
    code : Tensor
        (N, units, Y, X), between 0 and 1 (a sigmoid code).
    target : float
        ``rho``. ``rho_j`` is the mean of unit j over the batch and, in convolutional codes, all
        places.

    Notes
    -----
    [1]_ sums over the units; here it is their mean, so that the weight does not depend on their
    number.

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford 2011, p. 14.
    """
    active = code.float().mean(dim=(0, 2, 3)).clamp(_INSIDE, 1 - _INSIDE)  # (units,)
    gap = target * torch.log(target / active)
    gap = gap + (1 - target) * torch.log((1 - target) / (1 - active))
    return gap.mean()


def activity_l1(code: Tensor) -> Tensor:
    """Return the mean of ``|h|`` over all code values (the sparse coding of [1]_, for encoders).

    References
    ----------
    .. [1] B. A. Olshausen, D. J. Field, "Emergence of simple-cell receptive field properties by
       learning a sparse code for natural images", Nature 381, 1996.
    """
    return code.float().abs().mean()


def gaussian_divergence(mean: Tensor, log_variance: Tensor, pixels: int) -> Tensor:
    """Return the divergence of the code's Gaussian from the unit Gaussian, per input value [1]_.

    ``KL = 1/2 sum (mean**2 + variance - log(variance) - 1)`` for each image, divided by the number
    of its values. Beside a mean squared error, the weight beta [2]_ is twice the variance that the
    decoder's pixels are taken to have around the image.

    Parameters
    ----------
    mean, log_variance : Tensor
        (N, units, Y, X).
    pixels : int
        Values of one image.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.
    .. [2] I. Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
       variational framework", ICLR 2017.
    """
    each = mean.square() + log_variance.exp() - log_variance - 1
    return 0.5 * each.sum() / (mean.shape[0] * pixels)


def jacobian_norm(encode: Encoder, images: Tensor) -> Tensor:
    """Return the squared Frobenius norm of the encoder's Jacobian, per input value [1]_.

    ``||J||**2 = sum_jd (d h_j / d x_d)**2``, its mean over the images, divided by the number of
    values of an image. Exact, for small codes: as many copies of the images as the code has values
    are encoded, and each copy is led back from one value.

    Parameters
    ----------
    encode : callable
        Maps (N, C, Y, X) to the code of each image.
    images : Tensor
        (N, C, Y, X).

    References
    ----------
    .. [1] S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio, "Contractive auto-encoders:
       explicit invariance during feature extraction", ICML 2011, eq. 1 and 3.
    """
    with torch.no_grad():
        values = encode(images[:1]).numel()
    copies = images.detach().repeat(values, 1, 1, 1).requires_grad_()  # (values * N, C, Y, X)
    code = encode(copies).reshape(values, len(images), values)
    of_each = torch.diagonal(code, dim1=0, dim2=2).sum()  # value k of copy k
    (rows,) = torch.autograd.grad(of_each, copies, create_graph=True)
    return rows.square().sum() / images.numel()


def projected_jacobian_norm(
    encode: Encoder, images: Tensor, projections: int, generator: torch.Generator | None = None
) -> Tensor:
    """Return an estimate without bias of `jacobian_norm`, for large codes.

    ``E ||v^T J||**2 = ||J||**2`` for ``v`` of random signs (Hutchinson [1]_, for Jacobians [2]_).

    Parameters
    ----------
    encode, images
        See `jacobian_norm`.
    projections : int
        How many ``v`` to draw for each image; one backward pass each.
    generator : Generator, optional
        Draws them.

    References
    ----------
    .. [1] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for
       Laplacian smoothing splines", Commun. Stat. Simul. 19, 1990.
    .. [2] J. Hoffman, D. A. Roberts, S. Yaida, "Robust learning with Jacobian regularization",
       arXiv:1908.02729, 2019.
    """
    seen = images.detach().requires_grad_()
    code = encode(seen)
    total = torch.zeros((), device=images.device)
    for _ in range(projections):
        (row,) = torch.autograd.grad(code, seen, _signs(code, generator), create_graph=True)
        total = total + row.square().sum()
    return total / (projections * images.numel())


def contraction(
    encode: Encoder, images: Tensor, projections: int, generator: torch.Generator | None = None
) -> Tensor:
    """Return `jacobian_norm` by the way that the code's size allows; see `Penalty.projections`."""
    if projections == 0:
        with torch.no_grad():
            values = encode(images[:1]).numel()
        if values <= _SMALL_CODE:
            return jacobian_norm(encode, images)
    return projected_jacobian_norm(encode, images, max(projections, 1), generator)


def marginalized_noise(
    encode: Encoder,
    decode: Encoder,
    images: Tensor,
    variance: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return what Gaussian noise adds to the mean squared error, integrated out [1]_.

    The expected loss of noisy images, to second order around the clean one, is the loss of the
    clean image plus ``1/2 sum_d variance * sum_h (d2 loss / d h**2) (d h / d x_d)**2``: the
    curvature of the loss at each code value times how much noise reaches it. For the squared error
    ``d2 loss / d h**2`` is ``2 sum_j (d r_j / d h)**2``, the decoder taken as linear around the
    code. Both sums are estimated without bias by random signs, as in `projected_jacobian_norm`:
    ``(v^T J_g)_h**2`` and ``(J_f u)_h**2``.

    Parameters
    ----------
    encode, decode : callable
        ``h = f(x)`` and ``r = g(h)``.
    images : Tensor
        (N, C, Y, X), clean.
    variance : Tensor
        (N,) of the noise of each image, in normalized units.
    generator : Generator, optional
        Draws the signs.

    Returns
    -------
    Tensor
        (N,), per pixel: comparable to the mean squared error of each image.

    References
    ----------
    .. [1] M. Chen, K. Weinberger, F. Sha, Y. Bengio, "Marginalized denoising auto-encoders for
       nonlinear representations", ICML 2014, eq. 6 to 10.
    """
    seen = images.detach().requires_grad_()
    code = encode(seen)
    made = decode(code)
    (back,) = torch.autograd.grad(made, code, _signs(made, generator), create_graph=True)
    # J u is the derivative of v^T J u by v, for backward passes only go the other way
    handle = torch.zeros_like(code).requires_grad_()
    (rows,) = torch.autograd.grad(code, seen, handle, create_graph=True)
    (reached,) = torch.autograd.grad(rows, handle, _signs(rows, generator), create_graph=True)
    added = (back.square() * reached.square()).flatten(1).sum(dim=1)  # (N,)
    return variance * added / images[0].numel()


def _signs(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw random signs in the shape of a tensor."""
    drawn = torch.randint(2, like.shape, generator=generator, dtype=torch.float32)
    return (2 * drawn - 1).to(like)
