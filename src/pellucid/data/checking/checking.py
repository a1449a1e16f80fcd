"""The registry of checks, `check`, and the cached check before a training."""

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
from pellucid.records import Dataset, Finding, Findings, Remark, atomic, json_text
from pellucid.records.names import counted

__all__ = [
    "CHECKS",
    "TrainingCheck",
    "check",
    "check_before_training",
    "load_check",
    "undivided",
    "worst_level",
]

CHECKS: dict[str, str] = {
    "unreadable": "pellucid.data.checking.files:unreadable",
    "duplicates": "pellucid.data.checking.duplicates:duplicates",
    "classes": "pellucid.data.checking.classes:classes",
    "balance": "pellucid.data.checking.classes:balance",
    "extremes": "pellucid.data.checking.extremes:extremes",
    "file-types": "pellucid.data.checking.files:file_types",
    "notes": "pellucid.data.checking.files:notes",
}
"""The registry: the name of each check and its `module:function`, which takes `Evidence` and returns findings. The
findings have the same order."""


def load_check(name: str) -> Callable[[Evidence], list[Finding]]:
    """The function of a check."""
    module, _, function = CHECKS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def check(data: Dataset | str | Path, *, progress: Progress | None = None) -> Findings:
    """Checks labelled pictures before a training.

    Args:
        data: a dataset; or a name or path, whose pictures are checked as they are, without new splits.
        progress: called with (pictures done, pictures in total); None shows a bar in a terminal if it takes long.

    Returns:
        Remarks (problem, level and advice), tables and figures.

    Raises:
        DataError: there are no pictures.
    """
    if not isinstance(data, Dataset):
        data = undivided(data)
    return examine(gather(data, progress))


def examine(evidence: Evidence) -> Findings:
    """Findings of all checks."""
    findings = [item for name in CHECKS for item in load_check(name)(evidence)]
    return Findings(tuple(findings), title=_title(evidence))


def undivided(source: str | Path) -> Dataset:
    """The data of a name or path without new splits. For a folder of class folders this opens no file."""
    from pellucid.data import folder
    from pellucid.data.catalogue import DATASETS, FORMATS
    from pellucid.data.loading import load

    path = Path(source).expanduser() if str(source).strip() else Path()
    is_path = isinstance(source, Path) or (bool(source.strip()) and source not in DATASETS)
    formats = (importlib.import_module(module) for module in FORMATS.values())
    if is_path and path.is_dir() and not any(module.recognises(path) for module in formats):
        return folder.read(path, test_fraction=0, opened=False)
    return load(source, test_fraction=0)


def worst_level(findings: Findings) -> str:
    """The most serious level among the remarks: `error`, `warning` or `info`; empty if there are none."""
    levels = {item.level for item in findings if isinstance(item, Remark)}
    return next((level for level in ("error", "warning", "info") if level in levels), "")


def _title(evidence: Evidence) -> str:
    data = evidence.data
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in data.splits.items())
    return (
        f"{data.name}: {counted(len(evidence), 'picture')}, {counted(len(data.classes), 'class', 'classes')} ({sizes})"
    )


@dataclass(frozen=True)
class TrainingCheck:
    """The result of a check before a training.

    Attributes:
        findings: the remarks of all checks.
        unreadable: for each split, {id: reason} of the pictures that cannot be read.
        leaked: for each split that may be scored, ids of the pictures that have a copy in the training data.
    """

    findings: Findings
    unreadable: dict[str, dict[str, str]]
    leaked: dict[str, list[str]]


def check_before_training(data: Dataset) -> TrainingCheck:
    """Checks all pictures of a dataset, or returns the cached result for the same pictures."""
    key = _cache_key(data)
    result = _cached(key)
    if result is None:
        result = _check_for_training(data)
        content = {"findings": result.findings.to_json(), "unreadable": result.unreadable, "leaked": result.leaked}
        with contextlib.suppress(StorageError):
            atomic.write_text(cache.folder("copies") / f"{key}.json", json.dumps(content, ensure_ascii=False))
    return result


def _check_for_training(data: Dataset) -> TrainingCheck:
    evidence = gather(data)
    remarks = Findings(tuple(item for item in examine(evidence) if isinstance(item, Remark)))
    unreadable: dict[str, dict[str, str]] = {name: {} for name in evidence.splits}
    for index, reason in sorted(evidence.statistics.reasons.items()):
        unreadable[evidence.splits[evidence.split[index]]][str(evidence.ids[index])] = reason
    leaks = {
        name: list(evidence.all_names(leaked(evidence, name))) for name in ("validation", "test") if name in data.splits
    }
    return TrainingCheck(remarks, {name: reasons for name, reasons in unreadable.items() if reasons}, leaks)


def _cache_key(data: Dataset) -> str:
    digest = hashlib.sha256(repr((VERSION, data.name, data.classes, data.notes, list(data.splits))).encode())
    for split in data:
        digest.update(content(split))
        digest.update("\0".join(split.ids.tolist()).encode("utf-8", "backslashreplace"))
        digest.update(b"" if split.labels is None else np.ascontiguousarray(split.labels, dtype="<i8").tobytes())
    return digest.hexdigest()[:32]


def _cached(key: str) -> TrainingCheck | None:
    path = cache.cache_root() / "copies" / f"{key}.json"
    try:
        content = json_text.parse(path.read_text(encoding="utf-8"))
        result = TrainingCheck(Findings.from_json(content["findings"]), content["unreadable"], content["leaked"])
    except (OSError, ValueError, KeyError, TypeError, PellucidError):
        return None
    cache.used(path)
    return result
