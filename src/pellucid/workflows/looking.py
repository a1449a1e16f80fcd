"""Before a training its data are looked at: what cannot be read is left out by name, and what is wrong is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pellucid.data.checking.checking import look_ahead
from pellucid.errors import DataError, FormatError
from pellucid.evaluation.scoring import accuracy_without
from pellucid.records import Dataset, Findings, Metric, Predictions, RunFolder, atomic
from pellucid.training.callbacks import Callbacks

__all__ = ["beside", "looked_at", "obeyed"]

_ALL_COPIES = "each of these pictures is also in what the model learned from, so this says nothing of new ones"


def looked_at(data: Dataset, folder: RunFolder, told: Callbacks) -> Dataset:
    """Looks at the data, writes `check.json` and, where pictures cannot be read, `quarantine.json` into the run folder.

    Returns:
        The data without what cannot be read; in the test split it stays, to be named again where it is scored.

    Raises:
        DataError: nothing is left of a split.
    """
    outlook = look_ahead(data)
    told.notify("checked", outlook.findings)
    content = outlook.findings.to_json() | {"leaked": outlook.leaked}
    atomic.write_text(folder.check, json.dumps(content, ensure_ascii=False) + "\n")
    seen = [(split, name, why) for split, named in outlook.unreadable.items() for name, why in named.items()]
    if listed := [{"split": split, "id": name, "reason": reason} for split, name, reason in (*data.left_out, *seen)]:
        text = json.dumps({"version": 1, "pictures": listed}, ensure_ascii=False, indent=1)
        atomic.write_text(folder.quarantine, text + "\n")
    return obeyed(data, folder)


def obeyed(data: Dataset, folder: RunFolder) -> Dataset:
    """The data without the pictures of the folder's `quarantine.json`, which the test split keeps.

    Raises:
        FormatError: it is damaged.
        DataError: nothing is left of a split.
    """
    if not folder.quarantine.is_file():
        return data
    try:
        listed = json.loads(folder.quarantine.read_text(encoding="utf-8"))["pictures"]
        out: dict[str, set[str]] = {}
        for picture in listed:
            out.setdefault(picture["split"], set()).add(picture["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{folder.quarantine} is damaged: it is no list of pictures ({error}).") from error
    splits = {}
    for name, split in data.splits.items():
        kept = [i for i, one in enumerate(split.ids.tolist()) if one not in out.get(name, ())]
        if not kept:
            first = next(one["reason"] for one in listed if one["split"] == name and one["id"] in split.ids)
            raise DataError(f"None of the {len(split):,} pictures of the {name} split can be read. The first: {first}")
        # What is scored at the end keeps them: they are named there, and counted as not counted.
        whole = len(kept) == len(split) or name == "test"
        splits[name] = split if whole else split.take(np.array(kept))
    n = len(listed)
    note = f"{n:,} picture{'s' if n > 1 else ''} that cannot be read left out, each named in {folder.quarantine.name}"
    return replace(data, splits=splits, notes=(*data.notes, note))


def beside(findings: Findings, found: Predictions, scored: str, folder: RunFolder) -> Findings:
    """The findings with the accuracy without copies behind the accuracy, where pictures that were scored have such."""
    leaked = _leaked(folder).get(scored, ())
    metric = accuracy_without(found, leaked) if leaked else None
    place = next((i for i, item in enumerate(findings) if item.name == "accuracy"), -1) + 1
    if metric is None:
        accuracy = findings[place - 1] if place else None
        if not isinstance(accuracy, Metric) or not np.isin(found.ids.astype(str), list(leaked)).all():
            return findings
        # None is left to score without: the number stays, and says what it is worth.
        said = replace(accuracy, note="; ".join(filter(None, (accuracy.note, _ALL_COPIES))))
        return Findings((*findings.items[: place - 1], said, *findings.items[place:]), findings.title)
    return Findings((*findings.items[:place], metric, *findings.items[place:]), findings.title)


def _leaked(folder: RunFolder) -> Mapping[str, Iterable[str]]:
    try:
        return json.loads(folder.check.read_text(encoding="utf-8")).get("leaked", {})
    except (OSError, ValueError, AttributeError):  # it was not looked at, or long ago
        return {}
