"""Marginalized linear denoising: the best linear map under all noise, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError


@dataclass(frozen=True, slots=True, eq=False)
class LinearDenoiser:
    """A linear map with a bias, ``r = W x + b``.

    Parameters
    ----------
    weights : ndarray
        (features, features) float64.
    bias : ndarray
        (features,) float64.
    """

    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def __call__(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return ``W x + b`` for each row of (N, features)."""
        made: npt.NDArray[np.float64] = np.asarray(x, np.float64) @ self.weights.T + self.bias
        return made


def marginalized_linear(
    x: npt.ArrayLike, *, dropout: float | None = None, sigma: float | None = None
) -> LinearDenoiser:
    """Return the linear map that undoes a corruption best, over all corruptions at once [1]_.

    It minimizes ``E sum_i ||x_i - W c(x_i) - b||**2`` over infinitely many corrupted copies
    ``c(x)``: the corruption is integrated out, nothing is drawn. With the bias as a last feature
    that is always 1 and never corrupted, ``W = P Q**-1`` with ``P = E[sum x c(x)^T]`` and
    ``Q = E[sum c(x) c(x)^T]``. For ``S = sum x x^T``:

    - ``dropout`` p, each feature set to 0 by itself: ``P_ij = S_ij q_j`` and ``Q_ij = S_ij q_i
      q_j``, on the diagonal ``S_ii q_i``, with ``q = 1 - p`` (and 1 for the bias), eq. 3 of [1]_;
    - Gaussian noise ``sigma``: ``P = S`` and ``Q = S + N sigma**2 I`` (none for the bias).

    Parameters
    ----------
    x : array
        (N, features) of clean data.
    dropout : float, optional
        Probability that a feature is lost, from 0 up to, but not including, 1.
    sigma : float, optional
        Standard deviation of Gaussian noise, in the units of ``x``. One of the two is needed.

    Raises
    ------
    DenoisingError
        If the data or the corruption make no sense.

    References
    ----------
    .. [1] M. Chen, Z. Xu, K. Weinberger, F. Sha, "Marginalized denoising autoencoders for domain
       adaptation", ICML 2012.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(500, 1)) * [1.0, 2.0, 3.0]
    >>> noisy = x + 0.5 * np.random.default_rng(1).normal(size=x.shape)
    >>> made = marginalized_linear(x, sigma=0.5)(noisy)
    >>> bool(np.mean((made - x) ** 2) < 0.5 * np.mean((noisy - x) ** 2))
    True
    """
    data = np.asarray(x, np.float64)
    if data.ndim != 2 or 0 in data.shape or not np.isfinite(data).all():
        raise DenoisingError(
            f"An array of shape {data.shape} is no table of finite numbers.",
            "Give (N, features), without NaN.",
        )
    if (dropout is None) == (sigma is None):
        raise DenoisingError(
            f"The corruption is dropout={dropout} and sigma={sigma}.", "Give one of the two."
        )
    count, features = data.shape
    extended = np.column_stack([data, np.ones(count)])
    scatter = extended.T @ extended  # S, with the bias as the last feature
    if dropout is not None:
        if not 0 <= dropout < 1:
            raise DenoisingError(
                f"Features cannot be lost with probability {dropout}.",
                "Give a number from 0 up to, but not including, 1.",
            )
        kept = np.append(np.full(features, 1 - dropout), 1.0)
        product = scatter * kept
        noisy = scatter * np.outer(kept, kept)
        np.fill_diagonal(noisy, np.diag(scatter) * kept)
    else:
        if not (sigma is not None and math.isfinite(sigma) and sigma >= 0):
            raise DenoisingError(
                f"Noise cannot have sigma = {sigma}.", "Give a finite number of at least 0."
            )
        product = scatter
        noisy = scatter + count * sigma**2 * np.diag(np.append(np.ones(features), 0.0))
    # features that are always 0 make Q singular: the least-norm solution leaves them out
    mapping = np.linalg.lstsq(noisy.T, product.T, rcond=None)[0].T[:features]
    return LinearDenoiser(mapping[:, :features], mapping[:, features])


def stacked_features(
    x: npt.ArrayLike, layers: int, *, dropout: float | None = None, sigma: float | None = None
) -> list[npt.NDArray[np.float64]]:
    """Return the features of a marginalized stacked denoising autoencoder (mSDA) [1]_.

    Each layer is `marginalized_linear` of the layer before, followed by ``tanh``; the layers are
    learned one after the other, each in closed form.

    Parameters
    ----------
    x : array
        (N, features).
    layers : int
        How many.
    dropout, sigma
        See `marginalized_linear`; the same for each layer.

    Returns
    -------
    list of ndarray
        (N, features) after each layer.

    References
    ----------
    .. [1] M. Chen, Z. Xu, K. Weinberger, F. Sha, "Marginalized denoising autoencoders for domain
       adaptation", ICML 2012, section 3.3.
    """
    made: list[npt.NDArray[np.float64]] = []
    before = np.asarray(x, np.float64)
    for _ in range(layers):
        before = np.tanh(marginalized_linear(before, dropout=dropout, sigma=sigma)(before))
        made.append(before)
    return made
