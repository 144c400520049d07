"""The scripts that train the models that ship: what they make of images and of models."""

import dataclasses
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.io import imread, imsave

from napari_ae_denoise import Denoiser
from napari_ae_denoise.card import Card
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder

FOLDER = Path(__file__).parents[1] / "training"


@pytest.fixture(scope="module")
def train():
    return runpy.run_path(str(FOLDER / "train.py"))


@pytest.fixture(scope="module")
def textures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))  # it takes a function of train.py, as a script does
        return runpy.run_path(str(FOLDER / "textures.py"))


@pytest.fixture
def shallow():
    """Return an untrained network of the family that ships, of two blocks a level."""
    spec = dataclasses.replace(PRESETS["residual-large"], widths=(8, 12), blocks=2)
    torch.manual_seed(0)
    return Denoiser(ConvAutoencoder(spec), Card(name="shallow", network=spec))


@pytest.fixture
def photographs(tmp_path):
    """Return a folder with a colour image of 400 x 330 pixels and a gray one."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (("a", (330, 400, 3)), ("b", (350, 340))):
        image = rng.integers(60, 190, shape, np.uint8)
        imsave(folder / f"{name}.png", image, check_contrast=False)
    return folder


@pytest.mark.parametrize("blocks", [2, 3, 4, 5])
def test_added_blocks_compute_nothing_at_first(train, shallow, blocks):
    deep = train["deeper"](shallow, blocks)
    assert deep.card.network.blocks == blocks
    image = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(deep.network(image), shallow.network(image), rtol=0, atol=1e-6)


def test_added_blocks_learn(train, shallow):
    deep = train["deeper"](shallow, 4)
    deep.network.requires_grad_(True)
    image = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    for _ in range(2):  # the last convolution of a new block first, and then those before it
        deep.network.zero_grad()
        deep.network(image).square().mean().backward()
        with torch.no_grad():
            for weight in deep.network.parameters():
                weight -= 0.1 * weight.grad
    named = dict(deep.network.named_parameters())
    blocks = {name: weight.grad for name, weight in named.items() if ".body." in name}
    assert all(grad.abs().max() > 0 for grad in blocks.values())


def test_blocks_are_not_taken_away(train, shallow):
    with pytest.raises(SystemExit, match="2 blocks a level: --blocks 1 would lose some"):
        train["deeper"](shallow, 1)


def test_in_colour_a_gray_image_becomes_what_the_gray_model_makes_of_it(train, shallow):
    colours = train["in_colour"](shallow)
    assert colours.card.axes == "YXC"
    gray = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = shallow.network(gray).expand(1, 3, 32, 48)
        found = colours.network(gray.expand(1, 3, 32, 48))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_images_are_read_at_each_scale(train, photographs):
    gray = train["clean_images"]([photographs], rgb=False, scales=[1, 2, 3])
    # a third of either has less than 160 pixels along a side, and is left out
    assert [i.shape for i in gray] == [(330, 400), (165, 200), (350, 340), (175, 170)]
    assert all(i.dtype == np.uint8 for i in gray)
    small = train["clean_images"]([photographs], rgb=False, scales=[1, 2], longest=350)
    assert [i.shape for i in small] == [(165, 200), (350, 340), (175, 170)]
    assert [i.shape for i in train["clean_images"]([photographs], rgb=True, scales=[1])] == [
        (330, 400, 3)
    ]


def test_colours_and_grays(train, photographs):
    def images(**how):
        return train["clean_images"]([photographs], rgb=True, scales=[1, 2], **how)

    colours, with_grays = images(), images(grays=3)
    assert [i.shape for i in colours] == [(330, 400, 3), (165, 200, 3)]
    # the gray file too, and every third copy once more
    assert [i.shape for i in with_grays[2:4]] == [(350, 340, 3), (175, 170, 3)]
    assert [i.shape for i in with_grays[4:]] == [(330, 400, 3), (175, 170, 3)]
    for one, same in zip(colours, with_grays, strict=False):
        np.testing.assert_array_equal(one, same)
    for gray in with_grays[2:]:
        assert not np.ptp(gray, axis=2).any()
    luminance = colours[0] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(with_grays[4][..., 0], luminance, atol=0.51)


def test_images_of_16_bits_and_with_alpha(train, tmp_path):
    ramp = np.linspace(0, 1, 200 * 210).reshape(200, 210)
    imsave(tmp_path / "16.png", (65535 * ramp).astype(np.uint16), check_contrast=False)
    with_alpha = np.stack([255 * ramp, np.full_like(ramp, 9)], axis=-1).astype(np.uint8)
    Image.fromarray(with_alpha, "LA").save(tmp_path / "alpha.png")
    for image in train["clean_images"]([tmp_path], rgb=False, scales=[1]):
        np.testing.assert_allclose(image, 255 * ramp, atol=1)


def test_a_folder_without_images_is_refused(train, tmp_path):
    with pytest.raises(SystemExit, match="There are no images in"):
        train["clean_images"]([tmp_path], rgb=False, scales=[1])


def test_textures_have_fine_detail_and_are_the_same_again(photographs, tmp_path):
    words = [sys.executable, str(FOLDER / "textures.py"), str(photographs), "--size", "192"]
    for name in ("once", "again"):
        subprocess.run([*words, "--count", "3", "--out", str(tmp_path / name)], check=True)
    files = sorted((tmp_path / "once").iterdir())
    assert [f.name for f in files] == ["0000.png", "0001.png", "0002.png"]
    for file in files:
        image = imread(file)
        assert (image.shape, image.dtype) == ((192, 192, 3), np.uint8)
        np.testing.assert_array_equal(image, imread(tmp_path / "again" / file.name))


def test_a_folder_without_large_photographs_is_refused(photographs, tmp_path):
    words = [sys.executable, str(FOLDER / "textures.py"), str(photographs), "--size", "500"]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "500 x 500 pixels" in done.stderr


def peak(image):
    """Return the frequency, in periods a pixel, at which an image has most power."""
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    y, x = (np.fft.fftfreq(len(image))[i] for i in np.unravel_index(power.argmax(), power.shape))
    return np.hypot(y, x)


class Drawn:
    """A generator of random numbers whose periods and bends are told."""

    def __init__(self, period, seed):
        self._rng, self._period = np.random.default_rng(seed), period
        self.standard_normal = self._rng.standard_normal

    def uniform(self, low, high, *size):
        if (low, high) == (np.log(2.2), np.log(14)):
            return np.log(self._period)
        return 0.0 if (low, high) == (0, 12) else self._rng.uniform(low, high, *size)


@pytest.mark.parametrize("period", [2.5, 4.0, 9.0])
def test_stripes_have_the_period_that_is_drawn(textures, period):
    stripes = textures["grating"](Drawn(period, seed=0), 192)
    assert np.abs(stripes).max() <= 1.0001
    assert peak(stripes) == pytest.approx(1 / period, abs=1.5 / 192)


def test_a_surface_is_striped(textures):
    plain = np.full((192, 192, 3), 128, np.uint8)
    for seed in range(4):
        image = textures["textured"](np.random.default_rng(seed), plain)
        assert abs(image.mean() - 128) < 12  # as bright on the whole as before
        assert peak(image.mean(axis=2)) > 1 / 30  # and not blotches alone


def script(*words):
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=280, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_model_is_trained_from_a_folder_resumed_and_described(photographs, tmp_path):
    out = tmp_path / "mine.safetensors"
    how = ["--rgb", "--grays", 2, "--noise", "photograph", "--widths", 8, 12, "--patches", 32]
    command = [FOLDER / "train.py", photographs, "--name", "mine", "--out", out, *how]
    for minutes in (0.03, 0.06):
        code, _, said = script(*command, "--batch", 4, "--minutes", minutes)
        assert code == 0, said
    assert out.with_suffix(".state").exists()
    trained = Denoiser.load(out)
    assert trained.card.noise == "photograph"
    assert trained.card.network.channels == 3
    assert trained.card.training["seconds"] == pytest.approx(3.6, abs=2)  # of both, not anew
    code, told, said = script(
        *[FOLDER / "describe.py", out, "--description", "Of two photographs", "--licence", "CC0"],
        *["--clean", "own", photographs],
    )
    assert code == 0, said
    described = Denoiser.load(out).card
    assert (described.description, described.licence) == ("Of two photographs", "CC0")
    for sigma in (15, 25, 50):
        assert f"own_psnr_sigma_{sigma}: {described.metrics[f'own_psnr_sigma_{sigma}']:.2f}" in told
    assert described.training["preset"]["widths"] == [8, 12]
    assert torch.equal(
        next(Denoiser.load(out).network.parameters()), next(trained.network.parameters())
    )
