"""The Denoise panel follows the image that is selected, until somebody chooses one in it."""

import pytest

from .conftest import PLUGIN


def test_a_panel_that_was_there_first_takes_the_selected_image(viewer, open_panel):
    panel = open_panel("Denoise")
    for _ in range(2):
        viewer.open_sample(PLUGIN, "mitochondria")
        assert panel.layer.value is viewer.layers.selection.active
        for layer in [*viewer.layers, *viewer.layers]:
            viewer.layers.selection.active = layer
            assert panel.layer.value is layer
        viewer.layers.clear()
        assert panel.layer.value is None


@pytest.mark.parametrize("chosen", [False, True])
def test_it_follows_again_once_its_image_is_gone(viewer, panel, run, small_image, chosen):
    first = viewer.add_image(small_image, name="A")
    if chosen:
        viewer.add_image(small_image, name="other")
        panel.layer.value = first
        viewer.layers.remove("other")
    run(panel)
    assert panel.layer.value is first
    viewer.layers.remove(first)
    assert panel.layer.value is viewer.layers["A denoised"]
    second = viewer.add_image(small_image, name="B")
    assert panel.layer.value is second


def test_a_choice_stays_while_layers_come_and_go_and_are_renamed(viewer, open_panel, small_image):
    panel = open_panel("Denoise")
    layers = [viewer.add_image(small_image, name=name) for name in "abc"]
    panel.layer.value = layers[0]
    layers[0].name = "control"
    viewer.layers.selection.active = layers[1]
    viewer.layers.remove(layers[2])
    viewer.add_image(small_image, name="d")
    assert panel.layer.value is layers[0]
