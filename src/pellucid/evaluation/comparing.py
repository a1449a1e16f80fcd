"""`compare`: whether one model is significantly better than another, from their predictions for the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.evaluation import run_predictions
from pellucid.evaluation.run_predictions import RunPredictions
from pellucid.records import Finding, Findings, Metric, Predictions, Table
from pellucid.records.names import counted, listed
from pellucid.statistics.comparison import Cells, cells, mcnemar, tango
from pellucid.statistics.intervals import wilson
from pellucid.statistics.sample_size import more_pictures, to_compare

SIGNIFICANT = 0.05
"""A p value below this counts as a difference. Without a real difference, at most one in twenty does."""

_METHOD = "95 % score interval for paired proportions (Tango 1998)"


Comparable = Predictions | RunPredictions | str | Path


def compare(a: Comparable, b: Comparable, *, names: tuple[str, str] | None = None) -> Findings:
    """Compares two models, picture by picture, on the pictures that both have predicted.

    The title of the findings is the verdict. The findings, in this order: the table `compared`; the metrics
    `accuracy_a` and `accuracy_b` (95 % Wilson intervals), `difference` (B − A, with the paired score interval) and
    `p_value` (McNemar's exact test); the tables `who_is_right` (the four cells), `per_class` and `disagreements`
    (all pictures with different predictions).

    Args:
        a: predictions of the first model, with labels; or its run folder or predictions file.
        b: the same of the second model; pictures are matched by id.
        names: names of the two models in the table `compared`; None takes the paths, or A and B.

    Raises:
        DataError: labels, classes, dataset or split differ, labels are unknown, probabilities are infinite or NaN, or
            the two share no picture.
        MissingDataError: a folder has no predictions.
    """
    first, second = _read(a, "A"), _read(b, "B")
    for letter, run in zip("AB", (first, second), strict=True):
        _check(letter, run.predictions)
    # Datasets with the same fingerprint are the same, even if their names differ.
    same_data = bool(first.fingerprint) and first.fingerprint == second.fingerprint
    _check_comparable(first.predictions, second.predictions, same_data=same_data)
    shared = _Shared(first.predictions, second.predictions)
    counts = cells(shared.right[0], shared.right[1])
    p = mcnemar(counts.only_a, counts.only_b)
    items: list[Finding] = [
        _compared(first.predictions, second.predictions, names or (first.name, second.name), shared),
        _accuracy("accuracy_a", counts.both + counts.only_a, counts.n),
        _accuracy("accuracy_b", counts.both + counts.only_b, counts.n),
        _difference(counts, p),
        Metric("p_value", p, counts.only_a + counts.only_b, note=_P_VALUE),
        _who_is_right(counts),
        _per_class(shared),
        _disagreements(shared),
    ]
    return Findings(tuple(items), title=verdict(counts, p))


def _read(source: Comparable, letter: str) -> RunPredictions:
    if isinstance(source, RunPredictions):
        return source
    if isinstance(source, str | Path):
        return run_predictions.read(source)
    return RunPredictions(letter, source)


_P_VALUE = (
    "McNemar's exact test on the pictures that only one model gets right: the probability of a split at least this "
    "uneven by chance"
)


def verdict(counts: Cells, p: float) -> str:
    """The result of a comparison in one sentence.

    >>> verdict(Cells(300, 9, 23, 28), 0.02)
    'B is right on 23 pictures that A gets wrong, A on 9 that B gets wrong; B is better (p = 0.02)'
    """
    if not counts.only_a + counts.only_b:
        return f"A and B are right and wrong on the same pictures; no difference can be shown with n = {counts.n:,}"
    noun = "picture" if counts.only_b == 1 else "pictures"
    who = f"B is right on {counts.only_b:,} {noun} that A gets wrong, A on {counts.only_a:,} that B gets wrong"
    if p >= SIGNIFICANT:
        more = more_pictures(to_compare(counts.only_a, counts.only_b, counts.n), counts.n)
        settled = f"; {more} would probably settle it" if more else ""
        return f"{who}; no difference can be shown with n = {counts.n:,} (p = {p:.2g}){settled}"
    better = "B" if counts.only_b > counts.only_a else "A"
    return f"{who}; {better} is better ({f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'})"


def _check(letter: str, predictions: Predictions) -> None:
    if predictions.labels is None:
        raise DataError(
            f"The labels of {letter}'s pictures are unknown, so its accuracy is too. Compare predictions for labelled "
            f"pictures, which `pellucid train` and `pellucid evaluate --out` write."
        )
    bad = int((~np.isfinite(predictions.probabilities)).any(axis=1).sum())
    if bad:
        raise DataError(
            f"The probabilities of {letter} are infinite or NaN for {bad:,} of "
            f"{counted(len(predictions), 'picture')}: training "
            f"probably diverged. Train again with a lower learning rate."
        )
    if len(np.unique(predictions.ids)) < len(predictions):
        raise DataError(
            f"Some pictures of {letter} have the same id, so they cannot be matched with the other model's."
        )


def _check_comparable(a: Predictions, b: Predictions, *, same_data: bool) -> None:
    if a.dataset != b.dataset and not same_data:
        raise DataError(
            f"A was scored on '{a.dataset}', B on '{b.dataset}'; a comparison needs the same pictures. Score one of "
            f"them on the other's data: pellucid evaluate MODEL DATA --out FOLDER."
        )
    if a.split != b.split:
        raise DataError(
            f"A was scored on the {a.split} split, B on the {b.split} split; a comparison needs the same pictures. "
            f"Score one of them again: pellucid evaluate MODEL DATA --split SPLIT --out FOLDER."
        )
    if set(a.classes) != set(b.classes):
        own = {"A": set(a.classes) - set(b.classes), "B": set(b.classes) - set(a.classes)}
        only = "; ".join(f"only {letter} has {listed(sorted(names), 5)}" for letter, names in own.items() if names)
        raise DataError(f"A and B have different classes, so they cannot be compared: {only}.")


class _Shared:
    """The M pictures that both models have predicted, in A's order.

    Attributes:
        ids: str (M,).
        classes: the classes, in A's order.
        labels: the labels, int (M,).
        predicted: the predictions of A and B, int (2, M), indices into `classes`.
        right: whether each prediction is right, bool (2, M).
    """

    def __init__(self, a: Predictions, b: Predictions) -> None:
        ids, in_a, in_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
        if not len(ids):
            raise DataError(
                f"A and B have no picture in common: A has {len(a):,}, such as {_first(a)}, B {len(b):,}, such as "
                f"{_first(b)}. Score both on the same data: pellucid evaluate MODEL DATA --out FOLDER."
            )
        order = np.argsort(in_a, kind="stable")
        in_a, in_b = in_a[order], in_b[order]
        self.ids, self.classes = a.ids[in_a], a.classes
        class_index = {name: index for index, name in enumerate(a.classes)}
        as_in_a = np.array([class_index[name] for name in b.classes], dtype=np.int64)
        assert a.labels is not None and b.labels is not None
        self.labels = np.asarray(a.labels, dtype=np.int64)[in_a]
        theirs = as_in_a[b.labels][in_b]
        differing = np.flatnonzero(self.labels != theirs)
        if len(differing):
            i = differing[0]
            raise DataError(
                f"The labels of {len(differing):,} of {len(self.ids):,} shared pictures differ: '{self.ids[i]}' is "
                f"'{self.classes[self.labels[i]]}' for A, '{self.classes[theirs[i]]}' for B. The data changed in "
                f"between; score both on the same data: pellucid evaluate MODEL DATA --out FOLDER."
            )
        self.predicted = np.stack([a.predicted[in_a], as_in_a[b.predicted[in_b]]])
        self.right = self.predicted == self.labels

    def __len__(self) -> int:
        return len(self.ids)


def _first(predictions: Predictions) -> str:
    return f"'{predictions.ids[0]}'" if len(predictions) else "none"


def _compared(a: Predictions, b: Predictions, names: tuple[str, str], shared: _Shared) -> Table:
    notes = []
    if len(shared) < max(len(a), len(b)):
        notes.append(f"The comparison covers the {counted(len(shared), 'picture')} that both models have predicted.")
    if a.split == "validation":
        notes.append("The validation split selected each model's epoch, so both accuracies are optimistic.")
    if a.model and a.model == b.model:
        notes.append("A and B are the same model.")
    rows = tuple(
        (letter, name, predictions.dataset, predictions.split, len(predictions), len(shared))
        for letter, name, predictions in zip("AB", names, (a, b), strict=True)
    )
    return Table("compared", ("which", "run", "data", "split", "pictures", "compared"), rows, " ".join(notes))


def _accuracy(name: str, right: int, n: int) -> Metric:
    return Metric(name, right / n, n, *wilson(right, n), unit="fraction", method="Wilson")


def _difference(counts: Cells, p: float) -> Metric:
    low, high = tango(counts.only_a, counts.only_b, counts.n)
    note = f"B − A in percentage points; {_METHOD}"
    if p >= SIGNIFICANT and not low <= 0 <= high:
        note += "; it excludes 0, but the exact test, which is more conservative, finds no significant difference"
    return Metric("difference", counts.difference, counts.n, low, high, unit="fraction", note=note, method="Tango")


def _who_is_right(counts: Cells) -> Table:
    rows = (
        ("both", counts.both),
        ("only A", counts.only_a),
        ("only B", counts.only_b),
        ("neither", counts.neither),
    )
    return Table("who_is_right", ("right", "pictures"), rows)


def _per_class(shared: _Shared) -> Table:
    rows: list[tuple[Any, ...]] = []
    for index, name in enumerate(shared.classes):
        of_class = shared.labels == index
        n = int(of_class.sum())
        if not n:
            rows.append((name, None, None, None, None, None, 0))
            continue
        counts = cells(shared.right[0][of_class], shared.right[1][of_class])
        low, high = tango(counts.only_a, counts.only_b, n)
        shares = ((counts.both + counts.only_a) / n, (counts.both + counts.only_b) / n)
        rows.append((name, *shares, counts.difference, low, high, n))
    note = (
        f"Recall of A and B per class; B − A with its {_METHOD}. One in twenty such intervals misses the true value by "
        f"chance, so a single class that stands out proves little."
    )
    columns = ("class", "A %", "B %", "B − A %", "low %", "high %", "n")
    return Table("per_class", columns, tuple(rows), note)


def _disagreements(shared: _Shared) -> Table:
    differ = np.flatnonzero(shared.predicted[0] != shared.predicted[1])
    kinds = np.where(shared.right[1], 0, np.where(shared.right[0], 1, 2))
    order = differ[np.argsort(kinds[differ], kind="stable")]
    rows = tuple(_disagreement(shared, int(i), ("B", "A", "neither")[kinds[i]]) for i in order)
    return Table("disagreements", ("id", "label", "A says", "B says", "right"), rows)


def _disagreement(shared: _Shared, i: int, right: str) -> tuple[Any, ...]:
    names = (shared.labels[i], shared.predicted[0, i], shared.predicted[1, i])
    return (str(shared.ids[i]), *(shared.classes[one] for one in names), right)
