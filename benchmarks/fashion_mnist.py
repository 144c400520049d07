"""The tutorial's training on Fashion-MNIST, in Keras and here, in one run.

Prints the seconds an epoch takes in both, measured in turn with the same number of threads, and
their ratio; and the PSNR of the test images after trainings that take the same time, the time of
the tutorial's 60 epochs here. Keras is run by a Python of its own: --keras /path/to/python, with
keras and tensorflow installed there. Fashion-MNIST must be on this computer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import numpy as np
import torch

from napari_ae_denoise import tutorial
from napari_ae_denoise.devices import using_threads
from napari_ae_denoise.fashion_mnist import find_fashion_mnist
from napari_ae_denoise.schedule import learning_rate
from napari_ae_denoise.training_run import TrainingRun

_EPOCH = 469  # steps of 128 images
_MARKS = (1, 3, 10, 30, 60)

TRAININGS = {
    "as-tutorial": {"as_tutorial": True},
    "default": {"as_tutorial": False},
    "better": {"as_tutorial": False, "network": "better"},
}

_KERAS = """
import gzip, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
threads, folder = int(sys.argv[1]), sys.argv[2]
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
import keras
from keras import layers

def images(name):
    blob = gzip.open(os.path.join(folder, name + "-images-idx3-ubyte.gz")).read()
    return np.frombuffer(blob, np.uint8, offset=16).reshape(-1, 28, 28, 1).astype("float32") / 255

def noisy(clean, seed):
    noise = np.random.default_rng(seed).standard_normal(clean.shape, dtype="float32")
    return np.clip(clean + 0.5 * noise, 0, 1)

def conv(filters, activation="relu"):
    return layers.Conv2D(filters, (3, 3), activation=activation, padding="same")

model = keras.Sequential([
    keras.Input((28, 28, 1)),
    conv(32), layers.MaxPooling2D((2, 2), padding="same"),
    conv(32), layers.MaxPooling2D((2, 2), padding="same"),
    conv(32), layers.UpSampling2D((2, 2)),
    conv(32), layers.UpSampling2D((2, 2)),
    conv(1, "sigmoid"),
])
model.compile(optimizer="adam", loss="mse")
x, t = images("train"), images("t10k")
y, u = noisy(x, 0), noisy(t, 1)
print("ready", keras.__version__, tf.__version__, flush=True)
for line in sys.stdin:
    count = int(line)  # images; 0 for the test
    if count == 0:
        print(float(np.mean((model.predict(u, batch_size=500, verbose=0) - t) ** 2)), flush=True)
        continue
    first = np.random.randint(len(x) - count + 1)
    part = slice(first, first + count)
    begin, cpu = time.perf_counter(), time.process_time()
    model.fit(y[part], x[part], batch_size=128, verbose=0)
    print(time.perf_counter() - begin, time.process_time() - cpu, flush=True)
"""


class Keras:
    """Keras in a process of its own, which trains when it is told to."""

    def __init__(self, python: str, threads: int) -> None:
        words = [python, "-c", _KERAS, str(threads), str(find_fashion_mnist())]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.versions = self._process.stdout.readline().split()[1:]

    def ask(self, images: int) -> list[float]:
        """Train on some images, return the seconds and CPU seconds; with 0 the test error."""
        self._process.stdin.write(f"{images}\n")
        self._process.stdin.flush()
        return [float(word) for word in self._process.stdout.readline().split()]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


class Ours:
    """A training of this package, step by step."""

    def __init__(self, *, as_tutorial: bool, network: str = "classic", epochs: float) -> None:
        data = tutorial.training_data(as_tutorial=as_tutorial)
        self.settings = tutorial.training_settings(
            as_tutorial=as_tutorial, network=network, epochs=epochs, device="cpu"
        )
        own = network == "classic"
        self.run = TrainingRun(data, self.settings, tutorial.untrained() if own else None, None)
        self.shown = tutorial.examples()

    @property
    def done(self) -> bool:
        """Whether all its epochs are over."""
        return self.run.fraction >= 1

    def steps(self, count: int) -> list[float]:
        """Take some steps and return the seconds and the CPU seconds."""
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.run.step(self.run.state.step, learning_rate(self.run.fraction, self.settings))
        return [time.perf_counter() - begin, time.process_time() - cpu]

    def error(self) -> float:
        """Return the mean squared error of the test images."""
        noisy = torch.from_numpy(self.shown.noisy[:, None])
        with self.run.state.averaged(), torch.inference_mode():
            made = torch.cat([self.run.network(part) for part in noisy.split(500)])
        return float(np.mean((made[:, 0].numpy() - self.shown.clean) ** 2))


def decibels(error: float) -> float:
    return -10 * np.log10(error)


def compare_speed(python: str, threads: int, laps: int, steps: int) -> None:
    """Print the seconds an epoch of Keras and of this package, taken in turn.

    On a machine with other work to do, the CPU seconds of one thread say more.
    """
    keras, ours = Keras(python, threads), Ours(as_tutorial=True, epochs=1000)
    taken = []  # (laps, Keras and ours, seconds and CPU seconds)
    for lap in range(laps + 1):
        pair = keras.ask(128 * steps), ours.steps(steps)
        if lap:  # the first one prepares
            taken.append(pair)
    keras.close()
    slow, fast = np.median(taken, axis=0) * _EPOCH / steps
    ratios = np.array([np.divide(*pair) for pair in taken])
    low, high = ratios.min(axis=0), ratios.max(axis=0)
    print(
        f"Keras {' with TensorFlow '.join(keras.versions)}, {threads} thread(s), medians of {laps} "
        f"laps of {steps} steps"
    )
    print("| | s/epoch | CPU s/epoch |\n|---|---|---|")
    for name, (seconds, cpu) in (("Keras", slow), ("as-tutorial here", fast)):
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} |")
    for what, one in (("", 0), ("CPU ", 1)):
        ratio = slow[one] / fast[one]
        print(
            f"{what}ratio {ratio:.2f} (single laps {low[one]:.2f} to {high[one]:.2f})", flush=True
        )


def compare_quality(epochs: int, names: list[str], limit: float) -> None:
    """Print what trainings reach in the time of the tutorial's epochs (of this process)."""
    print("| training | epochs | CPU s | test MSE | PSNR, dB |\n|---|---|---|---|---|", flush=True)
    for name in names:
        how = {**TRAININGS[name], "epochs": epochs}
        if limit:  # how many epochs the time is enough for
            trial = Ours(**how)
            trial.steps(20)
            begin = time.process_time()
            trial.steps(60)
            a_step = (time.process_time() - begin) / 60
            how["epochs"] = limit / a_step / trial.run.sampler.steps_per_epoch
        training = Ours(**how)
        begin, spent, per_epoch = time.process_time(), 0.0, training.run.sampler.steps_per_epoch
        while not training.done:
            training.steps(min(per_epoch, training.run.steps - training.run.state.step))
            spent += time.process_time() - begin
            done = training.run.state.step / per_epoch
            if training.done or (how["as_tutorial"] and round(done) in _MARKS):
                error = training.error()
                print(
                    f"| {name} | {done:.1f} | {spent:.0f} | {error:.5f} | {decibels(error):.2f} |",
                    flush=True,
                )
            begin = time.process_time()
        limit = limit or spent


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras", help="Python that has keras and tensorflow")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--laps", type=int, default=9)
    parser.add_argument("--steps", type=int, default=50, help="of a lap")
    parser.add_argument("--epochs", type=int, default=60, help="of the quality table; 0 for none")
    parser.add_argument(
        "--trainings", nargs="+", choices=TRAININGS, default=list(TRAININGS), help="default: all"
    )
    parser.add_argument(
        "--cpu-seconds",
        type=float,
        default=0.0,
        help="of each training; default: those of the first one's epochs",
    )
    args = parser.parse_args()
    if find_fashion_mnist() is None:
        sys.exit("Fashion-MNIST is not on this computer.")
    with using_threads(args.threads):
        if args.keras:
            compare_speed(args.keras, args.threads, args.laps, args.steps)
        if args.epochs:
            compare_quality(args.epochs, args.trainings, args.cpu_seconds)


if __name__ == "__main__":
    main()
