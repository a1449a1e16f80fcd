"""Checks the data before a training: unreadable pictures are named and left out, and copies are counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pellucid.data.checking.checking import check_before_training
from pellucid.errors import DataError, FormatError
from pellucid.evaluation.scoring import accuracy_without
from pellucid.records import Dataset, Findings, Metric, Predictions, RunFolder, atomic, json_text
from pellucid.records.names import counted
from pellucid.training.callbacks import Callbacks

__all__ = ["check_data", "with_accuracy_without_copies", "without_quarantined"]


_ALL_COPIES = (
    "each of these pictures is a copy of a training picture, so this does not predict the accuracy on new ones"
)


def check_data(data: Dataset, folder: RunFolder, callbacks: Callbacks) -> Dataset:
    """Checks the data. Writes `check.json` into the run folder, and `quarantine.json` if pictures cannot be read.

    Returns:
        The data without unreadable pictures. The test split keeps them; scoring names them again.

    Raises:
        DataError: no picture of a split can be read.
    """
    result = check_before_training(data)
    callbacks.notify("checked", result.findings)
    content = result.findings.to_json() | {"leaked": result.leaked}
    atomic.write_text(folder.check, json.dumps(content, ensure_ascii=False) + "\n")
    unreadable = [(split, id_, why) for split, reasons in result.unreadable.items() for id_, why in reasons.items()]
    pictures = [{"split": split, "id": id_, "reason": why} for split, id_, why in (*data.left_out, *unreadable)]
    if pictures:
        text = json.dumps({"version": 1, "pictures": pictures}, ensure_ascii=False, indent=1)
        atomic.write_text(folder.quarantine, text + "\n")
    return without_quarantined(data, folder)


def without_quarantined(data: Dataset, folder: RunFolder) -> Dataset:
    """The data without the pictures in the folder's `quarantine.json`. The test split keeps them.

    Raises:
        FormatError: the file is damaged.
        DataError: no picture of a split is left.
    """
    if not folder.quarantine.is_file():
        return data
    try:
        pictures = json_text.parse(folder.quarantine.read_text(encoding="utf-8"))["pictures"]
        quarantined: dict[str, set[str]] = {}
        for picture in pictures:
            quarantined.setdefault(picture["split"], set()).add(picture["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{folder.quarantine} is damaged: it is no list of pictures ({error}).") from error
    splits = {}
    for name, split in data.splits.items():
        indices = [index for index, id_ in enumerate(split.ids.tolist()) if id_ not in quarantined.get(name, ())]
        if not indices:
            first = next(item["reason"] for item in pictures if item["split"] == name and item["id"] in split.ids)
            raise DataError(
                f"None of the {counted(len(split), 'picture')} of the {name} split can be read. The first: {first}"
            )
        # Scoring names and counts the unreadable pictures of the test split.
        is_whole = len(indices) == len(split) or name == "test"
        splits[name] = split if is_whole else split.take(np.array(indices))
    n = len(pictures)
    note = f"{counted(n, 'picture')} that cannot be read left out, {'each ' * (n > 1)}named in {folder.quarantine.name}"
    return replace(data, splits=splits, notes=(*data.notes, note))


def with_accuracy_without_copies(
    findings: Findings, predictions: Predictions, scored: str, folder: RunFolder
) -> Findings:
    """The findings with the accuracy without copies of training pictures behind the accuracy, if there are copies."""
    leaked = _leaked(folder).get(scored, ())
    metric = accuracy_without(predictions, leaked) if leaked else None
    position = next((index for index, item in enumerate(findings) if item.name == "accuracy"), -1) + 1
    if metric is not None:
        return Findings((*findings.items[:position], metric, *findings.items[position:]), findings.title)
    accuracy = findings[position - 1] if position else None
    if not isinstance(accuracy, Metric) or not np.isin(predictions.ids.astype(str), list(leaked)).all():
        return findings
    # All pictures are copies: the number stays, with a note on what it is worth.
    accuracy = replace(accuracy, note="; ".join(filter(None, (accuracy.note, _ALL_COPIES))))
    return Findings((*findings.items[: position - 1], accuracy, *findings.items[position:]), findings.title)


def _leaked(folder: RunFolder) -> Mapping[str, Iterable[str]]:
    """Ids of the pictures of each split that are copies of training pictures."""
    try:
        return json_text.parse(folder.check.read_text(encoding="utf-8")).get("leaked", {})
    except (OSError, ValueError, AttributeError):  # the data were not checked, or by an old version
        return {}
