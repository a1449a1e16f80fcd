"""`Subject`: what an audit looks at. Checks read it and change nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pellucid.audit.requirement import Requirement
from pellucid.errors import DataError
from pellucid.records import Model, Predictions, Split

WHAT_IS_MISSING = {
    "pictures": "it needs the pictures; audit a model on its data instead of a table of predictions",
    "model": "it needs the model; audit a model file instead of a table of predictions",
    "train": "the data have no training split",
    "columns": "the pictures have no columns such as sex or camera; give a table with --columns",
}
"""What a check can need → why it is not made without it."""


@dataclass(frozen=True)
class Subject:
    """Predictions with their labels, and if known the pictures, the training pictures and the model.

    Attributes:
        predictions: of N pictures, with labels.
        pictures: the N predicted pictures, in the same order.
        indices: index of each picture in its split, before unreadable ones were left out: int64 (N,).
        train: the pictures that the model may have learned from.
        model: the model.
        columns: further values per picture, by name: (N,), text.
        requirement: the requirement of `--require`.
        full: whether to look at everything instead of a sample.
        seed: of samples.
        scored_split: fingerprint of the whole split, as in the ledger; empty if it is that of the pictures.
    """

    predictions: Predictions
    pictures: Split | None = None
    indices: np.ndarray | None = None
    train: Split | None = None
    model: Model | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    requirement: Requirement | None = None
    full: bool = False
    seed: int = 0
    scored_split: str = ""

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.predictions.classes

    @property
    def labels(self) -> np.ndarray:
        """The labels, int64 (N,)."""
        assert self.predictions.labels is not None, "auditing refuses predictions without labels"
        return self.predictions.labels

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each prediction equals the label: bool (N,)."""
        return self.predictions.predicted == self.labels

    def missing(self, needs: tuple[str, ...]) -> str:
        """Why a check with these needs cannot be made; empty if it can."""
        for need in needs:
            if getattr(self, need) is None or (need == "columns" and not self.columns):
                return WHAT_IS_MISSING[need]
        return ""

    @cached_property
    def features(self) -> np.ndarray:
        """The inputs of the model's last layer for the N pictures: float32 (N, D)."""
        from pellucid.audit.features import features_of

        assert self.model is not None and self.pictures is not None
        return features_of(self.model, self.pictures)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a result depends on (hexadecimal)."""
        digest = hashlib.sha256(repr((self.classes, self.requirement, self.full, self.seed)).encode())
        digest.update(np.ascontiguousarray(self.predictions.probabilities, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        digest.update(repr(self.predictions.ids.tolist()).encode("utf-8", "surrogatepass"))
        for name, values in sorted(self.columns.items()):
            digest.update(repr((name, values.tolist())).encode("utf-8", "surrogatepass"))
        for split in (self.pictures, self.train):
            digest.update(b"none" if split is None else split.fingerprint().encode())
        digest.update(b"none" if self.model is None else self.model.sha256.encode())
        return digest.hexdigest()


def rows_of(pictures: Split, ids: np.ndarray) -> np.ndarray:
    """The index of each of these ids among the pictures: int64 (N,).

    Raises:
        DataError: an id is not among them.
    """
    index = {name: row for row, name in enumerate(pictures.ids.astype(str).tolist())}
    wanted = ids.astype(str).tolist()
    missing = [name for name in wanted if name not in index]
    if missing:
        raise DataError(
            f"There is no picture '{missing[0]}' among the {len(pictures):,} of '{pictures.name}'. Their ids look like "
            f"'{pictures.ids[0]}'. Give the data that the predictions were made for."
        )
    return np.array([index[name] for name in wanted], dtype=np.int64)
