import numpy as np
import pytest

from napari_ae_denoise import estimate_sigma, fashion_mnist, samples
from napari_ae_denoise.metrics import data_range_of, psnr

MAKERS = [samples.photograph, samples.fluorescence, samples.z_stack]
LAYERS = [samples.photograph_layers, samples.fluorescence_layers, samples.z_stack_layers]


@pytest.mark.parametrize("make", MAKERS)
def test_samples_are_the_same_each_time(make):
    first, second = make(), make()
    np.testing.assert_array_equal(first.noisy, second.noisy)
    np.testing.assert_array_equal(first.noisy_again, second.noisy_again)


@pytest.mark.parametrize("make", MAKERS)
def test_samples_are_visibly_noisy(make):
    sample = make()
    assert sample.noisy.shape == sample.clean.shape == sample.noisy_again.shape
    assert sample.noisy.dtype == sample.clean.dtype
    level = psnr(sample.clean, sample.noisy, data_range=data_range_of(sample.clean))
    assert 15 < level < 25


@pytest.mark.parametrize("make", MAKERS)
def test_the_two_exposures_have_independent_noise(make):
    sample = make()
    clean = sample.clean.astype(float)
    # away from the ends of the range, where clipping pulls both the same way
    inside = (clean > np.percentile(clean, 30)) & (clean < np.percentile(clean, 70))
    a = (sample.noisy - clean)[inside]
    b = (sample.noisy_again - clean)[inside]
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02


def test_the_photograph_has_the_noise_that_it_says():
    sample = samples.photograph()
    assert sample.noisy.shape == (512, 512, 3)
    assert sample.noisy.dtype == np.uint8
    inside = (sample.clean > 100) & (sample.clean < 155)
    error = sample.noisy.astype(float) - sample.clean
    assert error[inside].std() == pytest.approx(samples.PHOTOGRAPH_SIGMA, rel=0.03)


def test_the_fluorescence_image_has_more_noise_where_it_is_bright():
    sample = samples.fluorescence()
    error = sample.noisy.astype(float) - sample.clean
    dark = sample.clean < np.percentile(sample.clean, 20)
    bright = sample.clean > np.percentile(sample.clean, 95)
    assert error[bright].std() > 2 * error[dark].std()
    assert abs(error.mean()) < 1
    assert estimate_sigma(sample.noisy) > 3 * estimate_sigma(sample.clean)


def test_each_plane_of_the_stack_is_in_focus_somewhere_else():
    clean = samples.z_stack().clean.astype(float)
    assert clean.shape == (24, 256, 256)
    sharp = [np.abs(np.diff(plane, axis=0)).mean() for plane in clean]
    assert int(np.argmax(sharp)) in (5, 12, 18)
    assert min(sharp[5], sharp[12], sharp[18]) > 1.5 * max(sharp[0], sharp[23])


@pytest.mark.parametrize("make", LAYERS)
def test_layer_data_is_what_napari_takes(make):
    ((data, how, kind),) = make()
    assert kind == "image"
    axes = data.ndim - bool(how.get("rgb"))
    assert len(how["scale"]) == len(how["units"]) == len(how["axis_labels"]) == axes
    assert how["name"]
    if not how.get("rgb"):
        low, high = how["contrast_limits"]
        assert data.min() <= low < high <= data.max()


def test_the_stack_has_its_scale_in_micrometers():
    ((_, how, _),) = samples.z_stack_layers()
    assert how["scale"] == samples.STACK_SCALE
    assert set(how["units"]) == {"micrometer"}
    assert how["axis_labels"] == ("z", "y", "x")


def test_fashion_mnist_comes_noisy_and_clean(small_fashion_mnist):
    clean, noisy = samples.fashion_mnist_layers()
    assert clean[0].shape == noisy[0].shape == (30, 28, 28)
    assert (clean[1]["name"], noisy[1]["name"]) == ("Fashion-MNIST clean", "Fashion-MNIST noisy")
    assert clean[0].max() == 1.0
    assert noisy[1]["axis_labels"] == ("n", "y", "x")


@pytest.fixture
def small_fashion_mnist(tmp_path, monkeypatch):
    from test_fashion_mnist import write_files

    write_files(tmp_path)
    monkeypatch.setenv(fashion_mnist.FOLDER_VARIABLE, str(tmp_path))


def test_the_micrograph_is_real_and_fits_its_clean_partner():
    sample = samples.mitochondria()
    assert sample.noisy.shape == sample.clean.shape == (1024, 1024)
    assert sample.noisy.dtype == sample.clean.dtype == np.uint8
    blocks = [
        image.reshape(64, 16, 64, 16).mean(axis=(1, 3)) for image in (sample.noisy, sample.clean)
    ]
    slope, offset = np.polyfit(blocks[1].ravel(), blocks[0].ravel(), 1)
    assert slope == pytest.approx(1, abs=0.05)
    assert offset == pytest.approx(0, abs=1)
    assert [name for _, how, _ in samples.mitochondria_layers() for name in [how["name"]]] == [
        "mitochondria, clean",
        "mitochondria",
    ]
