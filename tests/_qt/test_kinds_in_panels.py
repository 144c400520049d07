"""Every kind of autoencoder, from the Train panel to layers; and codes as colours and scatter."""

import numpy as np
import pytest

from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.kinds import KINDS
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder


@pytest.fixture(scope="module")
def large_image():
    y, x = np.mgrid[:512, :512]
    waves = 120 + 60 * np.sin(x / 17) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 10, waves.shape)
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_on_an_image_and_gives_a_denoised_and_a_latent_layer(
    viewer, open_panel, run, large_image, kind
):
    viewer.add_image(large_image, name="waves")
    train, denoise = open_panel("Train autoencoder"), open_panel("Denoise")
    fields = train.fields
    fields.family.kind.value = kind
    fields.length_unit.value, fields.length.value = "steps", 3
    fields.batch_size.value, fields.patch_size.value = 2, 32
    assert fields.family.sentence.text() == KINDS[kind].sentence
    run(train)
    assert train.trained is not None, train.bar.status.text()
    assert train.trained.card.training["kind"] == kind
    assert denoise.model.value == f"waves {'residual' if kind == 'denoising' else kind}"
    denoise.latent.value = True
    run(denoise)
    network = train.trained.network
    names = [layer.name for layer in viewer.layers]
    code = "waves latent mean" if network.spec.variational else "waves latent"
    assert {"waves denoised", code} <= set(names)
    assert ("waves latent variance" in names) == network.spec.variational
    assert viewer.layers["waves denoised"].data.shape == (512, 512)
    grid = 512 // network.stride
    made = viewer.layers[code]
    assert made.data.shape == (network.spec.code_width, grid, grid)
    assert len(made.metadata["napari_ae_denoise"]["units"]) == network.spec.code_width
    low, high = made.contrast_limits
    assert low < high
    np.testing.assert_array_equal(made.scale, (1, network.stride, network.stride))


def test_the_fields_of_a_kind_are_shown_and_proposed(viewer, open_panel, large_image):
    viewer.add_image(large_image)
    panel = open_panel("Train autoencoder")
    panel.fold.expand()
    family = panel.fields.family

    def shown(field):
        return field.native.isVisibleTo(panel)

    assert not shown(family.weight)
    family.kind.value = "sparse"
    assert panel.fields.preset.value == "classic"
    assert shown(family.penalty)
    assert shown(family.target)
    assert family.weight.value == KINDS["sparse"].penalties["sparsity"]
    family.penalty.value = "activity-l1"
    assert not shown(family.target)
    family.kind.value = "variational"
    assert not shown(family.penalty)
    assert shown(family.weight)
    assert shown(panel.fields.noise_rows[0])
    family.kind.value = "autoencoder"
    assert not shown(panel.fields.noise_rows[0])
    family.kind.value = "under-complete"
    assert "under-complete" in panel.network_note.text()
    family.code_channels.value = 64
    assert "over-complete" in panel.network_note.text()


@pytest.mark.parametrize(
    ("preset", "optimizer", "taken"),
    [
        ("residual", "auto", "muon"),
        ("dense", "auto", "adam"),
        ("dense", "muon", "muon"),
        ("residual", "adam", "adam"),
    ],
)
def test_the_optimizer_follows_the_network_until_one_is_chosen(
    viewer, open_panel, large_image, preset, optimizer, taken
):
    viewer.add_image(large_image)
    fields = open_panel("Train autoencoder").fields
    fields.preset.value = preset
    assert fields.optimizer.value == "auto"
    fields.optimizer.value = optimizer
    assert fields.settings("model").optimizer == taken


def test_small_weights_of_penalties_are_kept_by_their_field(viewer, open_panel, large_image):
    viewer.add_image(large_image)
    family = open_panel("Train autoencoder").fields.family
    family.kind.value = "regularized"
    assert family.read()["weight"] == pytest.approx(1e-5)
    family.penalty.value = "weights-l1"
    assert family.read()["weight"] == pytest.approx(1e-6)


def test_what_cannot_be_trained_is_refused_before_it_starts(
    viewer, open_panel, run, notes, large_image
):
    viewer.add_image(large_image)
    panel = open_panel("Train autoencoder")
    panel.fields.family.kind.value = "marginalized"
    panel.fields.loss.value = "l1"
    run(panel)
    assert any("no curvature" in note and '"mse"' in note for note in notes())
    assert panel.trained is None
    assert panel.bar.start_button.isEnabled()


def on_the_shelf(panel, **spec):
    spec = NetworkSpec(**({"style": "plain", "widths": (4, 4)} | spec))
    return panel.shelf.add(Denoiser(ConvAutoencoder(spec), Card(network=spec, name="model")))


def test_three_components_are_colours_that_lie_over_the_image(viewer, open_panel, run, small_image):
    viewer.add_image(small_image, name="i", scale=(2, 3), units=("um", "um"))
    panel = open_panel("Denoise")
    panel.model.reset_choices()
    panel.model.value = on_the_shelf(panel)
    panel.latent.value = True
    panel.latents.view.value = "both"
    run(panel)
    colours, stack = viewer.layers["i latent components"], viewer.layers["i latent"]
    assert colours.rgb
    assert colours.data.shape == (24, 20, 3)
    np.testing.assert_array_equal(colours.scale, stack.scale[1:])
    np.testing.assert_array_equal(colours.translate, stack.translate[1:])
    assert colours.units == stack.units[1:]
    explained = colours.metadata["napari_ae_denoise"]["explained variance"]
    assert explained == sorted(explained, reverse=True)
    assert not panel.latents.button.isEnabled()  # the code of one image is no scatter


@pytest.mark.parametrize("labelled", [True, False])
def test_codes_of_a_stack_are_scattered_by_label(viewer, open_panel, run, press, labelled):
    images = np.random.default_rng(0).integers(0, 255, (12, 16, 16)).astype(np.uint8)
    labels = ["boot", "bag", "coat"] * 4
    metadata = {"labels": labels} if labelled else {}
    viewer.add_image(images, name="i", axis_labels=("n", "y", "x"), metadata=metadata)
    panel = open_panel("Denoise")
    spec = {"style": "dense", "widths": (8,), "code_channels": 4, "image_size": (16, 16)}
    panel.model.value = on_the_shelf(panel, **spec)
    assert not panel.latents.button.isEnabled()
    panel.latent.value = True
    run(panel)
    scatter = panel.latents._scatter
    assert scatter.coordinates.shape == (12, 2)
    assert (scatter.labels is not None) == labelled
    press(panel.latents.button)
    assert panel.latents.dialog.isVisible()
    panel.latents.dialog.close()


def test_images_of_another_size_are_refused_in_the_panel(
    viewer, open_panel, run, notes, small_image
):
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    panel.model.value = on_the_shelf(panel, style="dense", widths=(4,), image_size=(16, 16))
    run(panel)
    assert any("16 x 16" in note and "96 x 80" in note for note in notes())
    assert len(viewer.layers) == 1
