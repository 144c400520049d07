"""Seeded batches of patches, drawn from what the user has to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.batches import (
    Area,
    Batch,
    Patch,
    draw_sigmas,
    held_out_units,
    middle_place,
    random_place,
    stacked,
    usual_errors,
)
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.patch_order import Passes
from napari_ae_denoise.recent_chunks import RecentChunks, places_at_once
from napari_ae_denoise.self_supervision import Scheme, blind_spot, recorrupted
from napari_ae_denoise.sources import Source
from napari_ae_denoise.steps import look_for_stop
from napari_ae_denoise.training_data import TrainingData, as_list

if TYPE_CHECKING:
    from napari_ae_denoise.grey_map import GreyMap
    from napari_ae_denoise.normalization import Normalization
    from napari_ae_denoise.training_noise import NoiseKind

_SMALLEST_EPOCH = 50  # batches
_VALIDATION_PATCHES = 64
_VALIDATION_SEED = 0x5EED


class PatchSampler:
    """Batches of patches, the same for the same seed and step, from arrays that may be lazy.

    One pass over the data (an epoch) cuts, in random order, as many patches from each plane as
    cover it once, each at a random place; planes as small as a patch are seen whole, once each.
    Of lazy arrays that are too large to be kept some patches of a plane come soon after each other,
    so that a chunk is not read for each of them.

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
    noise : {"gaussian", "camera", "photograph"}
        Kind of synthetic noise; sigma is that of bright areas. See `unit_noise`.
    scheme : {"auto", "recorrupted", "blind-spot"}
        How pairs are made of noisy images alone (kind ``noisy`` only); see `TrainSettings`.
    noise_sigma : float, optional
        Of noisy images, in grey values; estimated by default (scheme ``recorrupted`` only).
    augment : bool
        Whether patches are mirrored and turned, each in one of eight ways.
    clip : bool
        Whether synthetic noise is clipped to the smallest and largest grey value of the image.
    apart : bool
        Whether several images are one that was taken apart: of all the same rows are held out then,
        for what one shows, its siblings show too.
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
        noise: NoiseKind = "gaussian",
        scheme: Scheme = "auto",
        noise_sigma: float | None = None,
        augment: bool = True,
        clip: bool = False,
        apart: bool = False,
    ) -> None:
        self._augment, self._clip, self._apart = augment, clip, apart
        self._synthetic = data.kind == "clean"
        self._noise_sigma = noise_sigma
        self._sigma = sigma
        self._seed = seed
        self._stride = stride
        self._sources = []
        chunks = RecentChunks()
        images, partners = ([chunks.of(a) for a in as_list(side)] for side in data.sides)
        for number, (image, partner) in enumerate(zip(images, partners, strict=True)):
            look_for_stop()
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
                    noise=noise,
                    clip=clip,
                )
            except DenoisingError as error:
                if len(images) == 1:
                    raise
                which = f"Image {number + 1} of {len(images)} (shape {tuple(image.shape)}): "
                raise DenoisingError(which + error.cause, error.remedy) from error
            self._sources.append(source)
        self.scheme: Scheme | None = None
        if data.kind == "noisy":
            self.scheme = scheme
            if scheme == "auto":
                known = noise_sigma is not None or all(s.recorruptible() for s in self._sources)
                self.scheme = "recorrupted" if known else "blind-spot"
        self.axes = self._sources[0].layout.axes
        self.invalid_pixels = sum(source.invalid_pixels() for source in self._sources)
        self._largest = tuple(
            max(source.layout.plane_shape[axis] for source in self._sources) for axis in (0, 1)
        )
        self._patch_size, self._batch_size = patch_size, batch_size
        self._areas, self._held_out = self._split(validation)
        ends = np.cumsum([area.slots for area in self._areas])
        self._passes = Passes(ends, seed, places_at_once([*images, *partners]))
        self.steps_per_epoch = max(-(-int(ends[-1]) // batch_size), _SMALLEST_EPOCH)

    def patch_shape(self, size: int) -> tuple[int, int]:
        """Return height and width of patches of a size: multiples of the stride."""
        up = [min(size, n) for n in self._largest]
        height, width = (-(-n // self._stride) * self._stride for n in up)
        return height, width

    def _split(self, validation: float) -> tuple[list[Area], list[Area]]:
        """Share the planes, or their rows, between training and validation."""
        places = [
            (s, p) for s, source in enumerate(self._sources) for p in range(source.layout.planes)
        ]
        height, width = self.patch_shape(self._patch_size)

        def area(place: tuple[int, int], rows: slice) -> Area:
            columns = self._sources[place[0]].layout.plane_shape[1]
            slots = max(1, round((rows.stop - rows.start) / height * columns / width))
            return Area(*place, rows, slots)

        if validation > 0 and len(places) >= 10 and not self._apart:
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
        areas = [self._areas[self._passes.place(step * count + i)] for i in range(count)]
        shape = self.patch_shape(size)
        sigmas = draw_sigmas(self._sigma, count, rng)
        patches = [self._pair(a, shape, s, rng) for a, s in zip(areas, sigmas, strict=True)]
        return stacked(patches, usual_errors(sigmas, self._sigma) if self._synthetic else None)

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
        usual = held_out_units(sigmas, self._sigma) if self._synthetic else None
        return [
            stacked(pairs[i : i + size], None if usual is None else usual[i : i + size])
            for i in range(0, count, size)
        ]

    def _pair(
        self,
        area: Area,
        shape: tuple[int, int],
        sigma: float,
        rng: np.random.Generator,
        *,
        turn: bool = True,
    ) -> Patch:
        """Cut one patch at a random place."""
        source = self._sources[area.source]
        window = (
            random_place(rng, area.rows, shape[0]),
            random_place(rng, slice(0, source.layout.plane_shape[1]), shape[1]),
        )
        pair, unit, grey_map = self._cut(area, window, sigma, rng)
        way = int(rng.integers(8)) if turn and self._augment else 0
        if self.scheme is None:
            patch = Patch(pair[0], pair[1], unit)
        else:
            patch = self._self_supervised(pair[0], unit, grey_map, area, rng)
        return patch.filled_up(shape).turned(way)

    def example(self, size: int) -> Patch:
        """Return a part of the data as a network in use sees it, always the same.

        The middle of a plane that is held out, or else of the middle plane; with synthetic noise of
        three quarters of the range. Of noisy images alone the target is the noisy part itself.
        """
        planes = {(a.source, a.plane) for a in self._areas}
        apart = [a for a in self._held_out if (a.source, a.plane) not in planes]
        area = apart[0] if apart else self._areas[len(self._areas) // 2]
        height, width = self._sources[area.source].layout.plane_shape
        shape = self.patch_shape(size)
        window = middle_place(height, shape[0]), middle_place(width, shape[1])
        low, high = self._sigma
        rng = np.random.default_rng(_VALIDATION_SEED)
        pair, unit, _ = self._cut(area, window, low + 0.75 * (high - low), rng)
        return Patch(pair[0], pair[1], unit).filled_up(shape)

    def _cut(
        self,
        area: Area,
        window: tuple[slice, slice],
        sigma: float,
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.float32], float, GreyMap]:
        """Return what is noisy and what is wanted in a window, (2, channels, Y, X) normalized.

        With it come the unit of `Patch` and the grey map.
        """
        source = self._sources[area.source]
        layout = source.layout
        greys = source.greys(area.plane)
        sigma *= greys.sigma_unit
        grey_map = greys.grey_map(sigma)
        grey = layout.read(source.partner, area.plane, *window)
        clean = grey_map.apply(grey)
        if self._synthetic:
            noise = source.draw_noise(area.plane, grey, sigma, rng)
            noisy = clean + np.asarray(noise / grey_map.scale, np.float32)
            if self._clip:
                noisy = np.clip(noisy, *grey_map.apply(np.array(greys.limits)))
        else:
            noisy = grey_map.apply(layout.read(source.image, area.plane, *window))
        middle = np.float32((grey_map.fill - grey_map.offset) / grey_map.scale)
        pair = np.stack([noisy, clean])
        pair[:, ~np.isfinite(pair).all(axis=0)] = middle
        return pair, grey_map.scale / greys.psnr_range, grey_map

    def _self_supervised(
        self,
        noisy: npt.NDArray[np.float32],
        unit: float,
        grey_map: GreyMap,
        area: Area,
        rng: np.random.Generator,
    ) -> Patch:
        """Make a pair of a noisy patch alone."""
        if self.scheme == "blind-spot":
            seen, hidden = blind_spot(noisy, rng)
            return Patch(seen, noisy, unit, hidden)
        source = self._sources[area.source]
        sigma = self._noise_sigma or source.noise_sigma(
            area.plane, noisy * grey_map.scale + grey_map.offset
        )
        if not np.any(sigma):
            raise DenoisingError(
                "The estimated noise of a noisy image is 0: there is nothing to learn from.",
                "Give noise_sigma, choose the scheme blind-spot, or choose another image.",
            )
        pair = recorrupted(noisy, sigma / grey_map.scale, rng, source.channel_noise)
        return Patch(*pair, unit)
