"""The named set `digits`: 1,797 handwritten digits of 8×8 pixels, from scikit-learn. Needs no download.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49: the test part, written by 13 people. Values of 0 to 16 are scaled to 0 to 255.
The test split is fixed: a stratified fifth, independent of the seed of a training.
"""

from __future__ import annotations

import numpy as np

from pellucid.data.splitting import carve
from pellucid.records import Dataset, Split

__all__ = ["load"]


def load(name: str = "digits") -> Dataset:
    """Load the set: 1,437 training and 360 test pictures, uint8 (N, 1, 8, 8)."""
    from sklearn.datasets import load_digits

    images, target = load_digits(return_X_y=True)
    images = np.asarray(images, dtype=np.float64).reshape(-1, 8, 8)
    pictures = np.rint(images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    whole = Split(
        "train",
        pictures,
        np.asarray(target, dtype=np.int64),
        tuple(str(digit) for digit in range(10)),
        explicit_ids=np.array([f"{name}/{i}" for i in range(len(pictures))]),
        dataset=name,
    )
    train, test = carve(whole, 0.2, 0, name="test", copies=False)
    return Dataset(name, {"train": train, "test": test}, "Handwritten digits of 8×8 pixels, from scikit-learn.")
