"""What a run that ended early has kept, whether it can go on, and how."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator

import numpy as np

from pellucid.data.checking.near_duplicates import content
from pellucid.errors import DataError, ModelFileError, NetworkError, PellucidError, UsageError
from pellucid.records import Dataset, Model, RunFolder, Split
from pellucid.records.paths import command_line
from pellucid.records.run import RunPlan, SplitContent

__all__ = [
    "empty_if_nothing_was_learned",
    "how_to_go_on",
    "interruption_names_run",
    "naming_best_model",
    "require_same_data",
    "split_contents",
]


def how_to_go_on(folder: RunFolder) -> str:
    """A sentence for the user who interrupted a run outside its training steps."""
    if folder.plan.is_file():
        return f"Interrupted. Resume with: pellucid train --resume {command_line(folder.path)}"
    if folder.findings.is_file():
        return f"Interrupted, but the run is finished: {folder.path}"
    return (
        "Interrupted before anything was learned, so there is no run to resume. Run the same command again; what was "
        "decoded or computed by then is in the cache."
    )


@contextlib.contextmanager
def interruption_names_run(folder: RunFolder) -> Iterator[None]:
    """Gives a KeyboardInterrupt within the block the sentence on how to go on with the run."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on(folder)) from None


@contextlib.contextmanager
def naming_best_model(folder: RunFolder) -> Iterator[None]:
    """If a run cannot be resumed, adds to the error which model the run has kept."""
    try:
        yield
    except (DataError, NetworkError, ModelFileError, UsageError) as error:
        model = _best_model(folder)
        if model is not None and folder.plan.is_file():
            error.args = (f"{error} The best model so far is kept: {model}",)
        raise


def _best_model(folder: RunFolder) -> str | None:
    """The path of the run's model, or of the best one of its finished epochs; None if neither can be read."""
    for path in (folder.model, folder.checkpoint / "model.safetensors"):
        with contextlib.suppress(PellucidError, OSError):
            Model.load(path)
            return str(path)
    return None


def split_contents(data: Dataset) -> dict[str, SplitContent]:
    """The content of each split, for the plan of a run."""
    return {name: _content(split) for name, split in data.splits.items()}


def _content(split: Split) -> SplitContent:
    names = hashlib.sha256(repr((split.classes, None if split.labels is None else len(split.labels))).encode())
    names.update("\0".join(map(str, split.ids.tolist())).encode("utf-8", "surrogateescape"))
    if split.labels is not None:
        names.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
    return SplitContent(n=len(split), pictures=content(split).hex(), names=names.hexdigest())


def require_same_data(plan: RunPlan, data: Dataset) -> None:
    """Checks that every split, the test split too, is what it was when the run began.

    Raises:
        DataError: one is not; the text says what has changed.
    """
    now = split_contents(data)
    changes = [
        change
        for name in dict.fromkeys([*plan.splits, *now])
        if (change := _change(name, plan.splits.get(name), now.get(name)))
    ]
    if changes:
        raise DataError(
            f"The data have changed since the run began: {'; '.join(changes)}. Restore them, or start a new run."
        )


def _change(name: str, before: SplitContent | None, now: SplitContent | None) -> str:
    """What has changed in a split; empty if nothing has."""
    if before == now:
        return ""
    if before is None or now is None:
        return f"there is {'a new' if before is None else 'no longer a'} {name} split"
    if before.n != now.n:
        return f"the {name} split had {before.n:,} pictures and has {now.n:,}"
    if before.pictures != now.pictures:
        return f"the {name} split has other pictures, or in another order"
    return f"names or labels in the {name} split differ"


def empty_if_nothing_was_learned(folder: RunFolder) -> None:
    """Empties the folder of a training that failed before its first checkpoint.

    The caller must hold the lock; releasing it deletes an empty folder.
    """
    if folder.history.exists() or any(folder.checkpoint.glob("step-*")):
        return
    with contextlib.suppress(OSError):
        for path in (*folder.checkpoint.iterdir(), *folder.path.iterdir()):
            if path.is_dir() and path != folder.checkpoint:
                shutil.rmtree(path)
            elif path not in (folder.checkpoint, folder.lock):
                path.unlink()
