"""Which layer is a clean image that a result can be compared with: only where something says so."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from napari_ae_denoise._qt.glances import recall
from napari_ae_denoise._qt.layer_facts import full_resolution, layer_axes
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.provenance import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

_CLEAN = re.compile(r"(?<![a-z])(clean|ground[ _-]?truth|gt|reference)(?![a-z])", re.IGNORECASE)
_NOISY = re.compile("nois", re.IGNORECASE)


def reference_for(
    image: Image | None, layers: Sequence[Image], chosen: Image | None
) -> tuple[Image | None, str]:
    """Return a clean image of what a noisy one shows, and a sentence where that is to be checked.

    A layer of the same size may as well be another channel, or another noisy image.

    Parameters
    ----------
    image : Image or None
        The noisy layer.
    layers : sequence of Image
        Those of its shape.
    chosen : Image or None
        What is chosen now, which stays where it is as good.
    """
    others = [one for one in layers if one is not image and KEY not in one.metadata]
    named = [one for one in others if _CLEAN.search(one.name) and not _NOISY.search(one.name)]
    if named:
        of = "" if image is None else image.name
        return max(named, key=lambda one: (one is chosen, _alike(one.name, of))), ""
    seen = [one for one in others if _seen_clean(one)]
    if len(seen) == 1:
        return seen[0], (
            f'"{short(seen[0].name)}" is the Reference, for little noise was found in it. Choose '
            "another one if it does not show the same."
        )
    return None, (
        "Choose a clean image of the same size as Reference, such as a long exposure or an "
        "average of many frames; open one first, if it is not there."
    )


def _alike(name: str, other: str) -> int:
    """Return how many letters two names begin with alike."""
    pairs = zip(name, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _seen_clean(layer: Image) -> bool:
    """Return whether the layer was looked at before, and found not to be noisy."""
    glance = recall(full_resolution(layer), layer_axes(layer))
    return glance is not None and not glance.noisy and not glance.blank
