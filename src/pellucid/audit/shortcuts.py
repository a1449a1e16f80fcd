"""Shortcuts: things that should not matter, but predict the label.

A network takes the easiest path: it may learn the background, the camera or the file size instead of the object
(Geirhos et al., "Shortcut learning in deep neural networks", 2020). So a linear probe predicts the label from each such
view alone, by 5-fold cross-validation. An alarm needs both: the probe's accuracy is above the base rate (exact binomial
test, Holm's correction over the views, 5 %), and it closes a fifth of the way from the base rate to 100 %.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.audit.shortcut_views import OBJECT, VIEWS, middle, sample_of
from pellucid.audit.subject import Subject
from pellucid.data.progress import watched
from pellucid.inference import runner
from pellucid.inference.streaming import chunks
from pellucid.records import Finding, Metric, Remark, Table
from pellucid.records.names import listed
from pellucid.statistics.groups import holm, is_above
from pellucid.statistics.intervals import wilson
from pellucid.statistics.metrics import base_rate
from pellucid.training.methods.head import fit

LEVEL = 0.05
STRENGTH = 0.2
"""A shortcut closes at least this part of the way from the base rate to 100 %."""
_SAMPLE, _FULL = 1500, 10_000
_HIDDEN_SAMPLE = 1000
_FOLDS = 5
_PENALTY = 30.0
_LEAST = 20


def check(subject: Subject) -> list[Finding]:
    """Probes the training pictures, or the scored ones if there are none, and hides parts of the scored ones."""
    assert subject.pictures is not None
    source = subject.train if subject.train is not None and subject.train.labels is not None else subject.pictures
    rows = _drawn(len(source), _FULL if subject.full else _SAMPLE, subject.seed)
    sample, rows = sample_of(source, rows)
    labels = source.known_labels()[rows]
    if len(rows) < _LEAST or len(np.unique(labels)) < 2:
        return [Remark("shortcuts", "info", f"{len(rows):,} pictures are too few to say; {_LEAST} are needed.")]
    results: dict[str, int] = {}

    def work() -> Iterator[None]:
        for name, view in VIEWS.items():
            values = view(sample)
            if values is not None:
                results[name] = int((cross_validated(values, labels, subject.seed) == labels).sum())
            yield None

    for _ in watched(work(), len(VIEWS), "Probing for shortcuts"):
        pass
    return _findings(subject, results, labels, source.name)


def _drawn(n: int, most: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def cross_validated(values: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """The label of each picture, predicted by a linear probe trained without it: int64 (N,).

    Args:
        values: (N, D).
        labels: (N,).
        seed: of the folds.
    """
    known, positions = np.unique(labels, return_inverse=True)
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    counts = np.bincount(positions)
    predicted = np.full(len(labels), known[counts.argmax()])
    if not scaled.shape[1]:
        return predicted
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    for fold in range(_FOLDS):
        out = folds == fold
        head = fit(scaled[~out], positions[~out], len(known), _PENALTY)
        predicted[out] = known[head(scaled[out]).argmax(axis=1)]
    return predicted


def _findings(subject: Subject, results: dict[str, int], labels: np.ndarray, split: str) -> list[Finding]:
    n = len(labels)
    base, _ = base_rate(labels, int(labels.max()) + 1)
    tested = [name for name in results if name not in OBJECT]
    adjusted = dict(zip(tested, holm([is_above(results[name], n, base) for name in tested]), strict=True))
    strong = [name for name in tested if adjusted[name] <= LEVEL and results[name] / n - base >= STRENGTH * (1 - base)]
    strong.sort(key=lambda name: -results[name])
    rows = tuple(
        (name, right / n, *wilson(right, n), n, None if name in OBJECT else float(adjusted[name]),
         "shows the object too" if name in OBJECT else "predicts the class" if name in strong else "no alarm")
        for name, right in results.items()
    )  # fmt: skip
    note = f"Base rate {100 * base:.1f} %. {_FOLDS}-fold cross-validation, {n:,} pictures of {split}; p after Holm."
    table = Table("shortcut_probes", ("view", "accuracy %", "low %", "high %", "n", "p", "result"), rows, note)
    hidden = _hidden(subject)
    effect = "".join(f" With the {metric.name.split('_')[-1]} hidden, the model is right on "
                     f"{100 * metric.value:.1f} % of {metric.n:,}." for metric in hidden)  # fmt: skip
    if not strong:
        best = max(tested, key=lambda name: results[name])
        text = f"No shortcut among {len(tested)}: the {best} alone reaches {_percent(results[best], n, base)}.{effect}"
        return [Remark("shortcuts", "info", text), table, *hidden]
    first = f"The {strong[0]} alone predicts the class with {_percent(results[strong[0]], n, base)}."
    others = [f"the {name} {100 * results[name] / n:.0f} %" for name in strong[1:]]
    more = f" Also {listed(others, 4, quoted=False)}." if others else ""
    advice = (
        "The model may look there instead of at the object. Collect pictures in which it does not go with the class, "
        "and look with: pellucid inspect MODEL --why --picture PICTURE."
    )
    return [Remark("shortcuts", "warning", f"{first}{more}{effect}", advice, n), table, *hidden]


def _percent(right: int, n: int, base: float) -> str:
    return f"{100 * right / n:.0f} % (base rate {100 * base:.0f} %)"


def _hidden(subject: Subject) -> list[Metric]:
    """The accuracy of the model on pictures whose middle, or everything else, is painted in their mean colour."""
    if subject.model is None or subject.pictures is None:
        return []
    rows = _drawn(len(subject), len(subject) if subject.full else _HIDDEN_SAMPLE, subject.seed)
    ready, preprocessing = runner.runner(subject.model), subject.model.specification.preprocessing
    right = {"middle": 0, "border": 0}
    for chunk in chunks(subject.pictures.pictures, preprocessing, rows.tolist()):
        for part in right:
            pixels = np.array(chunk.pictures)
            mean = pixels.mean(axis=(2, 3), keepdims=True).round().astype(np.uint8)
            inside = np.zeros(pixels.shape[2:], dtype=bool)
            inside[middle(*pixels.shape[2:])] = True
            is_hidden = inside if part == "middle" else ~inside
            hidden = np.where(is_hidden, mean, pixels)
            right[part] += int((ready.outputs(hidden).argmax(axis=1) == subject.labels[chunk.indices]).sum())
    metrics = []
    for part, count in right.items():
        low, high = wilson(count, len(rows))
        note = f"the {part} painted in the mean colour; each is half of the area"
        value = count / len(rows)
        metrics.append(Metric(f"accuracy_without_{part}", value, len(rows), low, high, unit="fraction", note=note))
    return metrics
