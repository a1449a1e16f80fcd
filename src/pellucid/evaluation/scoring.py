"""`evaluate`: scores predictions against labels and returns findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.thumbnails import thumbnail, thumbnail_and_large
from pellucid.errors import DataError, UsageError
from pellucid.records import Figure, Finding, Findings, Metric, Predictions, Split, Table, ledger
from pellucid.records.names import counted, listed
from pellucid.statistics import calibration, metrics
from pellucid.statistics.intervals import mean_of_shares, wilson

__all__ = ["accuracy_without", "count_scoring"]


SAMPLE = 24
"""Pictures in the sample of right and wrong predictions."""

UNEQUAL = 2
"""Report the balanced accuracy if the largest class is at least this many times as large as the smallest."""

CONFUSIONS = 50
"""Most rows in the table of confusions."""


def evaluate(predictions: Predictions, pictures: Split | None = None, *, mistakes: int = 24) -> Findings:
    """Scores predictions against the labels.

    The findings, in this order: the metrics `accuracy` (with its 95 % Wilson interval), `balanced_accuracy` (if class
    sizes differ by a factor of 2 or more), `base_rate`, `top_5_accuracy` (for more than five classes) and `loss`; the
    tables `per_class` and `confusions`; the figures `confusion_matrix`, `reliability`, `mistakes` (the most confident
    ones first) and `predictions` (a seeded sample).

    Args:
        predictions: predictions for N pictures, with labels.
        pictures: the pictures to show in the figures, matched by id.
        mistakes: largest number of mistakes to show.

    Raises:
        DataError: the labels are unknown, there are no predictions, a probability is infinite or NaN, or a predicted
            picture is not in `pictures`.
        UsageError: an argument has the wrong type.
    """
    if not isinstance(predictions, Predictions):
        raise UsageError(
            f"evaluate needs predictions, as in evaluate(predict(model, pictures)); given: {predictions!r}."
        )
    if pictures is not None and not isinstance(pictures, Split):
        raise UsageError(f"The pictures must be the predicted split, for example data.test; given: {pictures!r}.")
    labels = _known(predictions)
    cells = _Cells(predictions, labels, pictures)
    confusion = metrics.confusion_matrix(labels, predictions.predicted, len(predictions.classes))
    items: list[Finding] = [
        *_metrics(predictions, labels),
        _per_class(predictions.classes, confusion),
        _confusions(predictions.classes, confusion),
        _confusion_matrix(predictions, confusion),
        _reliability(predictions, labels),
        _mistakes(predictions, labels, cells, mistakes),
        _sample(predictions, labels, cells),
    ]
    return Findings(tuple(items), title=_title(predictions))


def _known(predictions: Predictions) -> np.ndarray:
    if not len(predictions):
        raise DataError("There is nothing to score: the predictions are empty.")
    if predictions.labels is None:
        where = f" of '{predictions.dataset}'" if predictions.dataset else ""
        raise DataError(
            f"The labels of {counted(len(predictions), 'picture')}{where} are unknown, so the predictions cannot be "
            f"scored. Give labelled pictures, for example a folder with one folder per class."
        )
    bad = int((~np.isfinite(predictions.probabilities)).any(axis=1).sum())
    if bad:
        raise DataError(
            f"The probabilities are infinite or NaN for {bad:,} of {counted(len(predictions), 'picture')}: "
            f"training probably "
            f"diverged. Train again with a lower learning rate."
        )
    return np.asarray(predictions.labels, dtype=np.int64)


def _title(predictions: Predictions) -> str:
    split = f"{predictions.split} split" if predictions.split else ""
    return ", ".join(part for part in (predictions.dataset, split) if part)


def _metrics(predictions: Predictions, labels: np.ndarray) -> list[Metric]:
    n, classes = len(predictions), len(predictions.classes)
    left_out = len(predictions.unreadable)
    note = f"without {counted(left_out, 'unreadable picture')}" if left_out else ""
    rows = [_share("accuracy", int((predictions.predicted == labels).sum()), n, note)]
    rows += _balanced(predictions, labels)
    share, most = metrics.base_rate(labels, classes)
    rows.append(Metric("base_rate", share, n, unit="fraction", note=f"always predicting '{predictions.classes[most]}'"))
    if classes > 5:
        rows.append(_share("top_5_accuracy", int((metrics.ranks(predictions.probabilities, labels) < 5).sum()), n))
    loss = metrics.log_loss(predictions.probabilities, labels)
    note = "the mean of −log p of the label; p is at least 1.2e-07"
    rows.append(Metric("loss", loss, n, unit="nats", note=note))
    return rows


def _balanced(predictions: Predictions, labels: np.ndarray) -> list[Metric]:
    """The balanced accuracy, if the largest class has at least twice as many pictures as the smallest."""
    label_counts = np.bincount(labels, minlength=len(predictions.classes))
    right = np.bincount(labels[predictions.predicted == labels], minlength=len(predictions.classes))[label_counts > 0]
    label_counts = label_counts[label_counts > 0]
    if len(label_counts) < 2 or label_counts.max() < UNEQUAL * label_counts.min():
        return []
    low, high = mean_of_shares(right, label_counts)
    note = f"the mean recall of {counted(len(label_counts), 'class', 'classes')}"
    value = float((right / label_counts).mean())
    return [Metric("balanced_accuracy", value, len(labels), low, high, unit="fraction", note=note)]


def _share(name: str, right: int, n: int, note: str = "") -> Metric:
    low, high = wilson(right, n)
    return Metric(name, right / n, n, low, high, unit="fraction", note=note)


def _per_class(classes: tuple[str, ...], confusion: np.ndarray) -> Table:
    scores = metrics.per_class(confusion)
    rows = tuple(
        (name, _defined(precision), _defined(recall), _defined(f1), int(n))
        for name, precision, recall, f1, n in zip(classes, *scores, strict=True)
    )
    notes = []
    absent = [name for name, n in zip(classes, scores.support, strict=True) if n == 0]
    if absent:
        notes.append(f"No pictures, so no recall: {listed(absent, 10)}.")
    never = [name for name, precision in zip(classes, scores.precision, strict=True) if np.isnan(precision)]
    if never:
        notes.append(f"Never predicted, so no precision: {listed(never, 10)}.")
    return Table("per_class", ("class", "precision %", "recall %", "F1 %", "n"), rows, " ".join(notes))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _confusions(classes: tuple[str, ...], confusion: np.ndarray) -> Table:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    given, predicted = np.nonzero(wrong)
    counts = wrong[given, predicted]
    order = np.argsort(-counts, kind="stable")
    rows = tuple((classes[given[i]], classes[predicted[i]], int(counts[i])) for i in order[:CONFUSIONS])
    left = len(order) - len(rows)
    note = ""
    if left:
        rest = int(counts[order[CONFUSIONS:]].sum())
        note = f"The {CONFUSIONS} most frequent; {counted(left, 'more kind')} ({counted(rest, 'mistake')}) not listed."
    return Table("confusions", ("label", "predicted", "count"), rows, note)


def _confusion_matrix(predictions: Predictions, confusion: np.ndarray) -> Figure:
    data = {
        "classes": list(predictions.classes),
        "counts": confusion.tolist(),
        "dataset": predictions.dataset,
        "split": predictions.split,
    }
    return Figure("confusion_matrix", "confusion-matrix", data, title="Confusion matrix: label and predicted class")


def _reliability(predictions: Predictions, labels: np.ndarray) -> Figure:
    """The reliability diagram, with the calibration error and the one that chance alone gives."""
    bins = calibration.reliability(predictions.confidence, predictions.predicted == labels)
    error, by_chance = calibration.calibration_error(bins), calibration.calibration_error_by_chance(bins)
    verdict = "so the probabilities are honest" if error <= by_chance else "so the probabilities mislead"
    note = (
        f"Expected calibration error: {error:.3f} (n = {len(labels):,}). Chance alone keeps an honest model below "
        f"{by_chance:.3f} in 95 of 100 cases, {verdict}."
    )
    rows = [
        {**one._asdict(), "interval": list(wilson(one.right, one.n)), "accuracy": one.right / one.n} for one in bins
    ]
    title = "When the model says 80 %, is it right 80 % of the time?"
    return Figure("reliability", "reliability", {"bins": rows, "error": error}, title=title, note=note)


class _Cells:
    """Pictures as cells of a `pictures` figure, matched by id, since unreadable pictures have no prediction."""

    def __init__(self, predictions: Predictions, labels: np.ndarray, pictures: Split | None) -> None:
        self.predictions, self.labels, self.pictures = predictions, labels, pictures
        self.indices: dict[str, int] = {}
        if pictures is not None:
            self.indices = {str(name): index for index, name in enumerate(pictures.ids)}
            missing = [name for name in predictions.ids if str(name) not in self.indices]
            if missing:
                raise DataError(
                    f"The predictions are for other pictures: '{missing[0]}' is not among the {len(pictures):,} "
                    f"pictures of '{pictures.name}'."
                )

    def __call__(self, index: int, *, large: bool = False) -> dict[str, Any]:
        """The cell of a picture; with `large`, also a picture that can be judged."""
        classes = self.predictions.classes
        name = str(self.predictions.ids[index])
        cell: dict[str, Any] = {
            "id": name,
            "label": classes[self.labels[index]],
            "predicted": classes[self.predictions.predicted[index]],
            "probability": float(self.predictions.confidence[index]),
        }
        if self.pictures is not None and large:
            cell["png"], picture = thumbnail_and_large(self.pictures, self.indices[name])
            cell |= {} if picture is None else {"jpeg": picture}
        elif self.pictures is not None:
            cell["png"] = thumbnail(self.pictures, self.indices[name])
        return cell


def _mistakes(predictions: Predictions, labels: np.ndarray, cells: _Cells, at_most: int) -> Figure:
    wrong = np.flatnonzero(predictions.predicted != labels)
    order = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:at_most]
    among = counted(len(predictions), "picture")
    if not len(wrong):
        note = f"No mistake among {among}."
    elif len(order) < len(wrong):
        some = f"{len(order):,} " if len(order) > 1 else ""
        note = f"The {some}most confident of {len(wrong):,} mistakes among {among}."
    elif len(wrong) == 1:
        note = f"The only mistake among {among}."
    else:
        every = "Both" if len(wrong) == 2 else f"All {len(wrong):,}"
        note = f"{every} mistakes among {among}, the most confident first."
    shown = [cells(index, large=True) for index in order]
    return Figure("mistakes", "pictures", {"cells": shown}, title="The most confident mistakes", note=note)


def _sample(predictions: Predictions, labels: np.ndarray, cells: _Cells) -> Figure:
    """A sample with up to a third of mistakes, since a plain sample of a good model would have none."""
    random = np.random.default_rng(0)
    wrong = np.flatnonzero(predictions.predicted != labels)
    right = np.flatnonzero(predictions.predicted == labels)
    wrong = random.permutation(wrong)[: max(SAMPLE // 3, SAMPLE - len(right))]
    right = random.permutation(right)[: SAMPLE - len(wrong)]
    shown = [cells(index) for index in random.permutation(np.concatenate([right, wrong]))]
    note = f"Drawn at random: {len(right)} right, {len(wrong)} wrong"
    note += "; not in their true proportion." if len(wrong) else "."
    return Figure("predictions", "pictures", {"cells": shown}, title="Some predictions", note=note)


def accuracy_without(predictions: Predictions, copied: Iterable[str]) -> Metric | None:
    """The accuracy without copies, with its interval; None if no picture or no copy is left.

    Args:
        predictions: predictions for N pictures, with labels.
        copied: ids of the pictures that are also in the training data.
    """
    if predictions.labels is None:
        return None
    remaining = ~np.isin(predictions.ids.astype(str), list(copied))
    n, out = int(remaining.sum()), int((~remaining).sum())
    if n == 0 or out == 0:
        return None
    right = int((predictions.predicted == predictions.labels)[remaining].sum())
    low, high = wilson(right, n)
    kind = f"{predictions.split} " if predictions.split else ""
    which = f"{out:,} {kind}pictures that are" if out > 1 else f"one {kind}picture that is"
    note = f"without the {which} also in the training data"
    return Metric("accuracy_without_copies", right / n, n, low, high, unit="fraction", note=note)


def count_scoring(findings: Findings, split: Split, model: str) -> Findings:
    """Records in the ledger that a test split was scored, and adds the number of times to the note of the accuracy.

    Args:
        findings: the findings on the split.
        split: the test split.
        model: the SHA-256 of the model.
    """
    count = str(ledger.record_scoring(split.fingerprint(), data=split.dataset, model=model))
    return Findings(
        tuple(
            replace(item, note="; ".join(part for part in (item.note, count) if part))
            if isinstance(item, Metric) and item.name == "accuracy"
            else item
            for item in findings
        ),
        findings.title,
    )
