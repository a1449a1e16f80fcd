"""Classes that a split lacks, and classes with too few pictures to say anything."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Remark, Table
from pellucid.statistics.intervals import wilson

__all__ = ["check"]

_FEW_TO_SCORE, _FEW_TO_LEARN = 30, 20
"""Below these a class is named: its share of right answers is then known to no better than about ten per cent either
way, and there is little to learn from."""


def check(evidence: Evidence) -> list[Finding]:
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
