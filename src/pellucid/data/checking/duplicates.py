"""Copies of one picture: across splits, across classes, or within one split and class."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.checking.evidence import Evidence, cell
from pellucid.data.checking.near_duplicates import components
from pellucid.records import Figure, Finding, Remark, Table

__all__ = ["duplicates", "leaked"]

_MAX_ROWS, _MAX_GROUPS, _MAX_CELLS = 5000, 12, 6


def duplicates(evidence: Evidence) -> list[Finding]:
    """Remarks on copies across splits, across classes and within both; a table of pairs; a figure of groups."""
    pairs = evidence.pairs
    if not len(pairs):
        return []
    first, second = pairs.first, pairs.second
    known = (evidence.labels[first] >= 0) & (evidence.labels[second] >= 0)
    conflicting = known & (evidence.labels[first] != evidence.labels[second])
    across = evidence.split[first] != evidence.split[second]
    findings: list[Finding] = [
        *_across_splits(evidence),
        *_across_classes(evidence, conflicting),
        *_within_class(evidence, ~conflicting & ~across),
    ]
    order = np.lexsort((-pairs.similarity, ~across, ~conflicting))
    findings.append(_table(evidence, order))
    findings.append(_figure(evidence, first[order], second[order]))
    return findings


def leaked(evidence: Evidence, split: str = "test") -> np.ndarray:
    """Indices into all pictures of those in a split that have a copy in another split, int64."""
    if split not in evidence.splits:
        return np.zeros(0, dtype=np.int64)
    return _shared(evidence, split, tuple(name for name in evidence.splits if name != split))


def _shared(evidence: Evidence, split: str, others: tuple[str, ...]) -> np.ndarray:
    """Indices of the pictures of a split that share a group of copies with a picture of one of the other splits."""
    group = components(len(evidence), evidence.pairs.first, evidence.pairs.second)
    in_split = evidence.split == evidence.splits.index(split)
    in_others = np.isin(evidence.split, [evidence.splits.index(name) for name in others])
    return np.flatnonzero(in_split & np.isin(group, group[in_others]))


def _across_splits(evidence: Evidence) -> list[Finding]:
    """A remark for each of test and validation that shares pictures with the training data."""
    findings: list[Finding] = []
    for split, candidates in (("test", ("train", "validation")), ("validation", ("train",))):
        others = tuple(name for name in candidates if name in evidence.splits)
        indices = _shared(evidence, split, others) if split in evidence.splits and others else np.zeros(0, np.int64)
        n = len(indices)
        if not n:
            continue
        total = int((evidence.split == evidence.splits.index(split)).sum())
        text = (
            f"{n:,} of {total:,} {split} picture{'s' * (total > 1)} ({_percent(n / total)}) {'are' if n > 1 else 'is'} "
            f"also in {' or '.join(others)}{_exactly(evidence, indices)}: {evidence.named(indices, 3)}."
        )
        advice = (
            f"A model can memorise these, so the accuracy is too high. Remove them from {split}, or give one folder "
            f"without splits: copies then stay on one side. Training also reports the accuracy without them."
        )
        findings.append(Remark(f"copies_of_{split}", "error", text, advice, n, evidence.all_names(indices)))
    return findings


def _across_classes(evidence: Evidence, conflicting: np.ndarray) -> list[Finding]:
    first, second = evidence.pairs.first[conflicting], evidence.pairs.second[conflicting]
    if not len(first):
        return []
    indices = np.unique(np.concatenate([first, second]))
    a, b = int(first[0]), int(second[0])
    text = (
        f"{len(indices):,} pictures have a copy in another class{_exactly(evidence, indices)}; for example "
        f"{evidence.name(a)} ({evidence.label(a)}) and {evidence.name(b)} ({evidence.label(b)})."
    )
    advice = "Decide which class is right, and remove the other copy: at most one of the labels is correct."
    return [Remark("copies_in_two_classes", "error", text, advice, len(indices), evidence.all_names(indices))]


def _within_class(evidence: Evidence, within: np.ndarray) -> list[Finding]:
    first, second = evidence.pairs.first[within], evidence.pairs.second[within]
    if not len(first):
        return []
    indices = np.unique(np.concatenate([first, second]))
    text = (
        f"{len(indices):,} pictures have a copy in the same split and class{_exactly(evidence, indices)}; for example "
        f"{evidence.name(int(first[0]))} and {evidence.name(int(second[0]))}."
    )
    advice = (
        "Each counts twice. If Pellucid makes the splits, copies stay on one side; otherwise remove the extra ones."
    )
    return [Remark("copies_within", "warning", text, advice, len(indices), evidence.all_names(indices))]


def _exactly(evidence: Evidence, indices: np.ndarray) -> str:
    """How many of these pictures have a copy with exactly the same pixels, in words.

    The others may be changed files of one shot, or further shots of the same object: from the pixels, a slightly other
    exposure or framing of a second shot cannot be told from an edited copy.
    """
    exact = evidence.exact
    members = np.concatenate([evidence.pairs.first[exact], evidence.pairs.second[exact]])
    n = int(np.isin(indices, members).sum())
    if n == len(indices):
        return ", pixel by pixel"
    return f" ({n:,} of them pixel by pixel)" if n else " (edited copies, or further shots of the same object)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"


def _table(evidence: Evidence, order: np.ndarray) -> Table:
    pairs, rows = evidence.pairs, []
    for pair in order[:_MAX_ROWS].tolist():
        both = [
            part
            for i in (int(pairs.first[pair]), int(pairs.second[pair]))
            for part in (evidence.name(i), evidence.splits[evidence.split[i]], evidence.label(i))
        ]
        rows.append((*both, _change(evidence, pair), round(float(pairs.similarity[pair]), 3)))
    note = "" if len(order) <= _MAX_ROWS else f"The first {_MAX_ROWS:,} of {len(order):,} pairs."
    columns = ("picture", "split", "class", "copy", "its split", "its class", "how", "similarity")
    return Table("copies_of_pictures", columns, tuple(rows), note)


def _change(evidence: Evidence, pair: int) -> str:
    """How the two pictures of a pair differ, in words."""
    if evidence.exact[pair]:
        return "the same pixels"
    changes = {"mirrored": evidence.pairs.mirrored[pair], "cropped": evidence.pairs.cropped[pair]}
    return " and ".join(name for name, applies in changes.items() if applies) or "nearly the same"


def _figure(evidence: Evidence, first: np.ndarray, second: np.ndarray) -> Figure:
    """The first groups of copies, one row of pictures each."""
    component = components(len(evidence), first, second)
    numbers = list(dict.fromkeys(component[first].tolist()))
    groups: list[dict[str, Any]] = []
    for number in numbers[:_MAX_GROUPS]:
        members = np.flatnonzero(component == number)
        caption = f"{len(members):,} copies"
        if len(members) > _MAX_CELLS:
            caption += f", {_MAX_CELLS} of them shown"
        groups.append({"caption": caption, "cells": [cell(evidence, int(i)) for i in members[:_MAX_CELLS]]})
    note = ""
    if len(numbers) > _MAX_GROUPS:
        note = f"The first {_MAX_GROUPS} of {len(numbers):,} groups; those in two classes or splits come first."
    return Figure("copies", "picture-rows", {"groups": groups}, title="Copies, and shots of the same object", note=note)
