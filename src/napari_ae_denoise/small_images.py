"""Batches of stacks of small images, which are seen whole: cut from one array, all at once.

`PatchSampler` cuts patch by patch, which takes as long as a small network takes to learn them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.batches import Batch, draw_sigmas, turned, usual_errors
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.training_data import as_list

if TYPE_CHECKING:
    from napari_ae_denoise.training_data import TrainingData


def choose_sampler(
    data: TrainingData, *, channels: int, stride: int, patch_size: int, **how: Any
) -> PatchSampler:
    """Return the sampler that is fastest for some data; the parameters are `PatchSampler`'s."""
    seen_whole = is_small_stack(data, channels, stride, patch_size)
    seen_whole = seen_whole and (data.kind != "clean" or how.get("noise", "gaussian") == "gaussian")
    kind = StackSampler if seen_whole else PatchSampler
    return kind(data, channels=channels, stride=stride, patch_size=patch_size, **how)


def is_small_stack(data: TrainingData, channels: int, stride: int, patch_size: int) -> bool:
    """Return whether the data are one stack of gray images in memory that fit in a patch."""
    sides = [as_list(side) for side in data.sides]
    if data.kind == "noisy" or any(len(side) > 1 for side in sides):
        return False
    arrays = [side[0] for side in sides]
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return False
    layout = plane_layout(arrays[0].shape, data.axes, network_channels=channels)
    return (
        layout.planes > 1
        and layout.axes.endswith("YX")
        and "C" not in layout.axes
        and all(side <= patch_size and side % stride == 0 for side in layout.plane_shape)
        and all(np.isfinite(array).all() for array in arrays)
    )


class StackSampler(PatchSampler):
    """A `PatchSampler` for one stack of small gray images in memory.

    Without augmentation its batches are the same numbers; with it, images are turned all at once,
    so that other random numbers are drawn.
    """

    def __init__(self, data: TrainingData, **how: Any) -> None:
        super().__init__(data, **how)
        first, second = (as_list(side)[0] for side in data.sides)
        shape = (-1, 1, *self._sources[0].layout.plane_shape)
        self._images, self._partners = first.reshape(shape), second.reshape(shape)
        self._greys = self._sources[0].greys(0)
        self._planes = np.array([area.plane for area in self._areas])

    def batch(self, step: int, patch_size: int | None = None) -> Batch:
        """Return the batch of a step; see `PatchSampler.batch`."""
        if patch_size not in (None, self._patch_size):
            return super().batch(step, patch_size)
        count = self._batch_size
        rng = np.random.default_rng([self._seed, step])
        planes = self._planes[[self._passes.place(step * count + n) for n in range(count)]]
        drawn = draw_sigmas(self._sigma, count, rng)
        sigmas = drawn * self._greys.sigma_unit
        maps = self._greys.grey_maps(sigmas)
        clean = maps.apply(self._partners[planes])  # (N, 1, Y, X)
        if self._synthetic:
            noise = rng.standard_normal(clean.shape, dtype=np.float32)
            noise *= (sigmas / maps.scale).astype(np.float32)[:, None, None, None]
            noisy = clean + noise
            if self._clip:
                low, high = (maps.apply(end) for end in self._greys.limits)
                noisy = np.clip(noisy, low, high, out=noisy)
        else:
            noisy = maps.apply(self._images[planes])
        if self._augment:
            noisy, clean = _turned(noisy, clean, rng)
        unit = (maps.scale / self._greys.psnr_range).astype(np.float32)
        usual = usual_errors(drawn, self._sigma) if self._synthetic else None
        return Batch(noisy, clean, unit, None, usual)


def _turned(
    noisy: npt.NDArray[np.float32], clean: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Turn or mirror each pair its own way."""
    pair = np.stack([noisy, clean])  # (2, N, 1, Y, X)
    ways = rng.integers(8, size=len(noisy))
    for way in range(1, 8):
        pair[:, ways == way] = turned(pair[:, ways == way], way)
    return pair[0], pair[1]
