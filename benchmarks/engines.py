"""Whether ONNX Runtime runs a network faster on the CPU than torch does, with one thread.

    python benchmarks/engines.py [--model natural-gray] [--side 512] [--rounds 7]

Needs the extra `onnx`. All see what a tile sees: the image and its halo. They run in turn; prints
the medians and their ratio to torch in float32.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import onnxruntime
import torch

from napari_ae_denoise import Denoiser
from napari_ae_denoise.devices import choose_precision, computing_in, using_threads
from napari_ae_denoise.interop.grey_values import GreyValues
from napari_ae_denoise.interop.onnx import onnx_graph

CPU = torch.device("cpu")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="natural-gray")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    denoiser = Denoiser.load(args.model)
    channels, network = denoiser.card.network.channels, denoiser.network.copy_on(CPU)
    shape = (1, channels, args.side, args.side)
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    limits = np.zeros((), np.float32), np.ones((), np.float32)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    names = ["image", "low", "high"]
    graph = onnx_graph(GreyValues(denoiser.network), channels, None, names, {})
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given = dict(zip(names, (image, *limits), strict=True))
    module = GreyValues(network).eval()
    tensors = [torch.from_numpy(array) for array in (image, *limits)]

    def in_torch(precision):
        with torch.inference_mode(), computing_in(precision, CPU):
            return module(*tensors)

    usual = choose_precision(CPU, "auto")
    runs = {
        "torch, float32": lambda: in_torch(torch.float32),
        "ONNX Runtime, float32": lambda: session.run(None, given)[0],
        f"torch, as is chosen here ({str(usual).removeprefix('torch.')})": lambda: in_torch(usual),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    with using_threads(1):
        for _ in range(args.rounds + 1):  # the first round warms up
            for name, run in runs.items():
                begin = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    first = next(iter(medians.values()))
    print("| what | seconds | ratio |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {median / first:.2f} |")


if __name__ == "__main__":
    main()
