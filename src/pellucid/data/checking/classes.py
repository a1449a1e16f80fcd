"""Missing classes, small classes, and class imbalance."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Metric, Remark, Table
from pellucid.records.names import listed
from pellucid.statistics.intervals import wilson

__all__ = ["balance", "classes"]


_FEW_TO_SCORE, _FEW_TO_LEARN = 30, 20
"""Report classes with fewer pictures, in the split that is scored and in the training split. Below 30, the recall of a
class is known to about ±10 % at best."""


def classes(evidence: Evidence) -> list[Finding]:
    """Remarks on missing and small classes, and a table of the counts."""
    data = evidence.data
    if (evidence.labels < 0).all():
        return [Remark("no_labels", "warning", "The labels are unknown, so classes are not checked.")]
    counts = {
        name: np.bincount(
            evidence.labels[evidence.split == i][evidence.labels[evidence.split == i] >= 0], minlength=len(data.classes)
        )
        for i, name in enumerate(evidence.splits)
    }
    findings: list[Finding] = []
    if len(data.classes) == 1:
        text = f"There is only one class, '{data.classes[0]}'; a classifier needs at least two."
        findings.append(Remark("one_class", "error", text, "Make one folder of pictures per class."))
    findings += [remark for name, n in counts.items() for remark in _of_split(data.classes, name, n, len(counts))]
    rows = tuple((label, *(int(n[i]) for n in counts.values())) for i, label in enumerate(data.classes))
    findings.append(Table("classes", ("class", *counts), rows))
    return findings


def _of_split(classes: tuple[str, ...], split: str, counts: np.ndarray, splits: int) -> list[Finding]:
    findings: list[Finding] = []
    lacking = [classes[i] for i in np.flatnonzero(counts == 0).tolist()]
    if lacking:
        noun = "the class" if len(lacking) == 1 else f"{len(lacking):,} classes:"
        text = f"The {split} split lacks {noun} {listed(lacking, 8)}."
        consequence = {
            "train": "A model cannot learn a class that it never sees.",
            "test": "The accuracy says nothing about these classes.",
        }.get(split, "These classes do not count in the choice of the epoch.")
        advice = f"{consequence} Add pictures, or give one folder without splits: each split then gets a share."
        level = "warning" if split == "validation" else "error"
        findings.append(Remark(f"class_missing_in_{split}", level, text, advice))
    scored = split == "test" or splits == 1
    bound = _FEW_TO_SCORE if scored else _FEW_TO_LEARN if split == "train" else 0
    few = np.flatnonzero((counts > 0) & (counts < bound))
    if len(few):
        least = int(few[np.argmin(counts[few])])
        n = int(counts[least])
        text = (
            f"In {split}, {len(few):,} class{'es have' if len(few) > 1 else ' has'} fewer than {bound} pictures: "
            f"{listed([f'{classes[i]} ({counts[i]})' for i in few.tolist()], 8, quoted=False)}."
        )
        right = round(0.9 * n)
        low, high = wilson(right, n)
        advice = "More pictures of these classes help most."
        if split == "test":
            advice = (
                f"If {right} of the {n} of '{classes[least]}' were right, the true recall could be anywhere between "
                f"{100 * low:.0f} and {100 * high:.0f} % (95 % interval). {advice}"
            )
        findings.append(Remark(f"few_in_{split}", "warning", text, advice, int(counts[few].sum())))
    return findings


_IMBALANCE_INFO, _IMBALANCE_WARNING = 2.0, 5.0
"""Ratio of the largest class to the smallest from which on the remark is an info, and a warning."""


def balance(evidence: Evidence) -> list[Finding]:
    """Ratio of the largest class of the training pictures to the smallest that is not empty, with a remark."""
    split = "train" if "train" in evidence.splits else evidence.splits[0]
    labels = evidence.labels[(evidence.split == evidence.splits.index(split)) & (evidence.labels >= 0)]
    counts = np.bincount(labels, minlength=len(evidence.data.classes))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return []
    most, least = int(present[np.argmax(counts[present])]), int(present[np.argmin(counts[present])])
    ratio = counts[most] / counts[least]
    findings: list[Finding] = [
        Metric("imbalance", float(ratio), len(labels), unit="times", note="largest to smallest class")
    ]
    if ratio < _IMBALANCE_INFO:
        return findings
    names = evidence.data.classes
    share = counts[most] / len(labels)
    text = (
        f"In {split} the class '{names[most]}' has {ratio:.1f} times the pictures of '{names[least]}' "
        f"({counts[most]:,} and {counts[least]:,})."
    )
    advice = (
        f"Always predicting '{names[most]}' would be right on {100 * share:.0f} % of these pictures, so compare the "
        f"recall of each class too. More pictures of '{names[least]}' help most. "
        f"--recipe-set class_weights=balanced gives every class the same weight; without --network, training on photos "
        f"does so from a ratio of 3."
    )
    level = "warning" if ratio >= _IMBALANCE_WARNING else "info"
    return [*findings, Remark("imbalance_of_classes", level, text, advice)]
