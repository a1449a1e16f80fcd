"""What reading the data left out or decided: the notes of the dataset."""

from __future__ import annotations

from pellucid.data.checking.evidence import Evidence
from pellucid.records import Finding, Remark

__all__ = ["check"]


def check(evidence: Evidence) -> list[Finding]:
    """A remark for each note; what other checks say themselves is not said twice."""
    own = (" lacks the class", "could not be read and left out")
    return [
        Remark("note", "info", note[:1].upper() + note[1:] + ("" if note.endswith((".", "?")) else "."))
        for note in evidence.data.notes
        if not any(part in note for part in own)
    ]
