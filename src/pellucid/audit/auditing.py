"""`audit`: makes the checks of the registry on a subject, and keeps their results in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pellucid.audit import groups
from pellucid.audit.registry import CHECKS
from pellucid.audit.subject import Subject
from pellucid.data import cache
from pellucid.data.progress import Progress, watched
from pellucid.errors import DataError, FormatError, UnknownNameError
from pellucid.records import Finding, Findings, Metric, Remark, Table
from pellucid.statistics.intervals import wilson

__all__ = ["audit", "names_of"]


def audit(
    subject: Subject, checks: Sequence[str] | None = None, *, skip: Sequence[str] = (), progress: Progress | None = None
) -> Findings:
    """Looks for what the score of a model hides.

    The findings: the metric `accuracy`; the table `checks` (check, result, what it looks for); then of each check a
    remark with its name, and its tables and metrics; and `requirement`, if the subject has one. A remark of the level
    `error` or `warning` is an alarm.

    Args:
        subject: predictions with labels, and if known the pictures, the training pictures and the model.
        checks: names of the checks; None for all of the registry.
        skip: names of checks to leave out.
        progress: called with (checks done, checks in total).

    Raises:
        UnknownNameError: there is no such check.
        DataError: there are no predictions, or their labels are unknown.
        UsageError: the requirement names a column or class that does not exist.
    """
    chosen = [name for name in names_of(checks or list(CHECKS)) if name not in names_of(skip)]
    if not len(subject) or subject.predictions.labels is None:
        raise DataError("An audit needs pictures with labels. Give labelled data, or predictions with a label column.")
    if not np.isfinite(subject.predictions.probabilities).all():
        raise DataError("Some probabilities are infinite or NaN, so the predictions cannot be audited. Train again.")
    required = groups.require(subject) if subject.requirement else []
    results: dict[str, list[Finding]] = {}

    def work() -> Iterator[None]:
        for name in chosen:
            results[name] = _result(subject, name)
            yield None

    for _ in watched(work(), len(chosen), "Auditing", progress):
        pass
    rows = [(name, _verdict(found[0]), CHECKS[name].looks_for) for name, found in results.items()]
    right = int(subject.right.sum())
    low, high = wilson(right, len(subject))
    accuracy = Metric("accuracy", right / len(subject), len(subject), low, high, unit="fraction")
    items = [*required, *(item for found in results.values() for item in found)]
    title = ", ".join(part for part in (subject.predictions.dataset, subject.predictions.split) if part)
    table = Table("checks", ("check", "result", "looks for"), tuple(rows))
    return Findings((accuracy, table, *items), f"Audit: {title}" if title else "Audit")


def names_of(checks: Sequence[str]) -> list[str]:
    """The names of checks, each of which must exist.

    Raises:
        UnknownNameError: one does not.
    """
    for name in checks:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    return list(dict.fromkeys(checks))


NOT_MADE = "Not checked: "


def _verdict(first: Finding) -> str:
    assert isinstance(first, Remark), "the first finding of a check is its remark"
    if first.level == "info":
        return "not checked" if first.text.startswith(NOT_MADE) else "no alarm"
    return "alarm"


def _result(subject: Subject, name: str) -> list[Finding]:
    check = CHECKS[name]
    missing = subject.missing(check.needs)
    if missing:
        return [Remark(name, "info", f"{NOT_MADE}{missing}.")]
    key = hashlib.sha256(f"{name} {check.version} {subject.fingerprint}".encode()).hexdigest()[:32]
    path = cache.cache_root() / "audits" / f"{key}.arrays"
    known = _cached(path) if check.is_cached else None
    if known is None:
        known = check.load()(subject)
        assert isinstance(known[0], Remark) and known[0].name == name
        if check.is_cached:
            text = json.dumps(Findings(tuple(known)).to_json(), allow_nan=False)
            cache.write_arrays(path, json=np.frombuffer(text.encode(), dtype=np.uint8))
    return known


def _cached(path: Path) -> list[Finding] | None:
    arrays = cache.read_arrays(path)
    if arrays is None or "json" not in arrays:
        return None
    try:
        return list(Findings.from_json(json.loads(arrays["json"].tobytes())))
    except (FormatError, ValueError):
        return None
