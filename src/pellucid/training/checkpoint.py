"""Checkpoints: one named state, from which a training goes on as if it had never stopped.

A checkpoint is a safetensors file with the network, the weights that are kept so far, what the learning rule remembers
(an optimiser's averages), the position within the epoch, and the history. Nothing in it is pickled. Together with
randomness that is a function of named numbers, it makes a resumed training end with the same bytes as one that was
never interrupted, on the same machine with the same number of threads.

A checkpoint is written whole or not at all, and the last two are kept: a damaged one is passed over.
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

from pellucid.errors import FormatError, ModelFileError, StorageError
from pellucid.records import Model, Specification, atomic
from pellucid.records.paths import command_line
from pellucid.training.processes import current_group

EVERY_SECONDS = 60.0
"""A checkpoint is written at the end of each epoch, and within it whenever so much time has passed."""
KEPT = 2
_NAME = re.compile(r"step-(\d{9,})\.safetensors")


@dataclass(frozen=True)
class Position:
    """Where a training is.

    Attributes:
        epoch: the epoch that is being learned, counted from 1; one more than the last where all are done.
        batches: how many of its batches are done.
        total_loss: the sum of the losses of its pictures so far.
        correct: how many of them were right so far.
        seconds: how long it has taken so far.
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
        step: how many steps are done, over the whole training.
        position: where it is within the epoch.
        network: its parameters and buffers now.
        kept: those of the epoch that is kept so far.
        rule: what the learning rule remembers.
        chosen_epoch: which epoch is kept so far; 0 for none.
        history: one row for each epoch that is done.
        seconds: how long each took.
    """

    step: int
    position: Position
    network: Mapping[str, np.ndarray]
    kept: Mapping[str, np.ndarray]
    rule: Mapping[str, np.ndarray]
    chosen_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of one training, in a folder.

    Args:
        folder: where they lie; it is made when the first is written.
        every: after how many seconds within an epoch the next one is due.
        resume: whether to go on from the newest one that is there.
    """

    def __init__(self, folder: Path, *, every: float = EVERY_SECONDS, resume: bool = False) -> None:
        self.folder = folder
        self.every = every
        self.resume = resume
        self.plan = ""
        self._written = time.monotonic()

    def bind_to(self, specification: Specification) -> None:
        """Says which training they are of: a checkpoint of another is not taken up."""
        training = {key: value for key, value in specification.training.items() if key != "versions"}
        plain = specification.model_copy(update={"training": training})
        self.plan = hashlib.sha256(plain.canonical().encode()).hexdigest()

    def measured_epochs(self, measure: Callable[[], int]) -> int:
        """A number of epochs that was measured before the training began; one that goes on measures nothing again.

        Raises:
            FormatError: what was noted cannot be read.
            StorageError: it cannot be noted.
        """
        noted = self._noted("epochs.json", lambda: json.dumps({"version": 1, "epochs": measure()}).encode())
        try:
            return int(json.loads(noted)["epochs"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{self.folder / 'epochs.json'} is damaged. Start a new run instead.") from error

    def initial_model(self, make: Callable[[], Model]) -> Model:
        """A model that was made for the training to start from; one that goes on makes none again.

        What other versions of NumPy and torch would make differs in its last bits, and says that they made it.

        Raises:
            FormatError: what was kept cannot be read.
            StorageError: it cannot be kept.
        """
        name = "beginning.safetensors"
        content = self._noted(name, lambda: make().to_bytes())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            atomic.write_bytes(path, content)
            try:
                return Model.load(path)
            except ModelFileError as error:
                raise FormatError(f"{self.folder / name} is damaged. Start a new run instead.") from error

    def _noted(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What is made once, before the first step, and found again by a training that goes on.

        Of several processes, the first makes it for all. Where there are states without it, an earlier version of
        Pellucid began the training: it is made again, and not kept, since it may not be what it was.
        """
        processes = current_group()
        content = b""
        if processes.is_main:
            place = self.folder / name
            if self.resume and place.exists():
                content = place.read_bytes()
            else:
                content = make()
                if not (self.resume and self._paths()):
                    atomic.make_folder(self.folder)
                    atomic.write_bytes(place, content)
        return processes.broadcast(content)

    def is_due(self) -> bool:
        """Whether it is time for the next one within the epoch."""
        return time.monotonic() - self._written >= self.every

    def save(self, state: Callable[[], State]) -> None:
        """Writes a checkpoint of what `state` gives. Of several processes, the first writes for all, and asks for it.

        Raises:
            StorageError: as for `write`.
        """
        if current_group().is_main:
            self.write(state())
        self._written = time.monotonic()

    def write(self, state: State) -> None:
        """Writes a checkpoint, and removes all but the last two.

        Raises:
            StorageError: the disk is full, or nothing may be written; says how to go on.
        """
        try:
            atomic.make_folder(self.folder)
            atomic.write_bytes(self.folder / f"step-{state.step:09d}.safetensors", pack(state, self.plan))
        except StorageError as error:
            if not self._paths():  # there is nothing to go on from
                raise StorageError(
                    f"{error} Nothing was kept yet: start the training again when it is mended."
                ) from error
            raise StorageError(
                f"{error} Nothing that was learned before is lost: go on with `pellucid train --resume "
                f"{command_line(self.folder.parent)}` when it is mended."
            ) from error
        for path in self._paths()[KEPT:]:
            path.unlink(missing_ok=True)

    def latest(self) -> State | None:
        """The newest state that can be read, where the training is to go on; None to begin anew.

        Of several processes, the first reads for all: the others may have no such folder.

        Raises:
            FormatError: there are checkpoints, but none that can be read, or they are of another training.
        """
        if not self.resume:
            return None
        processes = current_group()
        content = processes.broadcast(self._newest() if processes.is_main else None)
        return _unpack(content, self.folder)[0] if content else None

    def _newest(self) -> bytes:
        """The newest checkpoint that can be read, as it lies on disk; nothing where none was written."""
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
                    f"{path} is of another training: its data, network, recipe or seed are not these. "
                    f"Start a new run instead."
                )
            return content
        if problems:
            raise FormatError(f"No checkpoint can be read. {problems[0]} Start a new run instead.")
        return b""

    def _paths(self) -> list[Path]:
        """The checkpoints, the newest first."""
        if not self.folder.is_dir():
            return []
        found = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(found, reverse=True)]


_PARTS = ("network", "kept", "rule")


def pack(state: State, plan: str) -> bytes:
    """A checkpoint as it lies on disk: the state, and of which plan it is."""
    from safetensors.numpy import save

    arrays = {f"{part}/{name}": array for part in _PARTS for name, array in getattr(state, part).items()}
    document = {
        "version": 1,
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
    # safetensors writes memory as it lies, whatever the strides say.
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(whole, metadata={"checkpoint": header, "sha256": checksum})


def _unpack(content: bytes, path: Path) -> tuple[State, str]:
    """The state in a checkpoint and the plan that it is of; the path is for what there is to complain of."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        # A safetensors file begins with the length of its header; `load` has made sure that this is right.
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        document = json.loads(metadata["checkpoint"])
        for name in document["scalars"]:
            arrays[name] = arrays[name].reshape(())
        if metadata["sha256"] != _checksum(metadata["checkpoint"], arrays):
            raise FormatError(f"{path} is damaged: its content does not match its checksum.")
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        state = State(
            step=document["step"],
            position=Position(**document["position"]),
            chosen_epoch=document["chosen_epoch"],
            history=document["history"],
            seconds=document["seconds"],
            **parts,
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is no checkpoint, or a damaged one ({error}).") from error
    return state, document["plan"]


def _checksum(header: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        digest.update(f"\n{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
