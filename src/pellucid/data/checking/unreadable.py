"""Pictures that cannot be read: each by its name, with the reason."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Remark, Table

__all__ = ["check"]


def check(evidence: Evidence) -> list[Finding]:
    """A remark and a table of (picture, reason)."""
    reasons = evidence.statistics.reasons
    if not reasons:
        return []
    which = np.array(sorted(reasons))
    n = len(which)
    text = f"{n:,} picture{'s' * (n > 1)} cannot be read: {evidence.named(which)}."
    if n <= 3:
        text = f"{n:,} picture{'s' * (n > 1)} cannot be read. " + " ".join(reasons[i] for i in which.tolist())
    advice = "Copy them again from where they came, or remove them. Training leaves them out, and names them."
    rows = tuple((evidence.name(i), reasons[i]) for i in which.tolist())
    return [
        Remark("unreadable", "error", text, advice, n, evidence.all_names(which)),
        Table("unreadable_pictures", ("picture", "reason"), rows),
    ]
