"""Fields that choose layers: they stay with a layer whatever happens to its name."""

import numpy as np
import pytest


@pytest.fixture
def three(viewer, small_image):
    return [viewer.add_image(small_image, name=f"exp{number}") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Denoise", "layer"),
        ("Train autoencoder", "first"),
        ("Compare", "reference"),
        ("Add Gaussian noise", "layer"),
    ],
)
def test_a_renamed_layer_stays_chosen(viewer, open_panel, three, name, field):
    panel = open_panel(name)
    chosen = getattr(panel, field)
    chosen.value = three[0]
    told = []
    chosen.changed.connect(told.append)
    three[0].name = "exp1 control"
    assert chosen.value is three[0]
    assert chosen.current_choice == "exp1 control"
    assert [layer.name for layer in chosen.choices] == ["exp3", "exp2", "exp1 control"]
    three[1].name = "exp1"
    viewer.layers.move(0, 3)
    assert chosen.value is three[0]
    assert told == []
    viewer.layers.remove(three[0])
    assert told == [chosen.value]
    assert chosen.value in three[1:]


def test_axes_that_were_typed_stay_while_layers_get_other_names(viewer, open_panel, small_image):
    stack = viewer.add_image(np.stack([small_image] * 3), name="s")
    panels = [open_panel(name) for name in ("Denoise", "Compare", "Add Gaussian noise")]
    train = open_panel("Train autoencoder")
    fields = [*(panel.axes for panel in panels), train.fields.axes]
    for axes in fields:
        axes.value = "TYX"
    stack.name = "series"
    assert [axes.value for axes in fields] == ["TYX"] * 4


def test_renamed_layers_stay_among_several(viewer, open_panel, three):
    compare, train = open_panel("Compare"), open_panel("Train autoencoder")
    train.images.source.value = "several layers"
    fields = compare.images, train.images._sides[0].many
    for field in fields:
        field.value = three[:2]
    train.fields.axes.value = "XY"
    told = []
    for field in fields:
        field.changed.connect(told.append)
    three[0].name = "control"
    for field in fields:
        assert {layer.name for layer in field.value} == {"control", "exp2"}
        assert {item.text() for item in field.native.selectedItems()} == {"control", "exp2"}
    assert told == []
    assert train.fields.axes.value == "XY"
    viewer.layers.remove(three[1])
    assert [field.value for field in fields] == [three[:1]] * 2
    assert told == [three[:1]] * 2
