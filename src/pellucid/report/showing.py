"""`pellucid.show`: pictures of each class of a dataset, or a worked example of an operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.data import load
from pellucid.errors import UsageError
from pellucid.records import Dataset, Findings, Split
from pellucid.report.pictures import class_grid


def show(data: Any, name: str | None = None, *, split: str = "train", per_class: int = 10) -> Findings:
    """Pictures of each class of a dataset, or a worked example of an operation. A notebook draws the result.

        pellucid.show("digits")
        pellucid.show(data, split="test", per_class=5)
        pellucid.show("operation", "convolution")

    Args:
        data: a dataset, a split, the name or folder of a dataset, or the word "operation".
        name: after "operation": its name; see `pellucid.operations.OPERATIONS`.
        split: which split of a dataset.
        per_class: largest number of pictures per class.

    Raises:
        UsageError: `data` is of none of these kinds, or a name is given for a dataset.
        UnknownNameError: there is no such operation.
        DataError: the split does not exist or has no labels.
    """
    if isinstance(data, str) and data == "operation":
        from pellucid.operations import OPERATIONS, check_name, example

        if name is None:
            raise UsageError(f"Name an operation: {', '.join(OPERATIONS)}.")
        check_name(name)
        return Findings((example(name),))
    if name is not None:
        raise UsageError(f"{name!r} is one argument too many: give one dataset, as in show('digits').")
    if isinstance(data, str | Path):
        data = load(data)
    if isinstance(data, Dataset):
        data = data.split(split)
    if not isinstance(data, Split):
        raise UsageError(f"show needs a dataset, as in show('digits'); given: {data!r}.")
    return Findings((class_grid(data, per_class=per_class),))
