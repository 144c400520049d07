"""Make the files in this folder by real Keras: python make_fixtures.py 3, or 2 (tf_keras).

A small network of the tutorial's layout with random weights, some noise, and what Keras makes of
it. Needs keras and tensorflow, or tf_keras for Keras 2.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

HERE = Path(__file__).parent
WIDTHS = (6, 4)  # the tutorial has 32 and 32
ENDINGS = {"functional": (".h5", ".keras"), "sequential": (".h5",), "nested": (".h5", ".keras")}


def tutorial_layers(layers, channels=1):
    """Return the tutorial's layers, narrower."""

    def conv(filters, activation="relu"):
        return layers.Conv2D(filters, (3, 3), activation=activation, padding="same")

    first, second = WIDTHS
    return [
        conv(first),
        layers.MaxPooling2D((2, 2), padding="same"),
        conv(second),
        layers.MaxPooling2D((2, 2), padding="same"),
        conv(second),
        layers.UpSampling2D((2, 2)),
        conv(first),
        layers.UpSampling2D((2, 2)),
        conv(channels, "sigmoid"),
    ]


def functional(keras, layers, channels=1):
    """Return the tutorial's network as a functional model."""
    x = start = layers.Input(shape=(28, 28, channels))
    for layer in tutorial_layers(layers, channels):
        x = layer(x)
    return keras.Model(start, x)


def sequential(keras, layers, channels=1):
    """Return the tutorial's network as a sequential model."""
    return keras.Sequential(
        [layers.Input(shape=(28, 28, channels)), *tutorial_layers(layers, channels)]
    )


def nested(keras, layers):
    """Return the tutorial's network as a model of two models, as its encoder and decoder."""
    stages = tutorial_layers(layers)
    first = keras.Sequential([layers.Input(shape=(28, 28, 1)), *stages[:4]])
    second = keras.Sequential([layers.Input(shape=(7, 7, WIDTHS[1])), *stages[4:]])
    start = layers.Input(shape=(28, 28, 1))
    return keras.Model(start, second(first(start)))


def drawn(model):
    """Give a model weights that make more than gray of noise."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.4, w.shape).astype("float32") for w in model.get_weights()])
    return model


def main():
    version = sys.argv[1]
    if version == "2":
        import tf_keras as keras
    else:
        import keras
    keras.utils.set_random_seed(0)
    noisy = np.random.default_rng(0).random((2, 28, 28, 1), dtype=np.float32)
    np.save(HERE / "noisy.npy", noisy[..., 0])
    made = {}
    for kind in (functional, sequential, nested):
        model = drawn(kind(keras, keras.layers))
        if kind is functional:  # as the tutorial: with the state of its optimizer in the file
            model.compile(optimizer="adam", loss="mse")
            model.fit(noisy, noisy, verbose=0)
        for ending in ENDINGS[kind.__name__]:
            name = f"keras{version}_{kind.__name__}{ending}"
            model.save(HERE / name)
            made[name] = np.asarray(model(noisy))[..., 0]
    np.savez_compressed(HERE / f"keras{version}_outputs.npz", **made)
    print(keras.__version__, "wrote", ", ".join(made))


if __name__ == "__main__":
    main()
