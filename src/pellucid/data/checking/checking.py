"""`check`: the registry of checks, and the two ways to run them."""

from __future__ import annotations

import importlib
from pathlib import Path

from pellucid.data.checking.evidence import Evidence, gather
from pellucid.data.progress import Progress
from pellucid.records import Dataset, Findings, Remark

__all__ = ["CHECKS", "before", "check", "worst"]

CHECKS: dict[str, str] = {
    "unreadable": "pellucid.data.checking.unreadable",
    "duplicates": "pellucid.data.checking.duplicates",
    "classes": "pellucid.data.checking.classes",
    "balance": "pellucid.data.checking.balance",
    "extremes": "pellucid.data.checking.extremes",
    "file-types": "pellucid.data.checking.file_types",
    "left-out": "pellucid.data.checking.left_out",
}
"""The registry: from the name of a check to the module whose `check(evidence)` gives its findings, in their order."""


def check(data: Dataset | str | Path, *, progress: Progress | None = None) -> Findings:
    """Looks at labelled pictures alone, before anything is learned, and says what it finds.

    Args:
        data: a dataset; or a name or a path, of which everything is looked at as it lies there: nothing is carved.
        progress: told (pictures done, of how many); None shows a bar in a terminal when it takes long.

    Returns:
        Remarks (what is so, how serious it is, what to do), tables and figures.

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
    """What all checks find."""
    found = [item for path in CHECKS.values() for item in importlib.import_module(path).check(evidence)]
    return Findings(tuple(found), title=_title(evidence))


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
