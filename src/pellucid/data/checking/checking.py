"""`check`: the registry of checks, and the two ways to run them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.checking.duplicates import leaked
from pellucid.data.checking.evidence import Evidence, gather
from pellucid.data.checking.near_duplicates import VERSION, content
from pellucid.data.progress import Progress
from pellucid.errors import PellucidError, StorageError
from pellucid.records import Dataset, Finding, Findings, Remark, atomic

__all__ = ["CHECKS", "Outlook", "before", "check", "load_check", "look_ahead", "worst"]


CHECKS: dict[str, str] = {
    "unreadable": "pellucid.data.checking.files:unreadable",
    "duplicates": "pellucid.data.checking.duplicates:duplicates",
    "classes": "pellucid.data.checking.classes:classes",
    "balance": "pellucid.data.checking.classes:balance",
    "extremes": "pellucid.data.checking.extremes:extremes",
    "file-types": "pellucid.data.checking.files:file_types",
    "notes": "pellucid.data.checking.files:notes",
}
"""The registry, in the order of the findings: from the name of a check to its `module:function`, which takes the
evidence and returns findings."""


def load_check(name: str) -> Callable[[Evidence], list[Finding]]:
    """The function of a check."""
    module, _, function = CHECKS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def check(data: Dataset | str | Path, *, progress: Progress | None = None) -> Findings:
    """Checks labelled pictures before any training.

    Args:
        data: a dataset; or a name or a path, of which all pictures are checked as they are: nothing is carved.
        progress: called with (pictures done, pictures in total); None shows a bar in a terminal if it takes long.

    Returns:
        Remarks (the finding, its level, and advice), tables and figures.

    Raises:
        DataError: there is nothing to look at.
    """
    if not isinstance(data, Dataset):
        data = undivided(data)
    return examine(gather(data, progress))


def before(data: Dataset) -> tuple[Evidence, Findings]:
    """The form that runs before a training: the same checks, of which the remarks alone are kept."""
    evidence = gather(data)
    return evidence, Findings(tuple(item for item in examine(evidence) if isinstance(item, Remark)))


def examine(evidence: Evidence) -> Findings:
    """The findings of all checks."""
    findings = [item for name in CHECKS for item in load_check(name)(evidence)]
    return Findings(tuple(findings), title=_title(evidence))


def undivided(source: str | Path) -> Dataset:
    """The data of a name or a path as they lie there. Of a folder of class folders no file is opened for that."""
    from pellucid.data import folder
    from pellucid.data.catalogue import DATASETS, FORMATS
    from pellucid.data.loading import load

    path = Path(source).expanduser() if str(source).strip() else Path()
    plain = isinstance(source, Path) or (bool(source.strip()) and source not in DATASETS)
    if plain and path.is_dir() and not any(importlib.import_module(one).recognises(path) for one in FORMATS.values()):
        return folder.read(path, test_fraction=0, opened=False)
    return load(source, test_fraction=0)


def worst(findings: Findings) -> str:
    """The most serious level among the remarks: `error`, `warning`, `info`, or nothing."""
    levels = {item.level for item in findings if isinstance(item, Remark)}
    return next((level for level in ("error", "warning", "info") if level in levels), "")


def _title(evidence: Evidence) -> str:
    data = evidence.data
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in data.splits.items())
    return f"{data.name}: {len(evidence):,} pictures, {len(data.classes):,} classes ({sizes})"


@dataclass(frozen=True)
class Outlook:
    """The result of the check before a training.

    Attributes:
        findings: the remarks of all checks.
        unreadable: why pictures cannot be read: for each split, {id: reason}.
        leaked: for each split that may be scored, the ids of its pictures that have a copy in the training data.
    """

    findings: Findings
    unreadable: dict[str, dict[str, str]]
    leaked: dict[str, list[str]]


def look_ahead(data: Dataset) -> Outlook:
    """Checks all pictures of a dataset, or returns the cached result for the same pictures."""
    key = _key(data)
    known = _recalled(key)
    if known is None:
        known = _look(data)
        content = {"findings": known.findings.to_json(), "unreadable": known.unreadable, "leaked": known.leaked}
        with contextlib.suppress(StorageError):
            atomic.write_text(cache.folder("families") / f"{key}.json", json.dumps(content, ensure_ascii=False))
    return known


def _look(data: Dataset) -> Outlook:
    evidence, findings = before(data)
    unreadable: dict[str, dict[str, str]] = {name: {} for name in evidence.splits}
    for index, reason in sorted(evidence.statistics.reasons.items()):
        unreadable[evidence.splits[evidence.split[index]]][str(evidence.ids[index])] = reason
    shared = {
        name: list(evidence.all_names(leaked(evidence, name))) for name in ("validation", "test") if name in data.splits
    }
    return Outlook(findings, {name: named for name, named in unreadable.items() if named}, shared)


def _key(data: Dataset) -> str:
    digest = hashlib.sha256(repr((VERSION, data.name, data.classes, data.notes, list(data.splits))).encode())
    for split in data:
        digest.update(content(split))
        digest.update("\0".join(split.ids.tolist()).encode("utf-8", "backslashreplace"))
        digest.update(b"" if split.labels is None else np.ascontiguousarray(split.labels, dtype="<i8").tobytes())
    return digest.hexdigest()[:32]


def _recalled(key: str) -> Outlook | None:
    path = cache.cache_root() / "families" / f"{key}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = Outlook(Findings.from_json(content["findings"]), content["unreadable"], content["leaked"])
    except (OSError, ValueError, KeyError, TypeError, PellucidError):
        return None
    cache.used(path)
    return known
