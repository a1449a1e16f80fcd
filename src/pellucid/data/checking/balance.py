"""Classes of very different size: the accuracy of a model that always predicts the largest."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Metric, Remark

__all__ = ["check"]

_WORTH_SAYING, _MISLEADING = 2.0, 5.0
"""How many times as many pictures the commonest class has as the rarest: from here on info, from there a warning."""


def check(evidence: Evidence) -> list[Finding]:
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
