"""How long a training and a prediction go on after they are told to stop, at random moments.

The core alone, without a window: from setting the stop to the result that is kept. Each cancel must
give a result; p95 is to be at most 1 s.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time

import numpy as np

from napari_ae_denoise import (
    Denoiser,
    TrainingData,
    TrainSettings,
    add_gaussian_noise,
    training_steps,
)
from napari_ae_denoise.steps import drain


def cancelled(steps, stop: threading.Event, seconds: float, begun: threading.Event) -> float | None:
    """Cancel a job some seconds after it has begun; return how long it went on, if it did."""
    told: list[float] = []

    def cancel() -> None:
        begun.wait()
        time.sleep(seconds)
        told.append(time.perf_counter())
        stop.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    drain(steps)
    ended = time.perf_counter()
    begun.set()
    thread.join()
    return ended - told[0] if told[0] < ended else None


def noting(steps, begun: threading.Event):
    """Pass the records of a job on, and note the first."""
    while True:
        try:
            record = next(steps)
        except StopIteration as end:
            return end.value
        begun.set()
        yield record


def training(image, seconds: float) -> float | None:
    """Cancel a training of the preset that users get."""
    stop, begun = threading.Event(), threading.Event()
    settings = TrainSettings(preset="residual", steps=10**6)
    steps = training_steps(TrainingData(clean=image), settings, stop=stop)
    return cancelled(noting(steps, begun), stop, seconds, begun)


def prediction(denoiser: Denoiser, image, seconds: float) -> float | None:
    """Cancel the denoising of an image of many tiles."""
    stop, begun = threading.Event(), threading.Event()
    begun.set()  # from the very start: the first tile may take long
    steps = denoiser.predict_steps(image, stop=stop)
    return cancelled(steps, stop, seconds, begun)


def main() -> None:
    """Cancel and print a table; end with 1 where stopping takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cancels", type=int, default=200, help="of both kinds together")
    parser.add_argument("--model", default="natural-gray")
    parser.add_argument("--side", type=int, default=3000, help="of the image, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    rng = np.random.default_rng(args.seed)
    image = np.kron(rng.integers(0, 200, (args.side // 20,) * 2), np.ones((20, 20))).astype("u1")
    noisy = add_gaussian_noise(image, 25.0, seed=0)
    denoiser = Denoiser.load(args.model)
    small = image[:512, :512]
    found: dict[str, list[float]] = {"training": [], "prediction": []}
    print("| | cancels | median, s | p95, s | longest, s |\n|---|---|---|---|---|")
    for name, times in found.items():
        while len(times) < args.cancels // 2:
            seconds = dice.uniform(0.0, 3.0)
            took = (
                training(small, seconds)
                if name == "training"
                else prediction(denoiser, noisy, seconds)
            )
            if took is not None:
                times.append(took)
        p95 = statistics.quantiles(times, n=20)[-1]
        row = f"{statistics.median(times):.2f} | {p95:.2f} | {max(times):.2f}"
        print(f"| {name} | {len(times)} | {row} |", flush=True)
    worst = max(statistics.quantiles(times, n=20)[-1] for times in found.values())
    if worst > 1:
        raise SystemExit(f"p95 is {worst:.2f} s")


if __name__ == "__main__":
    main()
