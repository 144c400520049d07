"""A denoiser as one function from grey values to grey values, for programs that have no tiles.

What `Denoiser.denoise` does around its network is done here in torch alone, so that it can be
written into the graph of another program: grey values are mapped, the image is mirrored beyond its
edges, and all of that is undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.normalization import Normalization


class GreyValues(nn.Module):
    """The network between two given grey values, which it sees as 0 and as 1.

    Parameters
    ----------
    network : ConvAutoencoder
        The network; it is not copied.
    """

    def __init__(self, network: ConvAutoencoder) -> None:
        super().__init__()
        self.network = network
        self._beyond = 0 if network.spec.edge == "zero" else network.halo

    def forward(self, image: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Denoise images of any height and width.

        Parameters
        ----------
        image : Tensor
            (N, channels, Y, X) float32, in grey values.
        low, high : Tensor
            Grey values, of shape () or (N, 1, 1, 1).

        Returns
        -------
        Tensor
            (N, channels, Y, X) float32, in grey values.
        """
        scale = torch.where(high > low, high - low, 1)  # a constant image stays what it is
        seen = self._mirrored(self._mirrored((image - low) / scale, 2), 3)
        made = self.network(seen)
        for axis in (2, 3):
            made = made.narrow(axis, self._beyond, image.shape[axis])
        return made * scale + low  # type: ignore[no-any-return]

    def _mirrored(self, image: Tensor, axis: int) -> Tensor:
        """Continue an axis beyond its ends, and to a multiple of the stride; as `tiling.reflect`.

        Written so that one graph holds for all sizes: no size becomes a number of Python's.
        """
        size, stride = image.shape[axis], self.network.stride
        whole = (size + stride - 1) // stride * stride
        wanted = torch.arange(whole + 2 * self._beyond, device=image.device) - self._beyond
        period = (2 * torch.arange(size, device=image.device)[-1:]).clamp(min=1)
        folded = torch.remainder(wanted, period)
        return image.index_select(axis, torch.minimum(folded, period - folded))


class FixedMap(nn.Module):
    """The network between two grey values that are its own: a normalization of kind ``fixed``.

    Parameters
    ----------
    network : ConvAutoencoder
        The network; it is not copied.
    normalization : Normalization
        Of kind ``fixed``.
    """

    low: Tensor
    high: Tensor

    def __init__(self, network: ConvAutoencoder, normalization: Normalization) -> None:
        super().__init__()
        self.between = GreyValues(network)
        offset = normalization.offset
        self.register_buffer("low", torch.tensor(offset), persistent=False)
        self.register_buffer("high", torch.tensor(offset + normalization.scale), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise (N, channels, Y, X) float32, in grey values."""
        return self.between(image, self.low, self.high)  # type: ignore[no-any-return]


_PARTS = 10_000  # of a percent: percentiles are rounded to them


class OwnPercentiles(nn.Module):
    """The network between two percentiles of each image, measured on all of its pixels.

    Parameters
    ----------
    network : ConvAutoencoder
        The network; it is not copied.
    normalization : Normalization
        Of kind ``percentile``.
    """

    def __init__(self, network: ConvAutoencoder, normalization: Normalization) -> None:
        super().__init__()
        self.between = GreyValues(network)
        self._percents = (normalization.low, normalization.high)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise (N, channels, Y, X) float32, in grey values; each of the N by itself."""
        ordered = image.flatten(1).sort(dim=1).values
        low, high = (self._percentile(ordered, percent) for percent in self._percents)
        least, most = ordered[:, :1], ordered[:, -1:]
        varied = high > low  # else the image is constant but for a few pixels
        low, high = torch.where(varied, low, least), torch.where(varied, high, most)
        return self.between(image, low[..., None, None], high[..., None, None])  # type: ignore[no-any-return]

    def _percentile(self, ordered: Tensor, percent: float) -> Tensor:
        """Return a percentile of ordered values (N, pixels), as numpy interpolates it: (N, 1)."""
        last = torch.arange(ordered.shape[1], device=ordered.device)[-1:]
        # whole numbers: Apple's GPUs have no float64, and in float32 places beyond 2**24 are lost
        place = last * round(percent * _PARTS)
        whole = 100 * _PARTS
        below = torch.div(place, whole, rounding_mode="floor")
        above = torch.minimum(below + 1, last)
        lower, upper = ordered.index_select(1, below), ordered.index_select(1, above)
        return lower + (upper - lower) * ((place - below * whole).to(ordered.dtype) / whole)


def whole_image(network: ConvAutoencoder, normalization: Normalization) -> nn.Module:
    """Return a denoiser as a function of the image alone."""
    maker = FixedMap if normalization.kind == "fixed" else OwnPercentiles
    return maker(network, normalization).eval().requires_grad_(False)


def from_records(network: Mapping[str, Any], normalization: Mapping[str, Any]) -> nn.Module:
    """Build what `whole_image` returns, its weights still random; for packages of bioimage.io.

    Parameters
    ----------
    network, normalization : mapping
        The numbers of a `NetworkSpec` and of a `Normalization`.
    """
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.networks import ConvAutoencoder

    card = Card.from_record({"network": network, "normalization": normalization})
    return whole_image(ConvAutoencoder(card.network), card.normalization)
