"""A small Fashion-MNIST, in the files that the real one has."""

import gzip

import numpy as np

COUNTS = {"train": 60, "t10k": 24}


def idx(values):
    """Return an array as an IDX file: two zeros, the type, the number of axes, their lengths."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return gzip.compress(head + values.tobytes())


def write_small_fashion_mnist(folder):
    """Write squares of random places and greys for clothes."""
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        images = np.zeros((count, 28, 28), np.uint8)
        for image in images:
            y, x, size = rng.integers(4, 12, 3)
            image[y : y + size, x : x + size] = rng.integers(100, 256)
        images[0, 0, 0] = 255
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
