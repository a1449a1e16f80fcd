"""Copies of one picture: in two splits, in two classes, or side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.checking.evidence import Evidence, cell
from pellucid.data.checking.near_duplicates import components
from pellucid.records import Figure, Finding, Remark, Table

__all__ = ["duplicates", "leaked", "shared"]

_ROWS, _FAMILIES, _CELLS = 5000, 12, 6


def duplicates(evidence: Evidence) -> list[Finding]:
    """Remarks on copies across splits, across classes and within both; a table of the pairs; a figure of families."""
    pairs = evidence.pairs
    if not len(pairs):
        return []
    first, second = pairs.first, pairs.second
    known = (evidence.labels[first] >= 0) & (evidence.labels[second] >= 0)
    torn = known & (evidence.labels[first] != evidence.labels[second])
    across = evidence.split[first] != evidence.split[second]
    findings: list[Finding] = [*_across(evidence), *_torn(evidence, torn), *_within(evidence, ~torn & ~across)]
    order = np.lexsort((-pairs.similarity, ~across, ~torn))
    findings.append(_table(evidence, order))
    findings.append(_figure(evidence, first[order], second[order]))
    return findings


def leaked(evidence: Evidence, split: str = "test") -> np.ndarray:
    """The pictures of a split that have a copy in another one, as indices into all, int64."""
    if split not in evidence.splits:
        return np.zeros(0, dtype=np.int64)
    return shared(evidence, split, tuple(name for name in evidence.splits if name != split))


def shared(evidence: Evidence, split: str, others: tuple[str, ...]) -> np.ndarray:
    """The pictures of a split that belong to a family with a picture in one of the others, as indices into all."""
    family = components(len(evidence), evidence.pairs.first, evidence.pairs.second)
    here = evidence.split == evidence.splits.index(split)
    there = np.isin(evidence.split, [evidence.splits.index(name) for name in others])
    return np.flatnonzero(here & np.isin(family, family[there]))


def _across(evidence: Evidence) -> list[Finding]:
    """A remark for each split to be scored that shares pictures with the training data."""
    findings: list[Finding] = []
    for split, candidates in (("test", ("train", "validation")), ("validation", ("train",))):
        others = tuple(name for name in candidates if name in evidence.splits)
        which = shared(evidence, split, others) if split in evidence.splits and others else np.zeros(0, np.int64)
        n = len(which)
        if not n:
            continue
        of = int((evidence.split == evidence.splits.index(split)).sum())
        text = (
            f"{n:,} of {of:,} {split} picture{'s' * (of > 1)} ({_percent(n / of)}) {'are' if n > 1 else 'is'} also in "
            f"{' or '.join(others)}{_exactly(evidence, which)}: {evidence.named(which, 3)}."
        )
        advice = (
            f"A model that learned these by heart gets them right, so the accuracy is too good. Remove them from "
            f"{split}, or give one folder without splits: copies then stay on one side. Training also scores without "
            f"them."
        )
        findings.append(Remark(f"copies_of_{split}", "error", text, advice, n, evidence.all_names(which)))
    return findings


def _torn(evidence: Evidence, torn: np.ndarray) -> list[Finding]:
    first, second = evidence.pairs.first[torn], evidence.pairs.second[torn]
    if not len(first):
        return []
    which = np.unique(np.concatenate([first, second]))
    one, other = int(first[0]), int(second[0])
    text = (
        f"{len(which):,} pictures are in one class and, as a copy, in another{_exactly(evidence, which)}; for example "
        f"{evidence.name(one)} ({evidence.label(one)}) and {evidence.name(other)} ({evidence.label(other)})."
    )
    advice = "Decide to which class each belongs, and remove the other copy: at most one of the labels is right."
    return [Remark("copies_in_two_classes", "error", text, advice, len(which), evidence.all_names(which))]


def _within(evidence: Evidence, within: np.ndarray) -> list[Finding]:
    first, second = evidence.pairs.first[within], evidence.pairs.second[within]
    if not len(first):
        return []
    which = np.unique(np.concatenate([first, second]))
    text = (
        f"{len(which):,} pictures have a copy in the same split and class{_exactly(evidence, which)}; for example "
        f"{evidence.name(int(first[0]))} and {evidence.name(int(second[0]))}."
    )
    advice = "Each counts double. If Pellucid makes the splits, copies stay on one side; else remove the surplus."
    return [Remark("copies_within", "warning", text, advice, len(which), evidence.all_names(which))]


def _exactly(evidence: Evidence, which: np.ndarray) -> str:
    """How many of some pictures have a copy that is the same pixel by pixel."""
    exact = evidence.exact
    members = np.concatenate([evidence.pairs.first[exact], evidence.pairs.second[exact]])
    n = int(np.isin(which, members).sum())
    if n == len(which):
        return ", pixel by pixel"
    return f" ({n:,} of them pixel by pixel)" if n else " (rescaled, recompressed, mirrored, brightened or cropped)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"


def _table(evidence: Evidence, order: np.ndarray) -> Table:
    pairs, rows = evidence.pairs, []
    for p in order[:_ROWS].tolist():
        one, other = int(pairs.first[p]), int(pairs.second[p])
        splits_of_pair = [
            part
            for i in (one, other)
            for part in (evidence.name(i), evidence.splits[evidence.split[i]], evidence.label(i))
        ]
        rows.append((*splits_of_pair, _how(evidence, p), round(float(pairs.similarity[p]), 3)))
    note = "" if len(order) <= _ROWS else f"The first {_ROWS:,} of {len(order):,} pairs."
    columns = ("picture", "split", "class", "copy", "its split", "its class", "how", "similarity")
    return Table("copies_of_pictures", columns, tuple(rows), note)


def _how(evidence: Evidence, pair: int) -> str:
    if evidence.exact[pair]:
        return "the same pixels"
    ways = [
        name
        for name, so in (("mirrored", evidence.pairs.mirrored[pair]), ("cropped", evidence.pairs.cropped[pair]))
        if so
    ]
    return " and ".join(ways) or "nearly the same"


def _figure(evidence: Evidence, first: np.ndarray, second: np.ndarray) -> Figure:
    """The first families, each a row of its pictures."""
    family = components(len(evidence), first, second)
    groups: list[dict[str, Any]] = []
    for one in dict.fromkeys(family[first].tolist()):
        members = np.flatnonzero(family == one)
        left = len(members) - _CELLS
        caption = f"{len(members):,} copies" + (f", of which {_CELLS} are shown" if left > 0 else "")
        groups.append({"caption": caption, "cells": [cell(evidence, int(i)) for i in members[:_CELLS]]})
        if len(groups) == _FAMILIES:
            break
    kinds = len(set(family[first].tolist()))
    note = (
        f"The first {_FAMILIES} of {kinds:,}; those in two classes or splits come first." if kinds > _FAMILIES else ""
    )
    return Figure("copies", "picture-rows", {"groups": groups}, title="Copies of one picture", note=note)
