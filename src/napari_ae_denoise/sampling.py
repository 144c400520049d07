"""Seeded batches of patches, drawn from what the user has to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.batches import Batch, Patch, draw_sigmas, stacked, turned, usual_errors
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.self_supervision import Scheme, blind_spot, recorrupted
from napari_ae_denoise.sources import Source, choose_scheme
from napari_ae_denoise.training_data import TrainingData, as_list

if TYPE_CHECKING:
    from napari_ae_denoise.normalization import Normalization

_SMALLEST_EPOCH = 50  # batches
_VALIDATION_PATCHES = 64
_VALIDATION_SEED = 0x5EED


@dataclass(frozen=True, slots=True)
class _Area:
    """A part of one plane that patches are cut from."""

    source: int
    plane: int
    rows: slice
    slots: int  # how many patches cover it once


class PatchSampler:
    """Batches of patches, the same for the same seed and step, from arrays that may be lazy.

    One pass over the data (an epoch) cuts, in random order, as many patches from each plane as
    cover it once, each at a random place; planes as small as a patch are seen whole, once each.

    Parameters
    ----------
    data : TrainingData
        Where to cut from.
    channels, stride : int
        Of the network.
    normalization : Normalization
        How grey values are mapped.
    sigma : tuple of float
        Range of synthetic noise (kind ``clean`` only), drawn per patch, weak noise more often.
    relative : bool
        Whether sigma is a fraction of each image's data range.
    patch_size : int
        Side of a patch in pixels; less for images that are smaller.
    batch_size : int
        Patches a batch.
    seed : int
        Decides everything random here.
    validation : float
        Fraction of the data that is held out: planes where there are at least ten, else the last
        rows of each plane. Images too small for that are validated on themselves.
    scheme : {"auto", "recorrupted", "blind-spot"}
        How pairs are made of noisy images alone (kind ``noisy`` only); see `TrainSettings`.
    noise_sigma : float, optional
        Of noisy images, in grey values; estimated by default (scheme ``recorrupted`` only).
    turn : bool
        Whether patches are mirrored and turned at random. A network that sees whole images of one
        size learns where things are.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        channels: int,
        stride: int,
        normalization: Normalization,
        sigma: tuple[float, float] = (0.0, 0.0),
        relative: bool = False,
        patch_size: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        validation: float = 0.1,
        scheme: Scheme = "auto",
        noise_sigma: float | None = None,
        turn: bool = True,
    ) -> None:
        self._turn = turn
        self._synthetic = data.kind == "clean"
        self._noise_sigma = noise_sigma
        self._sigma = sigma
        self._seed = seed
        self._stride = stride
        self._sources = []
        images, partners = (as_list(side) for side in data.sides)
        for number, (image, partner) in enumerate(zip(images, partners, strict=True)):
            layout = plane_layout(image.shape, data.axes, network_channels=channels)
            try:
                source = Source(
                    image,
                    partner,
                    layout,
                    normalization,
                    sigma,
                    relative,
                    synthetic=self._synthetic,
                )
            except DenoisingError as error:
                if len(images) == 1:
                    raise
                which = f"Image {number + 1} of {len(images)} (shape {tuple(image.shape)}): "
                raise DenoisingError(which + error.cause, error.remedy) from error
            self._sources.append(source)
        known = noise_sigma is not None
        self.scheme = (
            choose_scheme(scheme, self._sources, known=known) if data.kind == "noisy" else None
        )
        self.axes = self._sources[0].layout.axes
        self.invalid_pixels = sum(source.invalid_pixels() for source in self._sources)
        self._largest = tuple(
            max(source.layout.plane_shape[axis] for source in self._sources) for axis in (0, 1)
        )
        self._patch_size, self._batch_size = patch_size, batch_size
        self._areas, self._held_out = self._split(validation)
        self._ends = np.cumsum([area.slots for area in self._areas])
        self.steps_per_epoch = max(-(-int(self._ends[-1]) // batch_size), _SMALLEST_EPOCH)

    def patch_shape(self, size: int) -> tuple[int, int]:
        """Return height and width of patches of a size: multiples of the stride."""
        up = [min(size, n) for n in self._largest]
        height, width = (-(-n // self._stride) * self._stride for n in up)
        return height, width

    def _split(self, validation: float) -> tuple[list[_Area], list[_Area]]:
        """Share the planes, or their rows, between training and validation."""
        places = [
            (s, p) for s, source in enumerate(self._sources) for p in range(source.layout.planes)
        ]
        height, width = self.patch_shape(self._patch_size)

        def area(place: tuple[int, int], rows: slice) -> _Area:
            columns = self._sources[place[0]].layout.plane_shape[1]
            slots = max(1, round((rows.stop - rows.start) / height * columns / width))
            return _Area(*place, rows, slots)

        if validation > 0 and len(places) >= 10:
            order = np.random.default_rng([self._seed, _VALIDATION_SEED]).permutation(len(places))
            chosen = {int(i) for i in order[: max(1, round(validation * len(places)))]}
        else:
            chosen = set()
        train, held_out = [], []
        for number, place in enumerate(places):
            rows = self._sources[place[0]].layout.plane_shape[0]
            kept = rows - round(validation * rows)
            if number in chosen:
                held_out.append(area(place, slice(0, rows)))
            elif chosen or kept < height or rows - kept < 2 * self._stride:
                train.append(area(place, slice(0, rows)))
            else:
                train.append(area(place, slice(0, kept)))
                held_out.append(area(place, slice(kept, rows)))
        return train, held_out or train

    def batch(self, step: int, patch_size: int | None = None) -> Batch:
        """Return the batch of a step; the same for the same seed, step and size.

        Parameters
        ----------
        step : int
            Number of the step from the start of the training.
        patch_size : int, optional
            Another size; the number of patches changes so that the pixels a batch stay about the
            same.
        """
        size = patch_size or self._patch_size
        count = max(1, round(self._batch_size * (self._patch_size / size) ** 2))
        rng = np.random.default_rng([self._seed, step])
        total = int(self._ends[-1])
        first = step * count
        slots = [self._slot(first + i, total) for i in range(count)]
        areas = [self._areas[int(np.searchsorted(self._ends, s, side="right"))] for s in slots]
        shape = self.patch_shape(size)
        sigmas = draw_sigmas(self._sigma, count, rng)
        patches = [
            self._pair(a, shape, s, rng, turn=self._turn)
            for a, s in zip(areas, sigmas, strict=True)
        ]
        return stacked(patches, usual_errors(sigmas, self._sigma))

    def _slot(self, number: int, total: int) -> int:
        """Return the number-th slot of endless shuffled passes over all slots."""
        epoch, place = divmod(number, total)
        if getattr(self, "_order_of", None) != epoch:
            self._order_of = epoch
            self._order = np.random.default_rng([self._seed, epoch, total]).permutation(total)
        return int(self._order[place])

    def validation_batches(self) -> list[Batch]:
        """Return the held-out patches with fixed noise, spread evenly over the noise range."""
        rng = np.random.default_rng(_VALIDATION_SEED)
        shape = self.patch_shape(self._patch_size)
        pool = self._held_out
        count = min(_VALIDATION_PATCHES, max(sum(a.slots for a in pool), 8))
        sigmas = np.linspace(*self._sigma, count + 2)[1:-1]
        weights = np.array([a.slots for a in pool]) / sum(a.slots for a in pool)
        areas = [pool[int(i)] for i in rng.choice(len(pool), count, p=weights)]
        pairs = [
            self._pair(a, shape, s, rng, turn=False) for a, s in zip(areas, sigmas, strict=True)
        ]
        size = self._batch_size
        return [stacked(pairs[i : i + size]) for i in range(0, count, size)]

    def _pair(
        self,
        area: _Area,
        shape: tuple[int, int],
        sigma: float,
        rng: np.random.Generator,
        *,
        turn: bool = True,
    ) -> Patch:
        """Cut one patch."""
        source = self._sources[area.source]
        layout = source.layout
        window = (
            _place(rng, area.rows, shape[0]),
            _place(rng, slice(0, layout.plane_shape[1]), shape[1]),
        )
        greys = source.greys(area.plane)
        sigma *= greys.sigma_unit
        grey_map = greys.grey_map(sigma)
        clean = grey_map.apply(layout.read(source.partner, area.plane, *window))
        if self._synthetic:
            noise = rng.standard_normal(clean.shape, dtype=np.float32)
            noisy = clean + np.float32(sigma / grey_map.scale) * noise
        else:
            noisy = grey_map.apply(layout.read(source.image, area.plane, *window))
        middle = np.float32((grey_map.fill - grey_map.offset) / grey_map.scale)
        pair = np.stack([noisy, clean])  # (2, channels, Y, X)
        pair[:, ~np.isfinite(pair).all(axis=0)] = middle
        missing = [(0, want - have) for want, have in zip(shape, pair.shape[-2:], strict=True)]
        if missing != [(0, 0), (0, 0)]:
            pair = np.pad(pair, [(0, 0), (0, 0), *missing], mode="reflect")
        if turn:
            pair = turned(pair, int(rng.integers(8)))
        unit = grey_map.scale / greys.psnr_range
        if self.scheme is None:
            return Patch(pair[0], pair[1], unit)
        return self._self_supervised(pair[0], unit, grey_map.scale, area, rng)

    def _self_supervised(
        self,
        noisy: npt.NDArray[np.float32],
        unit: float,
        scale: float,
        area: _Area,
        rng: np.random.Generator,
    ) -> Patch:
        """Make a pair of a noisy patch alone."""
        if self.scheme == "blind-spot":
            seen, hidden = blind_spot(noisy, rng)
            return Patch(seen, noisy, unit, hidden)
        sigma = self._noise_sigma or self._sources[area.source].noise_sigma(area.plane)
        if sigma == 0:
            raise DenoisingError(
                "The estimated noise of a noisy image is 0: there is nothing to learn from.",
                "Give noise_sigma, choose the scheme blind-spot, or choose another image.",
            )
        return Patch(*recorrupted(noisy, sigma / scale, rng), unit)


def _place(rng: np.random.Generator, span: slice, length: int) -> slice:
    """Return a random place for a patch within a span; the whole span where it is shorter."""
    room = span.stop - span.start - length
    start = span.start + (int(rng.integers(room + 1)) if room > 0 else 0)
    return slice(start, min(start + length, span.stop))
