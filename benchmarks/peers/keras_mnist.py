"""The peer: Keras 3 on MNIST, as its first example does ("Simple MNIST convnet").

    python benchmarks/peers/keras_mnist.py FOLDER EPOCHS SEED

FOLDER/mnist.npz holds x_train, y_train, x_test, y_test. Two convolutions with pooling and dropout, Adam, batches of 128.
Run in an environment of its own, on the backend that is installed there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

folder, epochs, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(seed)
with np.load(folder / "mnist.npz") as held:
    training = held["x_train"].astype("float32")[..., None] / 255, held["y_train"]
    testing = held["x_test"].astype("float32")[..., None] / 255, held["y_test"]
network = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
network.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
network.fit(*training, batch_size=128, epochs=epochs, validation_split=0.1, verbose=2)
print(f"accuracy {network.evaluate(*testing, verbose=0)[1]:.4f}")
