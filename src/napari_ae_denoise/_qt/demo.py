"""The demo in a window: noisy, denoised and latent side by side, and the Denoise panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.denoise_widget import DenoiseWidget
from napari_ae_denoise._qt.layers import add_image, take
from napari_ae_denoise._qt.opening import show_panel
from napari_ae_denoise._qt.shelf import shelf_of

if TYPE_CHECKING:
    import napari

    from napari_ae_denoise.demo import Demo

_LAYOUT_MILLISECONDS = 300


def show_demo(demo: Demo) -> None:
    """Open napari on a demo and stay until its window is closed."""
    import napari

    viewer = napari.Viewer(title="napari-ae-denoise: a noisy micrograph, denoised")
    fill(viewer, demo)
    napari.run()


def fill(viewer: napari.Viewer, demo: Demo) -> DenoiseWidget:
    """Put the layers of a demo beside each other, and dock the Denoise panel."""
    shelf_of(viewer).add(demo.denoiser)
    low, high = demo.limits
    noisy = add_image(
        viewer,
        data=demo.noisy,
        name=f"noisy ({demo.noisy_psnr:.1f} dB)",
        scale=demo.scale,
        units=(demo.unit,) * len(demo.scale),
        axis_labels=("y", "x"),
        contrast_limits=(low, high),
    )
    source = take(noisy)
    name = f"denoised ({demo.denoised_psnr:.1f} dB)"
    add_image(viewer, **source.denoised_layer(demo.denoised, name, {}))
    latent = source.latent_layer(demo.code, demo.stride, "latent code", {})
    shown = np.percentile(demo.code[demo.channel], [0.5, 99.5])
    add_image(viewer, **{**latent, "contrast_limits": (float(shown[0]), float(shown[1]))})
    viewer.dims.set_point(0, demo.channel)
    canvas = getattr(viewer, "canvas", viewer)  # napari 0.9 moved these two there
    canvas.grid.shape = (1, 3)
    canvas.grid.enabled = True
    getattr(canvas, "overlays", canvas).scale_bar.visible = True
    panel: DenoiseWidget = show_panel(viewer, DenoiseWidget, "Denoise")
    panel.layer.value = noisy
    # the canvas has its size only when the window has been laid out
    timer = QTimer(panel)
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: viewer.reset_view())
    timer.start(_LAYOUT_MILLISECONDS)
    return panel
