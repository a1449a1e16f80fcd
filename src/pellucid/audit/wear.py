"""Test-set wear: how often the test split was scored, and what that allows one to believe.

The best of M models on one split is too good: part of what it is best at is chance. The ledger of scorings counts the
models of this machine. An interval that holds for all M at once has the confidence 1 − 0.05 / M for each (Bonferroni).
"""

from __future__ import annotations

import math

from pellucid.audit.subject import Subject
from pellucid.records import Finding, Metric, Remark, ledger
from pellucid.statistics.intervals import wilson

__all__ = ["WORN", "check"]

WORN = 7
"""From this number of models on, the expected advantage of the best by chance alone, √(2 ln M) standard errors, exceeds
half of a 95 % interval, 1.96 standard errors."""


def check(subject: Subject) -> list[Finding]:
    """Counts the scorings of this split."""
    assert subject.pictures is not None
    count = ledger.count(subject.scored_split or subject.pictures.fingerprint())
    right, n = int(subject.right.sum()), len(subject)
    if not count.times:
        return [Remark("wear", "info", "The ledger knows of no scoring of this split on this machine.")]
    low, high = wilson(right, n, 1 - 0.05 / max(count.models, 1))
    note = f"holds for all {count.models:,} models that were scored on this split, at 95 %"
    metric = Metric("accuracy_after_wear", right / n, n, low, high, unit="fraction", note=note)
    times = f"{count.times:,} time{'s' * (count.times != 1)}, by {count.models:,} model{'s' * (count.models != 1)}"
    interval = f"{100 * low:.1f} to {100 * high:.1f} %"
    if count.models < WORN:
        return [Remark("wear", "info", f"Scored {times}. The accuracy that holds for all: {interval}."), metric]
    advantage = math.sqrt(2 * math.log(count.models) * (right / n) * (1 - right / n) / n)
    text = (
        f"Scored {times}. If you chose this model because it is the best of them, its accuracy may be too good by "
        f"about {100 * advantage:.1f} points. The accuracy that holds for all: {interval}."
    )
    advice = "Choose models on validation, and collect new test pictures for the final number."
    return [Remark("wear", "warning", text, advice, n), metric]
