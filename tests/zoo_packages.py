"""Packages of bioimage.io whose network is none of ours, written by the zoo's own library."""

import numpy as np

REACH = 4  # pixels that the network below looks away, along Y and X
LETTERS = {"N": "batch", "C": "channel", "Y": "y", "X": "x"}
FREE = {"min": 24, "step": 8}


def graph(order, channels=1, *, whole=False, dilated=2, external=False):
    """Return an ONNX network: two convolutions and a ReLU, in its own order of axes.

    A sum over the whole image is added with ``whole``; ``dilated`` times 2 is its reach.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)
    first = rng.normal(0, 0.3, (6, channels, 3, 3)).astype("f4")
    second = rng.normal(0, 0.3, (channels, 6, 3, 3)).astype("f4")
    there = [order.index(a) for a in "NCYX" if a in order]
    lacking = [n for n, a in enumerate("NCYX") if a not in order]
    back = ["NCYX".index(a) for a in order]
    pads, spread = [dilated] * 4, [dilated] * 2
    last = "summed" if whole else "second"
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=there),
        helper.make_node("Unsqueeze", ["turned", "lacking"], ["seen"])
        if lacking
        else helper.make_node("Identity", ["turned"], ["seen"]),
        helper.make_node("Conv", ["seen", "k1"], ["first"], pads=pads, dilations=spread),
        helper.make_node("Relu", ["first"], ["relu"]),
        helper.make_node("Conv", ["relu", "k2"], ["second"], pads=pads, dilations=spread),
        helper.make_node("GlobalAveragePool", ["second"], ["mean"]),
        helper.make_node("Add", ["second", "mean"], ["summed"]),
        helper.make_node("Squeeze", [last, "lacking"], ["flat"])
        if lacking
        else helper.make_node("Identity", [last], ["flat"]),
    ]
    left = [a for a in "NCYX" if a in order]
    nodes.append(
        helper.make_node("Transpose", ["flat"], ["made"], perm=[left.index(a) for a in order])
    )
    assert len(back) == len(order)
    numbers = [
        numpy_helper.from_array(first, "k1"),
        numpy_helper.from_array(second, "k2"),
        numpy_helper.from_array(np.array(lacking or [0], np.int64), "lacking"),
    ]
    if external:
        numbers[0].ClearField("raw_data")
        numbers[0].data_location = TensorProto.EXTERNAL
        numbers[0].external_data.add(key="location", value="/etc/passwd")
    shape = [{"N": 1, "C": channels}.get(a, a) for a in order]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("image", "made")]
    made = helper.make_graph(nodes, "network", ends[:1], ends[1:], numbers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def axes_of(order, channels, size, halo=None, *, of="image"):
    made = []
    for letter in order:
        entry = {"type": {"N": "batch", "C": "channel"}.get(letter, "space")}
        if letter == "N":
            entry["size"] = 1
        elif letter == "C":
            entry["channel_names"] = [f"c{n}" for n in range(channels)]
        else:
            entry |= {"id": LETTERS[letter], "size": size}
            if halo is not None:
                entry["size"] = {"tensor_id": of, "axis_id": LETTERS[letter]}
                entry |= {"halo": halo} if halo else {}
        made.append(entry)
    return made


def step(name, kwargs):
    return {"id": name, "kwargs": kwargs} if kwargs else {"id": name}


def write_package(
    tmp_path,
    order="NCYX",
    channels=1,
    *,
    size=FREE,
    halo=REACH,
    before=(),
    after=(),
    change=lambda facts: None,
    **network,
):
    """Write a package into a folder, and return its path."""
    from bioimageio.spec import save_bioimageio_package
    from bioimageio.spec.model import v0_5
    from imageio.v3 import imwrite

    folder = tmp_path / "parts"
    folder.mkdir(exist_ok=True)
    shape = [{"N": 1, "C": channels}.get(a, size if isinstance(size, int) else 48) for a in order]
    np.save(folder / "test.npy", np.linspace(0, 9, int(np.prod(shape)), dtype="f4").reshape(shape))
    imwrite(folder / "cover.png", np.zeros((64, 128, 3), np.uint8))
    (folder / "README.md").write_text("# A model\n\n## Validation\n\nby eye\n", encoding="utf-8")
    (folder / "network.onnx").write_bytes(graph(order, channels, **network))
    test = {"test_tensor": {"source": folder / "test.npy"}, "data": {"type": "float32"}}
    facts = {
        "name": "model of others",
        "description": "Made by hand",
        "authors": [{"name": "A. Nother"}],
        "license": "MIT",
        "cite": [{"text": "nobody", "doi": "10.1234/none"}],
        "documentation": {"source": folder / "README.md"},
        "covers": [{"source": folder / "cover.png"}],
        "tags": ["denoising"],
        "inputs": [
            {"id": "image", "axes": axes_of(order, channels, size), **test}
            | {"preprocessing": [step(*one) for one in before]}
            | {"pad": {"mode": "reflect"}}
        ],
        "outputs": [
            {"id": "made", "axes": axes_of(order, channels, size, halo), **test}
            | {"postprocessing": [step(*one) for one in after]}
        ],
        "weights": {"onnx": {"source": folder / "network.onnx", "opset_version": 17}},
    }
    change(facts)
    path = tmp_path / "others.zip"
    path.unlink(missing_ok=True)
    save_bioimageio_package(v0_5.ModelDescr.model_validate(facts), output_path=path)
    return path
