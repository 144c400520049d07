"""The whole way, as a user goes it: noise, train, denoise, latent, compare."""

import numpy as np
from skimage.data import camera

from napari_ae_denoise import psnr


def test_noise_train_denoise_latent_compare(viewer, open_panel, run):
    clean = camera()
    image = viewer.add_image(clean.copy(), name="camera", scale=(0.5, 0.5), units=("um", "um"))

    noise = open_panel("Add Gaussian noise")
    run(noise)
    noisy = viewer.layers["camera + noise 25"]

    train = open_panel("Train autoencoder")
    train.first.value = image
    train.fields.length_unit.value, train.fields.length.value = "steps", 150
    run(train)

    denoise = open_panel("Denoise")
    denoise.layer.value = noisy
    denoise.latent.value = True
    run(denoise)
    denoised, latent = viewer.layers["camera + noise 25 denoised"], viewer.layers[-1]

    before, after = (psnr(clean, layer.data, data_range=255) for layer in (noisy, denoised))
    assert after > before + 4
    np.testing.assert_array_equal(image.data, clean)
    assert denoised.data.dtype == clean.dtype
    np.testing.assert_array_equal(denoised.scale, image.scale)
    assert denoised.units == image.units
    assert latent.data.shape == (64, 128, 128)
    np.testing.assert_allclose(
        np.array(latent.extent.world)[:, 1:], np.array(image.extent.world), atol=0.5 * 4
    )

    compare = open_panel("Compare")
    compare.reference.value = image
    compare.images.value = [noisy, denoised]
    run(compare)
    figures = {name: float(value) for name, value, _ in compare.rows()}
    np.testing.assert_allclose(
        [figures[noisy.name], figures[denoised.name]], [before, after], atol=0.01
    )
