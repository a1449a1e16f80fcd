"""Rules on pictures that should not know of each other."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid.insight.linting.flaw import Flaw
from pellucid.insight.linting.networks.evidence import Evidence


def mixed_pictures(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs for one picture that change when the others of its batch do, in evaluation mode."""
    if evidence.mixed:
        yield Flaw(
            evidence.last.place if evidence.last is not None else evidence.subject.name,
            "In evaluation mode the outputs for a picture change with the other pictures of its batch: the same "
            "picture gets one answer today and another one tomorrow. A softmax over dim=0, a batch norm without "
            "running statistics, attention or recurrence without batch_first=True, and a reshape across the batch do "
            "that.",
            "Leave the first dimension alone: dim=1, batch_first=True, track_running_stats=True, x.flatten(1).",
        )
