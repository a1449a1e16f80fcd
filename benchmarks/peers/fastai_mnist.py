"""The peer: fastai on MNIST, as its documentation has beginners do: a vision learner on folders of PNG files.

    python benchmarks/peers/fastai_mnist.py FOLDER EPOCHS SEED

FOLDER has `training/` and `testing/`, each with a folder of PNG files per digit (fastai's own form of MNIST, `URLs.MNIST`).
Its `simple_cnn`-like network of the tutorial and `fit_one_cycle`. Run in an environment of its own.
"""

from __future__ import annotations

import sys

import torch
from fastai.layers import ConvLayer, Flatten
from fastai.vision.all import ImageDataLoaders, Learner, PILImageBW, accuracy, set_seed
from torch import nn


def main() -> None:
    """Trains and scores; behind the guard because loaders start processes."""
    torch.set_num_threads(2)
    folder, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    set_seed(seed, reproducible=True)
    loaders = ImageDataLoaders.from_folder(
        folder, train="training", valid="testing", img_cls=PILImageBW, bs=256, num_workers=2
    )
    # fastbook, chapter 13: strides of 2 with batch normalisation, which it trains with one cycle.
    network = nn.Sequential(
        ConvLayer(1, 8, ks=5, stride=2), ConvLayer(8, 16, stride=2), ConvLayer(16, 32, stride=2),
        ConvLayer(32, 64, stride=2), ConvLayer(64, 10, stride=2, norm_type=None, act_cls=None), Flatten(),
    )  # fmt: skip
    learner = Learner(loaders, network, loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
    with learner.no_bar():
        learner.fit_one_cycle(epochs, 0.06)
    print(f"accuracy {float(learner.validate()[1]):.4f}")


if __name__ == "__main__":
    main()
