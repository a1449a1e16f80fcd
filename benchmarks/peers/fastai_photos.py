"""The peer: fastai on a folder of photos, as its documentation has beginners do: a vision learner that is fine-tuned.

    python benchmarks/peers/fastai_photos.py PHOTOS WORK EPOCHS SEED

PHOTOS has `train/` and `val/`, each with a folder per class; WORK takes the weights. `Resize(224)`, `aug_transforms()`,
`vision_learner` and `fine_tune`, all else as fastai has it: one epoch of the head, then EPOCHS of everything. Run in an
environment of its own.
"""

from __future__ import annotations

import sys

import lite0
import torch
from fastai.vision.all import ImageDataLoaders, Resize, accuracy, aug_transforms, set_seed, vision_learner


def main() -> None:
    """Trains and scores; behind the guard because loaders start processes."""
    torch.set_num_threads(2)
    photos, work, epochs, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    set_seed(seed)
    loaders = ImageDataLoaders.from_folder(
        photos, train="train", valid="val", item_tfms=Resize(224), batch_tfms=aug_transforms(), num_workers=2
    )
    learner = vision_learner(
        loaders, lite0.NAME, metrics=accuracy, pretrained_cfg_overlay={"file": str(lite0.weights(work))}
    )
    with learner.no_bar():
        learner.fine_tune(epochs)
        _, accurate = learner.validate()
    print(f"accuracy {float(accurate):.4f} of {len(loaders.valid_ds)}")


if __name__ == "__main__":
    main()
