"""Checkpoints: the whole state of a training in one file, from which it goes on as if it had never stopped.

A checkpoint is a safetensors file with the network, the weights chosen so far, the state of the learning rule (such as
an optimiser's averages), the position within the epoch, and the history. Nothing in it is pickled. All randomness is a
function of named numbers, so a resumed training ends with the same bytes as one that was never interrupted, on the same
machine with the same number of threads.

A checkpoint is written whole or not at all. The last two are kept, and a damaged one is skipped.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from pellucid.errors import FormatError, ModelFileError, StorageError
from pellucid.records import Model, Specification, atomic, json_text
from pellucid.records.paths import command_line
from pellucid.training.processes import current_group

EVERY_SECONDS = 60.0
"""Seconds between checkpoints within an epoch. There is always one at the end of an epoch."""
KEPT = 2
VERSION = 2
_NAME = re.compile(r"step-(\d{9,})\.safetensors")


@dataclass(frozen=True)
class Position:
    """Where a training is.

    Attributes:
        epoch: number of the current epoch, from 1; one more than the last when all are done.
        batches: number of its finished batches.
        total_loss: sum of the losses of its pictures so far.
        correct: number of correct answers so far.
        seconds: duration of the epoch so far.
    """

    epoch: int = 1
    batches: int = 0
    total_loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class State:
    """Everything that the next step of a training depends on.

    Attributes:
        step: number of finished steps, over the whole training.
        position: position within the epoch.
        network: current parameters and buffers.
        chosen: parameters and buffers of the chosen epoch so far; empty if there is none.
        rule: state of the learning rule.
        chosen_epoch: number of the chosen epoch so far; 0 for none.
        history: one row per finished epoch.
        seconds: duration of each finished epoch.
    """

    step: int
    position: Position
    network: Mapping[str, np.ndarray]
    chosen: Mapping[str, np.ndarray]
    rule: Mapping[str, np.ndarray]
    chosen_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of one training, in a folder.

    Args:
        folder: it is made when the first checkpoint is written.
        every: seconds between two checkpoints within an epoch.
        resume: whether to go on from the newest checkpoint.
    """

    def __init__(self, folder: Path, *, every: float = EVERY_SECONDS, resume: bool = False) -> None:
        self.folder = folder
        self.every = every
        self.resume = resume
        self.plan = ""
        self._written = time.monotonic()

    def bind_to(self, specification: Specification) -> None:
        """Binds the checkpoints to a training; those of another are refused. Versions of libraries do not count."""
        training = {key: value for key, value in specification.training.items() if key != "versions"}
        plain = specification.model_copy(update={"training": training})
        self.plan = hashlib.sha256(plain.canonical().encode()).hexdigest()

    def measured_epochs(self, measure: Callable[[], int]) -> int:
        """The number of epochs that was measured before the training began; a resumed training does not measure again.

        Raises:
            FormatError: the stored number cannot be read.
            StorageError: it cannot be stored.
        """
        content = self._once("epochs.json", lambda: json.dumps({"version": 1, "epochs": measure()}).encode())
        try:
            return int(json_text.parse(content)["epochs"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise FormatError(f"{self.folder / 'epochs.json'} is damaged. Start a new run instead.") from error

    def initial_model(self, make: Callable[[], Model]) -> Model:
        """The model that the training starts from; a resumed training reads it instead of making it again.

        Other versions of NumPy and torch would make a model that differs in its last bits, and names these versions.

        Raises:
            FormatError: the stored model cannot be read.
            StorageError: it cannot be stored.
        """
        name = "beginning.safetensors"
        content = self._once(name, lambda: make().to_bytes())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            atomic.write_bytes(path, content)
            try:
                return Model.load(path)
            except ModelFileError as error:
                raise FormatError(f"{self.folder / name} is damaged. Start a new run instead.") from error

    def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Content that is made before the first step, and stored for a resumed training.

        Rank 0 makes it for all processes. If there are checkpoints without it, an earlier version of Pellucid began the
        training: the content is made again, and not stored, since it may differ from the first.
        """
        group = current_group()
        content = b""
        if group.is_main:
            path = self.folder / name
            if self.resume and path.exists():
                try:
                    content = path.read_bytes()
                except OSError as error:
                    raise FormatError(
                        f"{path} cannot be read ({error.strerror or error}). Start a new run instead."
                    ) from error
            else:
                content = make()
                if not (self.resume and self._paths()):
                    atomic.make_folder(self.folder)
                    atomic.write_bytes(path, content)
        return group.broadcast(content)

    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint within the epoch."""
        return time.monotonic() - self._written >= self.every

    def save(self, state: Callable[[], State]) -> None:
        """Writes a checkpoint. Rank 0 writes for all processes, and only there `state` is called.

        Raises:
            StorageError: as for `write`.
        """
        if current_group().is_main:
            self.write(state())
        self._written = time.monotonic()

    def write(self, state: State) -> None:
        """Writes a checkpoint, and removes all but the last two.

        Raises:
            StorageError: the disk is full, or the folder is not writable. The message says how to go on.
        """
        try:
            atomic.make_folder(self.folder)
            atomic.write_bytes(self.folder / f"step-{state.step:09d}.safetensors", pack(state, self.plan))
        except StorageError as error:
            if not self._paths():  # nothing to resume from
                raise StorageError(
                    f"{error} There is no checkpoint yet: solve this, and start the training again."
                ) from error
            raise StorageError(
                f"{error} Earlier checkpoints are safe: solve this, and go on with `pellucid train --resume "
                f"{command_line(self.folder.parent)}`."
            ) from error
        for path in self._paths()[KEPT:]:
            if not path.is_dir():  # a folder is not Pellucid's
                path.unlink(missing_ok=True)

    def latest(self) -> State | None:
        """The newest readable state of a training that is resumed; None starts anew.

        Rank 0 reads for all processes: the others may not see the folder.

        Raises:
            FormatError: no checkpoint can be read, or they belong to another training.
        """
        if not self.resume:
            return None
        group = current_group()
        content = group.broadcast(self._newest() if group.is_main else None)
        return _unpack(content, self.folder)[0] if content else None

    def _newest(self) -> bytes:
        """Content of the newest readable checkpoint; empty if there are none."""
        problems = []
        for path in self._paths():
            try:
                content = path.read_bytes()
                plan = _unpack(content, path)[1]
            except OSError as error:
                problems.append(f"{path} cannot be read ({error.strerror or error}).")
                continue
            except FormatError as error:
                problems.append(str(error))
                continue
            if plan != self.plan:
                raise FormatError(
                    f"{path} is of another training: its data, network, recipe or seed are different. "
                    f"Start a new run instead."
                )
            return content
        if problems:
            raise FormatError(f"No checkpoint can be read. {problems[0]} Start a new run instead.")
        return b""

    def _paths(self) -> list[Path]:
        """The checkpoint files, the newest first."""
        if not self.folder.is_dir():
            return []
        paths = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(paths, reverse=True)]


_PARTS = ("network", "chosen", "rule")


class _Numbers(BaseModel):
    """The fields of a `State` that are no arrays."""

    step: int = Field(ge=0)
    position: Position
    chosen_epoch: int = Field(ge=0)
    history: list[dict[str, int | float]]
    seconds: list[float]


def pack(state: State, plan: str) -> bytes:
    """The content of a checkpoint file: the state, and the hash of its training plan."""
    from safetensors.numpy import save

    arrays = {f"{part}/{name}": array for part in _PARTS for name, array in getattr(state, part).items()}
    document = {
        "version": VERSION,
        "plan": plan,
        "step": state.step,
        "position": asdict(state.position),
        "chosen_epoch": state.chosen_epoch,
        "history": state.history,
        "seconds": state.seconds,
        # safetensors gives an array without dimensions back with one.
        "scalars": sorted(name for name, array in arrays.items() if array.ndim == 0),
    }
    header = json.dumps(document, sort_keys=True)
    checksum = _checksum(header, arrays)
    # safetensors writes the memory as it lies, whatever the strides are.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(contiguous, metadata={"checkpoint": header, "sha256": checksum})


def _unpack(content: bytes, path: Path) -> tuple[State, str]:
    """The state in a checkpoint and the hash of its training plan; the path is for error messages."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        # A safetensors file begins with the length of its header; `load` has checked it.
        metadata = json_text.parse(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        document = json_text.parse(metadata["checkpoint"])
        version = document["version"]
        if type(version) is int and version != VERSION:
            age = "a newer" if version > VERSION else "an older"
            raise FormatError(
                f"{path} was written by {age} version of Pellucid: its format is {version}, and this version reads "
                f"{VERSION}."
            )
        for name in document["scalars"]:
            arrays[name] = arrays[name].reshape(())
        if metadata["sha256"] != _checksum(metadata["checkpoint"], arrays):
            raise FormatError(f"{path} is damaged: its content does not match its checksum.")
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        numbers = dict(_Numbers.model_validate(document))
        state = State(**numbers, network=parts["network"], chosen=parts["chosen"], rule=parts["rule"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is not a checkpoint, or is damaged ({error}).") from error
    return state, document["plan"]


def _checksum(header: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        digest.update(f"\n{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
