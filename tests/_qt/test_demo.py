import numpy as np

from napari_ae_denoise._qt.demo import fill
from napari_ae_denoise._qt.opening import show_panel
from napari_ae_denoise.demo import Demo


def test_the_demo_lies_side_by_side_with_the_panel_ready(viewer, untrained_classic, qtbot):
    noisy = np.random.default_rng(0).integers(0, 255, (64, 48)).astype(np.uint8)
    code = untrained_classic.encode(noisy)
    demo = Demo(noisy, noisy // 2, noisy, code, untrained_classic, (2.0, 2.0), "um", 15.0, 25.0)
    panel = fill(viewer, demo)
    assert [layer.name for layer in viewer.layers] == [
        "noisy (15.0 dB)",
        "denoised (25.0 dB)",
        "latent code",
    ]
    np.testing.assert_array_equal(viewer.layers[1].scale, viewer.layers[0].scale)
    np.testing.assert_array_equal(viewer.layers[2].scale, (1, 8, 8))
    assert getattr(viewer, "canvas", viewer).grid.enabled
    assert viewer.dims.point[0] == demo.channel
    assert panel.layer.value is viewer.layers[0]
    assert panel.models.chosen() is untrained_classic
    assert show_panel(viewer, type(panel), "Denoise") is panel  # as the command opens it
