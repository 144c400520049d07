"""What the first image of a session must not wait for."""

import subprocess
import sys

FIRST = """
import sys
import numpy as np
from napari_ae_denoise import Denoiser, TrainingData, TrainSettings, train
from napari_ae_denoise.training_estimate import estimate_training

image = np.random.default_rng(0).normal(120, 25, (96, 96)).astype("f4")
Denoiser.load("natural-gray").denoise(image)
data, settings = TrainingData(clean=image), TrainSettings(steps=2, batch_size=2, device="cpu")
estimate_training(data, settings)
train(data, settings)
print(sorted({"sympy", "torch._dynamo"} & set(sys.modules)))
"""


def test_nothing_imports_the_compiler_of_torch():
    # Tensors that are made on its meta device, or copied from there, import sympy: 2 to 4 seconds
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
