"""Files and notes: unreadable pictures, file types that differ by class, strays, and what the reader left out."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.data.decoding import SUFFIXES
from pellucid.records import Finding, PictureFiles, Remark, Table

__all__ = ["file_types", "notes", "unreadable"]


_GAIN = 0.05
"""How much better the class may be guessed from the file type alone than without it, before that is named."""
_STRAY = 0.02
"""A type that fewer than this share of the pictures have is named picture by picture."""


def file_types(evidence: Evidence) -> list[Finding]:
    """Remarks, and a table of the types of each class, where pictures come from files of several types."""
    if not evidence.files:
        return []
    which = np.flatnonzero(evidence.statistics.readable & (evidence.statistics.kinds != ""))
    types, kind = np.unique(evidence.statistics.kinds[which], return_inverse=True)
    findings = _misnamed(evidence)
    if len(types) < 2:
        return findings
    counts = np.bincount(kind)
    rare = np.flatnonzero((counts <= max(1, _STRAY * len(which))) & (counts < counts.max()))
    if len(rare):
        strays = which[np.isin(kind, rare)]
        n = len(strays)
        what = f"the type {types[rare[0]]}" if len(rare) == 1 else f"types that few have ({', '.join(types[rare])})"
        text = (
            f"{n:,} picture{'s are' if n > 1 else ' is'} of {what}, where most are {types[np.argmax(counts)]}: "
            f"{evidence.named(strays)}."
        )
        advice = (
            "Look at them: a stray type often comes from another source, or is a placeholder for a missing picture."
        )
        findings.append(Remark("stray_file_type", "warning", text, advice, n, evidence.all_names(strays)))
    labelled = evidence.labels[which] >= 0
    if labelled.any():
        table = np.zeros((len(evidence.data.classes), len(types)), dtype=np.int64)
        np.add.at(table, (evidence.labels[which][labelled], kind[labelled]), 1)
        findings += _by_class(evidence.data.classes, types.tolist(), table)
    return findings


def _by_class(classes: tuple[str, ...], types: list[str], table: np.ndarray) -> list[Finding]:
    n = int(table.sum())
    guessed, blind = table.max(axis=0).sum() / n, table.sum(axis=1).max() / n
    findings: list[Finding] = []
    if guessed - blind >= _GAIN:
        text = (
            f"The file type tells the class: by it alone {100 * guessed:.0f} % of the pictures would be given the "
            f"right one, against {100 * blind:.0f} % without looking at all."
        )
        advice = (
            "Bring all pictures to one type from their originals, or gather each class the same way: else a network "
            "may learn the traces of compression."
        )
        findings.append(Remark("file_type_by_class", "warning", text, advice))
    rows = tuple((name, *(int(count) for count in row)) for name, row in zip(classes, table, strict=True))
    return [*findings, Table("file_types", ("class", *types), rows)]


def _misnamed(evidence: Evidence) -> list[Finding]:
    wrong = []
    for number, split in enumerate(evidence.data):
        if not isinstance(split.pictures, PictureFiles):
            continue
        start = int(np.argmax(evidence.split == number))
        for index, path in enumerate(split.pictures.paths):
            promised = SUFFIXES.get(path.suffix.lower())
            content_kind = evidence.statistics.kinds[start + index]
            if promised and content_kind not in ("", "other", promised):
                wrong.append(start + index)
    if not wrong:
        return []
    which, n = np.array(wrong), len(wrong)
    first = f"{evidence.name(wrong[0])} is {evidence.statistics.kinds[wrong[0]]}"
    text = f"{n:,} file{'s are' if n > 1 else ' is'} of another type than the name says: {first}."
    return [Remark("misnamed", "info", text, "They are read by their content.", n, evidence.all_names(which))]


def unreadable(evidence: Evidence) -> list[Finding]:
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


def notes(evidence: Evidence) -> list[Finding]:
    """A remark for each note; what other checks say themselves is not said twice."""
    own = (" lacks the class", "could not be read and left out")
    return [
        Remark("note", "info", note[:1].upper() + note[1:] + ("" if note.endswith((".", "?")) else "."))
        for note in evidence.data.notes
        if not any(part in note for part in own)
    ]
