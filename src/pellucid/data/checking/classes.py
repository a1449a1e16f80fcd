"""Classes: missing ones, small ones, and classes of very different size."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Metric, Remark, Table
from pellucid.statistics.intervals import wilson

__all__ = ["balance", "classes"]


_FEW_TO_SCORE, _FEW_TO_LEARN = 30, 20
"""Below these a class is named: its share of right answers is then known to no better than about ten per cent either
way, and there is little to learn from."""


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
        text = f"There is one class only, '{data.classes[0]}'; a classifier needs two or more."
        findings.append(Remark("one_class", "error", text, "Make one folder of pictures per class."))
    findings += [remark for name, n in counts.items() for remark in _of_split(data.classes, name, n, len(counts))]
    rows = tuple((label, *(int(n[i]) for n in counts.values())) for i, label in enumerate(data.classes))
    findings.append(Table("classes", ("class", *counts), rows))
    return findings


def _of_split(classes: tuple[str, ...], split: str, counts: np.ndarray, splits: int) -> list[Finding]:
    findings: list[Finding] = []
    lacking = [classes[i] for i in np.flatnonzero(counts == 0).tolist()]
    if lacking:
        what = "the class" if len(lacking) == 1 else f"{len(lacking):,} classes:"
        text = f"The {split} split lacks {what} {_listed(lacking)}."
        consequence = {
            "train": "A model cannot learn a class that it never sees.",
            "test": "The accuracy says nothing about classes that are not tested.",
        }.get(split, "The missing classes have no say in the choice of the epoch.")
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
            f"{_listed([f'{classes[i]} ({counts[i]})' for i in few.tolist()], quoted=False)}."
        )
        right = round(0.9 * n)
        low, high = wilson(right, n)
        advice = "More pictures of these help most."
        if split == "test":
            advice = (
                f"If {right} of the {n} of '{classes[least]}' were right, the true share could still lie anywhere "
                f"between {100 * low:.0f} and {100 * high:.0f} % (95 % interval). {advice}"
            )
        findings.append(Remark(f"few_in_{split}", "warning", text, advice, int(counts[few].sum())))
    return findings


def _listed(names: list[str], at_most: int = 8, *, quoted: bool = True) -> str:
    shown = ", ".join(f"'{name}'" if quoted else name for name in names[:at_most])
    return shown + (f" and {len(names) - at_most:,} more" if len(names) > at_most else "")


_WORTH_SAYING, _MISLEADING = 2.0, 5.0
"""How many times as many pictures the commonest class has as the rarest: from here on info, from there a warning."""


def balance(evidence: Evidence) -> list[Finding]:
    """The ratio of the commonest class of the training pictures to the rarest that is there, and a remark on it."""
    split = "train" if "train" in evidence.splits else evidence.splits[0]
    labels = evidence.labels[(evidence.split == evidence.splits.index(split)) & (evidence.labels >= 0)]
    counts = np.bincount(labels, minlength=len(evidence.data.classes))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return []
    most, least = (int(there[choose(counts[there])]) for choose in (np.argmax, np.argmin))
    ratio = counts[most] / counts[least]
    findings: list[Finding] = [
        Metric("imbalance", float(ratio), len(labels), unit="times", note="commonest to rarest class")
    ]
    if ratio < _WORTH_SAYING:
        return findings
    names = evidence.data.classes
    share = counts[most] / len(labels)
    text = (
        f"In {split} the class '{names[most]}' has {ratio:.1f} times the pictures of '{names[least]}' "
        f"({counts[most]:,} and {counts[least]:,})."
    )
    advice = (
        f"Always saying '{names[most]}' would be right on {100 * share:.0f} % of such pictures, so look at the recall "
        f"of each class beside the accuracy. Pictures of '{names[least]}' are worth most; "
        f"--recipe-set class_weights=balanced lets each class count the same; trained on photos without naming a "
        f"network, each does from 3 times on."
    )
    level = "warning" if ratio >= _MISLEADING else "info"
    return [*findings, Remark("imbalance_of_classes", level, text, advice)]
