"""Training on one noisy image alone: this package and careamics, for the same time on the CPU.

    python benchmarks/careamics.py NOISY CLEAN --careamics /path/to/python [--minutes 2]

careamics trains Noise2Void in a Python of its own, with its usual settings, for some minutes. Then
this package gets the seconds of CPU that careamics had: from nothing, and from a bundled model. The
clean image is for the PSNR (dB) only, at a data range of 255.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from napari_ae_denoise import Denoiser, TrainingData, TrainSettings, psnr, train
from napari_ae_denoise.devices import using_threads
from napari_ae_denoise.image_files import read_image

_CAREAMICS = """
import sys
import numpy as np, torch
torch.set_num_threads(1)
from careamics import CAREamist
from careamics.config import create_n2v_configuration
from pytorch_lightning.callbacks import Timer
folder, seconds = sys.argv[1], int(sys.argv[2])
noisy = np.load(folder + "/noisy.npy")
how = create_n2v_configuration("n2v", "array", "YX", [64, 64], 16, 1000)
careamist = CAREamist(how, work_dir=folder, callbacks=[Timer(duration=dict(seconds=seconds))])
careamist.train(train_source=noisy)
made = careamist.predict(source=noisy, data_type="array", axes="YX")
np.save(folder + "/made.npy", np.asarray(made).squeeze())
"""


def by_careamics(python: str, noisy: np.ndarray, minutes: float) -> tuple[np.ndarray, float]:
    """Return what careamics makes of an image, and the seconds of CPU that it took."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "noisy.npy", noisy)
        words = [python, "-c", _CAREAMICS, folder, str(round(60 * minutes))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return np.load(Path(folder) / "made.npy"), seconds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("noisy", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--careamics", required=True, help="Python that has careamics")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--model", default="microscopy", help="to fine-tune")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    noisy, clean = (np.asarray(read_image(p).array, np.float32) for p in (args.noisy, args.clean))
    print("| training | CPU s | PSNR, dB |\n|---|---|---|")

    def row(name: str, seconds: float, made: np.ndarray) -> None:
        found = psnr(clean, np.clip(made, 0, 255), data_range=255)
        print(f"| {name} | {seconds:.0f} | {found:.2f} |", flush=True)

    row("none: the noisy image", 0, noisy)
    made, seconds = by_careamics(args.careamics, noisy, args.minutes)
    row("careamics, Noise2Void", seconds, made)
    start = Denoiser.load(args.model)
    with using_threads(1):
        for name, model in (("from nothing", None), (f"from {args.model}", start)):
            began = time.process_time()
            settings = TrainSettings(minutes=seconds / 60)
            denoiser = train(TrainingData(noisy=noisy, axes="YX"), settings, start=model)
            spent = time.process_time() - began
            row(
                f"here, {name} ({denoiser.card.training['scheme']})", spent, denoiser.denoise(noisy)
            )
        row(f"{args.model}, as it is", 0, start.denoise(noisy))


if __name__ == "__main__":
    main()
