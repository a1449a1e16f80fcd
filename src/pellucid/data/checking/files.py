"""Files: unreadable pictures, rare or misnamed file types, types that predict the class, and notes of the reader."""

from __future__ import annotations

import numpy as np

from pellucid.data.checking.evidence import Evidence
from pellucid.data.decoding import SUFFIXES
from pellucid.records import Finding, PictureFiles, Remark, Table
from pellucid.records.names import counted

__all__ = ["file_types", "notes", "unreadable"]


_GAIN = 0.05
"""Report that the file type predicts the class if it raises the share of right guesses by at least this much."""
_RARE = 0.02
"""Name the pictures of a file type that at most this share of all pictures has."""


def file_types(evidence: Evidence) -> list[Finding]:
    """Remarks on misnamed and rare file types; a table of types by class if there are several."""
    if not evidence.files:
        return []
    which = np.flatnonzero(evidence.statistics.readable & (evidence.statistics.file_types != ""))
    types, type_index = np.unique(evidence.statistics.file_types[which], return_inverse=True)
    findings = _misnamed(evidence)
    if len(types) < 2:
        return findings
    counts = np.bincount(type_index)
    rare = np.flatnonzero((counts <= max(1, _RARE * len(which))) & (counts < counts.max()))
    if len(rare):
        strays = which[np.isin(type_index, rare)]
        n = len(strays)
        names = f"the type {types[rare[0]]}" if len(rare) == 1 else f"rare types ({', '.join(types[rare])})"
        text = (
            f"{n:,} picture{'s are' if n > 1 else ' is'} of {names}; most are {types[np.argmax(counts)]}: "
            f"{evidence.named(strays)}."
        )
        advice = "Look at them: pictures of a rare type often come from another source, or are placeholders."
        findings.append(Remark("stray_file_type", "warning", text, advice, n, evidence.all_names(strays)))
    labelled = evidence.labels[which] >= 0
    if labelled.any():
        table = np.zeros((len(evidence.data.classes), len(types)), dtype=np.int64)
        np.add.at(table, (evidence.labels[which][labelled], type_index[labelled]), 1)
        findings += _by_class(evidence.data.classes, types.tolist(), table)
    return findings


def _by_class(classes: tuple[str, ...], types: list[str], table: np.ndarray) -> list[Finding]:
    n = int(table.sum())
    by_type, by_majority = table.max(axis=0).sum() / n, table.sum(axis=1).max() / n
    findings: list[Finding] = []
    if by_type - by_majority >= _GAIN:
        text = (
            f"The file type predicts the class: a guess from the type alone is right for {100 * by_type:.0f} % of the "
            f"pictures, always guessing the most frequent class for {100 * by_majority:.0f} %."
        )
        advice = (
            "Save all pictures in one type from their originals, or collect every class the same way; otherwise a "
            "network may learn compression artefacts."
        )
        findings.append(Remark("file_type_by_class", "warning", text, advice))
    rows = tuple((name, *(int(count) for count in row)) for name, row in zip(classes, table, strict=True))
    return [*findings, Table("file_types", ("class", *types), rows)]


def _misnamed(evidence: Evidence) -> list[Finding]:
    """A remark on files whose suffix does not match their content."""
    wrong = []
    for number, split in enumerate(evidence.data):
        if not isinstance(split.pictures, PictureFiles):
            continue
        start = int(np.argmax(evidence.split == number))
        for index, path in enumerate(split.pictures.paths):
            by_suffix = SUFFIXES.get(path.suffix.lower())
            by_content = evidence.statistics.file_types[start + index]
            if by_suffix and by_content not in ("", "other", by_suffix):
                wrong.append(start + index)
    if not wrong:
        return []
    which, n = np.array(wrong), len(wrong)
    first = f"{evidence.name(wrong[0])} is {evidence.statistics.file_types[wrong[0]]}"
    text = f"The suffix of {counted(n, 'file')} does not match the content: {first}."
    return [Remark("misnamed", "info", text, "Pellucid reads them by their content.", n, evidence.all_names(which))]


def unreadable(evidence: Evidence) -> list[Finding]:
    """A remark on unreadable pictures, and a table of (picture, reason)."""
    reasons = evidence.statistics.reasons
    if not reasons:
        return []
    which = np.array(sorted(reasons))
    n = len(which)
    text = f"{counted(n, 'picture')} cannot be read: {evidence.named(which)}."
    if n <= 3:
        text = f"{counted(n, 'picture')} cannot be read. " + " ".join(reasons[i] for i in which.tolist())
    advice = "Copy them again from their source, or remove them. Training skips them and lists them."
    rows = tuple((evidence.name(i), reasons[i]) for i in which.tolist())
    return [
        Remark("unreadable", "error", text, advice, n, evidence.all_names(which)),
        Table("unreadable_pictures", ("picture", "reason"), rows),
    ]


def notes(evidence: Evidence) -> list[Finding]:
    """A remark for each note of the dataset, except notes that another check covers."""
    covered = (" lacks the class", "could not be read and left out")
    return [
        Remark("note", "info", note[:1].upper() + note[1:] + ("" if note.endswith((".", "?")) else "."))
        for note in evidence.data.notes
        if not any(part in note for part in covered)
    ]
