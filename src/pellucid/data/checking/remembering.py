"""The check before a training, remembered by content: looking at the same pictures again takes no time.

What is kept is what it found (remarks), which pictures cannot be read, and which test pictures have a copy in what is
learned from. Pictures, labels, names, splits and notes of the dataset must all be the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass

import numpy as np

from pellucid.data import cache
from pellucid.data.checking.checking import before
from pellucid.data.checking.duplicates import leaked
from pellucid.data.checking.kinship import VERSION, content
from pellucid.errors import PellucidError, StorageError
from pellucid.records import Dataset, Findings, atomic

__all__ = ["Outlook", "look_ahead"]


@dataclass(frozen=True)
class Outlook:
    """What is known of a dataset before a training.

    Attributes:
        findings: the remarks of all checks.
        unreadable: why pictures cannot be read: for each split, {id: reason}.
        leaked: for each split that may be scored, the ids of its pictures that have a copy in what is learned from.
    """

    findings: Findings
    unreadable: dict[str, dict[str, str]]
    leaked: dict[str, list[str]]


def look_ahead(data: Dataset) -> Outlook:
    """Looks at all pictures of a dataset, or remembers what was seen of the very same ones."""
    key = _key(data)
    known = _recalled(key)
    if known is None:
        known = _look(data)
        kept = {"findings": known.findings.to_json(), "unreadable": known.unreadable, "leaked": known.leaked}
        with contextlib.suppress(StorageError):
            atomic.write_text(cache.folder("families") / f"{key}.json", json.dumps(kept, ensure_ascii=False))
    return known


def _look(data: Dataset) -> Outlook:
    evidence, findings = before(data)
    unreadable: dict[str, dict[str, str]] = {name: {} for name in evidence.splits}
    for index, reason in sorted(evidence.looks.reasons.items()):
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
    place = cache.cache_root() / "families" / f"{key}.json"
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        known = Outlook(Findings.from_json(kept["findings"]), kept["unreadable"], kept["leaked"])
    except (OSError, ValueError, KeyError, TypeError, PellucidError):
        return None
    cache.used(place)
    return known
