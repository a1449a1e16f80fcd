"""`evaluate`: scores predictions against labels and returns findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.thumbnails import thumbnail, thumbnail_and_large
from pellucid.errors import DataError, UsageError
from pellucid.records import Figure, Finding, Findings, Metric, Predictions, Remark, Split, Table, ledger
from pellucid.records.names import counted, listed
from pellucid.statistics import calibration, metrics
from pellucid.statistics.intervals import bootstrap_t, f1, in_words, mean_of_shares, wilson
from pellucid.statistics.sample_size import more_pictures, to_meet, to_narrow

__all__ = ["accuracy_without", "count_scoring"]


SAMPLE = 24
"""Pictures in the sample of right and wrong predictions."""

UNCERTAIN = 0.05
"""From this half width of its interval on, the accuracy comes with a sentence about the number of pictures."""

CONFUSIONS = 50
"""Most rows in the table of confusions."""


def evaluate(predictions: Predictions, pictures: Split | None = None, *, mistakes: int = 24) -> Findings:
    """Scores predictions against the labels.

    The findings, in this order: the metrics `accuracy`, `balanced_accuracy` (for two or more classes), `base_rate`,
    `top_5_accuracy` (for more than five classes), `loss` and `brier` (for probabilities), `accepted` and
    `accuracy_of_accepted` (if the model abstains), each with its 95 % interval and the method of it; the remark
    `sample_size` (if the accuracy is uncertain by more than five points); the tables `per_class` and `confusions`; the
    figures `confusion_matrix`, `reliability`, `mistakes` (the most confident ones first) and `predictions` (a seeded
    sample).

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
        *_abstention(predictions, labels),
        *_sample_size(predictions, labels),
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
    return [*rows, *_of_probabilities(predictions.probabilities, labels)]


def _of_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> list[Metric]:
    """Log loss and Brier score; none if the predictions are bare answers, which have no probabilities."""
    if not metrics.are_probabilities(probabilities):
        return []
    losses, squares = metrics.log_losses(probabilities, labels), metrics.brier_scores(probabilities, labels)
    n, low, high, method = len(labels), (None, None), (None, None), ""
    if n > 1:
        lows, highs = bootstrap_t(np.stack([losses, squares], axis=1))
        low, high = np.maximum(lows, 0.0).tolist(), np.minimum(highs, metrics.LARGEST).tolist()
        method = "bootstrap-t"
    loss_note = "log loss: the mean of −log p of the label; p is at least 1.2e-07"
    brier_note = (
        "the mean squared distance of the probabilities from the answer, summed over the classes: 0 (best) to 2"
    )
    return [
        Metric("loss", float(losses.mean()), n, low[0], high[0], unit="nats", note=loss_note, method=method),
        Metric("brier", float(squares.mean()), n, low[1], high[1], note=brier_note, method=method),
    ]


def _sample_size(predictions: Predictions, labels: np.ndarray) -> list[Remark]:
    """What few pictures allow one to say, and how many more would say more."""
    n, right = len(labels), int((predictions.predicted == labels).sum())
    low, high = wilson(right, n)
    if high - low <= 2 * UNCERTAIN:
        return []
    base, _ = metrics.base_rate(labels, len(predictions.classes))
    share = right / n
    guessing = ""
    if low <= base <= high and base < 1:
        settled = more_pictures(to_meet(share, base), n)
        guessing = " It is not shown to be better than always predicting the most frequent class"
        guessing += f"; {settled} would probably settle it." if settled and share > base else "."
    more = more_pictures(to_narrow(share, UNCERTAIN), n)
    advice = f"To know it to within {100 * UNCERTAIN:.0f} points, collect {more}." if more else ""
    return [Remark("sample_size", "info", f"{in_words(right, n)}.{guessing}", advice)]


def _abstention(predictions: Predictions, labels: np.ndarray) -> list[Metric]:
    """The share of accepted answers and their accuracy, if the model abstains."""
    if predictions.abstain_below is None:
        return []
    accepted = predictions.accepted
    right = int((accepted & (predictions.predicted == labels)).sum())
    note = ""
    if not accepted.all():
        note = f"the others have a probability below {100 * predictions.abstain_below:.2f} %, and are 'not sure'"
    items = [_share("accepted", int(accepted.sum()), len(labels), note)]
    return [*items, *([_share("accuracy_of_accepted", right, int(accepted.sum()))] if accepted.any() else [])]


def _balanced(predictions: Predictions, labels: np.ndarray) -> list[Metric]:
    """The balanced accuracy, if there are at least two classes."""
    label_counts = np.bincount(labels, minlength=len(predictions.classes))
    right = np.bincount(labels[predictions.predicted == labels], minlength=len(predictions.classes))[label_counts > 0]
    label_counts = label_counts[label_counts > 0]
    if len(label_counts) < 2:
        return []
    low, high = mean_of_shares(right, label_counts)
    note = f"the mean recall of {counted(len(label_counts), 'class', 'classes')}"
    value = float((right / label_counts).mean())
    return [
        Metric(
            "balanced_accuracy",
            value,
            len(labels),
            low,
            high,
            unit="fraction",
            note=note,
            method="Wilson of each class, combined (Zou and Donner 2008)",
        )
    ]


def _share(name: str, right: int, n: int, note: str = "") -> Metric:
    low, high = wilson(right, n)
    return Metric(name, right / n, n, low, high, unit="fraction", note=note, method="Wilson")


def _per_class(classes: tuple[str, ...], confusion: np.ndarray) -> Table:
    scores = metrics.per_class(confusion)
    hits, support, predicted = np.diagonal(confusion).tolist(), scores.support.tolist(), confusion.sum(axis=0).tolist()
    nothing = (None, None)
    rows = tuple(
        (name, _defined(precision), _defined(recall), _defined(score), n, said,
         *(wilson(right, said) if said else nothing), *(wilson(right, n) if n else nothing),
         *(f1(right, n, said) if n + said else nothing))
        for name, precision, recall, score, right, n, said in zip(
            classes, scores.precision, scores.recall, scores.f1, hits, support, predicted, strict=True
        )
    )  # fmt: skip
    notes = ["In parentheses: 95 % Wilson intervals."]
    absent = [name for name, n in zip(classes, scores.support, strict=True) if n == 0]
    if absent:
        notes.append(f"No pictures, so no recall: {listed(absent, 10)}.")
    never = [name for name, precision in zip(classes, scores.precision, strict=True) if np.isnan(precision)]
    if never:
        notes.append(f"Never predicted, so no precision: {listed(never, 10)}.")
    limits = tuple(f"{score} {limit} %" for score in ("precision", "recall", "F1") for limit in ("low", "high"))
    columns = ("class", "precision %", "recall %", "F1 %", "n", "predicted", *limits)
    return Table("per_class", columns, rows, " ".join(notes))


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
    return Metric("accuracy_without_copies", right / n, n, low, high, unit="fraction", note=note, method="Wilson")


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
