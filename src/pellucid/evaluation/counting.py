"""How often a test split was scored stands beside what was scored on it."""

from __future__ import annotations

from dataclasses import replace

from pellucid.records import Findings, Metric, Split, ledger

__all__ = ["counted"]


def counted(findings: Findings, split: Split, model: str) -> Findings:
    """Notes in the ledger that a test split was scored, and says in the accuracy's note how often that was.

    Args:
        findings: what was found on it.
        split: the test split.
        model: the SHA-256 of the model.
    """
    said = str(ledger.note(split.fingerprint(), data=split.dataset, model=model))
    return Findings(
        tuple(
            replace(item, note="; ".join(part for part in (item.note, said) if part))
            if isinstance(item, Metric) and item.name == "accuracy"
            else item
            for item in findings
        ),
        findings.title,
    )
