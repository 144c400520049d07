"""Denoise an image, measure it, look at its code, and do it lazily; in cells.

    python examples/denoise_and_compare.py

The notebook beside it is made from this file by scripts/notebook.py.
"""

# %% [markdown]
# # Denoise an image, measure it, and look at its code
#
# Needs `napari-ae-denoise` only: neither napari nor a display. This notebook is made from
# `examples/denoise_and_compare.py` by `scripts/notebook.py`, and runs in a minute on a laptop.

# %%
import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from skimage.data import camera

from napari_ae_denoise import Denoiser, add_gaussian_noise, bundled_models, psnr, ssim

clean = camera()[128:384, 128:384]
noisy = add_gaussian_noise(clean, 25, seed=0)
print(f"{noisy.shape}, {noisy.dtype}: PSNR {psnr(clean, noisy, data_range=255):.2f} dB")

# %% [markdown]
# ## Denoise
#
# Some models come with the package. `Denoiser.load` takes their names, or a file.

# %%
print(", ".join(bundled_models()))

denoiser = Denoiser.load("natural-gray")
denoised = denoiser.denoise(noisy)  # the size and the type of its input
for name, image in (("noisy", noisy), ("denoised", denoised)):
    decibels, likeness = (measure(clean, image, data_range=255) for measure in (psnr, ssim))
    print(f"{name:<9} PSNR {decibels:.2f} dB, SSIM {likeness:.3f}")

# %%
figure, places = plt.subplots(1, 4, figsize=(12, 3.2), dpi=72, layout="constrained")
removed = noisy.astype(np.float32) - denoised
shown = {"clean": clean, "noisy": noisy, "denoised": denoised, "removed noise": removed}
for place, (name, image) in zip(places, shown.items(), strict=True):
    limits = (-75, 75) if name == "removed noise" else (0, 255)
    place.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
    place.set_title(name)
    place.axis("off")
figure.savefig("compare.png")
plt.show()

# %% [markdown]
# The removed noise should show nothing of the image.
#
# ## The latent code
#
# The encoder's output, `(channels, Y/stride, X/stride)`.

# %%
code = denoiser.encode(noisy)
print(f"code of {noisy.shape}: {code.shape}, stride {denoiser.stride}")

strongest = np.argsort(code.std(axis=(1, 2)))[-4:]
figure, places = plt.subplots(1, 4, figsize=(12, 3.2), dpi=72, layout="constrained")
for place, unit in zip(places, strongest, strict=True):
    place.imshow(code[unit], cmap="gray")
    place.set_title(f"unit {unit}")
    place.axis("off")
figure.savefig("code.png")
plt.show()

# %% [markdown]
# ## Larger than memory
#
# A dask array in gives a dask array out, computed when it is asked for, tile by tile; the numbers
# do not depend on the chunks.

# %%
lazy = denoiser.denoise(da.from_array(noisy, chunks=100))
print(lazy)
print("largest difference:", int(np.abs(lazy.compute().astype(int) - denoised).max()))
