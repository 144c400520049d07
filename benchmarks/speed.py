"""How long denoising takes with one thread, beside FFDNet in ONNX Runtime.

    python benchmarks/speed.py [--model NAME_OR_FILE ...] [--side 512]

Needs the packages onnx and onnxruntime. FFDNet [1] is built here with random weights, for its speed
does not depend on them: pixel-unshuffle by 2, and 15 convolutions 3x3 of 64 channels that are told
the noise as a fifth channel. Ours is the whole call of `denoise`, FFDNet its network alone. Both
run in turn; prints the medians and their ratio.

[1] K. Zhang, W. Zuo, L. Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image
    denoising", IEEE Transactions on Image Processing 27(9), 2018.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import warnings

import numpy as np

from napari_ae_denoise import Denoiser, bundled_models
from napari_ae_denoise.devices import using_threads

_WIDTH, _LAYERS = 64, 15


def ffdnet(side: int):
    """Return a function that runs FFDNet over a gray image (side, side) float32."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    widths = [5, *[_WIDTH] * (_LAYERS - 1), 4]
    nodes = [
        helper.make_node("SpaceToDepth", ["image"], ["small"], blocksize=2),
        helper.make_node("Concat", ["small", "sigma"], ["x0"], axis=1),
    ]
    weights = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        values = rng.standard_normal((outputs, inputs, 3, 3)) / np.sqrt(4.5 * inputs)
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"w{number}"))
        names = [f"x{number}", f"w{number}"]
        nodes.append(helper.make_node("Conv", names, [f"c{number}"], pads=[1, 1, 1, 1]))
        if number < _LAYERS - 1:
            nodes.append(helper.make_node("Relu", [f"c{number}"], [f"x{number + 1}"]))
    last = f"c{_LAYERS - 1}"
    nodes.append(helper.make_node("DepthToSpace", [last], ["made"], blocksize=2, mode="CRD"))
    half = side // 2
    graph = helper.make_graph(
        nodes,
        "FFDNet",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, side, side]),
            helper.make_tensor_value_info("sigma", TensorProto.FLOAT, [1, 1, half, half]),
        ],
        [helper.make_tensor_value_info("made", TensorProto.FLOAT, [1, 1, side, side])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    sigma = np.full((1, 1, half, half), 25 / 255, np.float32)
    return lambda image: session.run(None, {"image": image[None, None] / 255, "sigma": sigma})


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="*", help="bundled names or files; by default all gray")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    gray = [name for name, card in bundled_models().items() if card.network.channels == 1]
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 120, args.side), np.linspace(0, 120, args.side))
    image = (smooth + 25 * rng.standard_normal(smooth.shape)).astype(np.float32)
    runs = {"FFDNet, ONNX Runtime, float32": ffdnet(args.side)}
    for name in args.model or gray:
        denoiser = Denoiser.load(name)
        label = f"{denoiser.card.name} ({denoiser.network.multiply_adds / 1e3:.0f} k multiply-adds)"
        runs[label] = denoiser.denoise
    times: dict[str, list[float]] = {name: [] for name in runs}
    with using_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(args.rounds + 1):  # the first round warms up
            for name, run in runs.items():
                begin = time.perf_counter()
                run(image)
                times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    peer = next(iter(medians.values()))
    print(f"{args.side} x {args.side} pixels, one thread, median of {args.rounds}\n")
    print("| what | seconds | of FFDNet |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {median / peer:.2f} |")


if __name__ == "__main__":
    main()
