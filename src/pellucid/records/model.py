"""`Model`: a specification and the arrays of its weights, in one `.safetensors` file.

The file is an ordinary safetensors file (https://huggingface.co/docs/safetensors) whose header has one metadata key,
`pellucid`, with sorted JSON. So equal models are equal bytes, and reading a model runs no code. The JSON contains a
SHA-256 of itself and all arrays, so that a damaged file is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pellucid.errors import ModelFileError, on_one_line
from pellucid.records import atomic, display
from pellucid.records.names import counted
from pellucid.records.paths import command_line, expand_user

FORMAT_VERSION = 3
MOST_INPUT_PIXELS = 4096 * 4096
"""Largest height × width of a network's input. A small file could otherwise ask for any amount of memory."""
_METADATA_KEY = "pellucid"


class Record(BaseModel):
    """A part of the specification: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocessing(Record):
    """The steps from a picture to the network's input; `pellucid.data.preprocessing` implements them.

    A picture is converted to `channels` and resized to `height`×`width`. Its values v (0 to 255) become
    (v / 255 − mean) / std, per channel.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        height, width: in pixels.
        fit: how a picture of another size is resized: `stretch` both sides, `crop` to the centre after the shorter side
            fits, or `pad` with black after the longer side fits.
        scaling: the origin of `mean` and `std`: `unit` (0 and 1: values from 0 to 1), `symmetric` (0.5 and 0.5: values
            from −1 to 1), `standard` (mean and standard deviation of the training pictures), or `given` by a backbone.
        mean, std: one value per channel, or one for all, in units of 255.
    """

    channels: Literal[1, 3]
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    scaling: Literal["unit", "symmetric", "standard", "given"] = "standard"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @field_validator("std")
    @classmethod
    def _positive(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in std):
            raise ValueError("the standard deviation (std) must be positive")
        return std

    @model_validator(mode="after")
    def _not_too_large(self) -> Self:
        if self.height * self.width > MOST_INPUT_PIXELS:
            raise ValueError(f"{self.height:,}×{self.width:,} is more than the limit of {MOST_INPUT_PIXELS:,} pixels")
        return self

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Self:
        if not {len(self.mean), len(self.std)} <= {1, self.channels}:
            raise ValueError("mean and std have one value per channel, or one for all")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


class Appearance(Record):
    """How the training pictures looked, from a sample; `pellucid.data.appearance` measures and compares it.

    Attributes:
        side: √(width × height) before resizing, in pixels: the 5th and the 95th percentile.
        colour: the share of pictures in colour.
        brightness: the lowest and the highest mean of a picture's grey levels, 0 to 255.
        contrast: the lowest and the highest standard deviation of a picture's grey levels.
    """

    side: tuple[float, float]
    colour: float = Field(ge=0, le=1)
    brightness: tuple[float, float]
    contrast: tuple[float, float]


class NetworkSpecification(Record):
    """A network and its settings.

    Attributes:
        name: a name from the catalogue, or `custom`.
        settings: arguments of its constructor, besides the shape of the pictures and the number of classes.
        source: for a custom network, the class that builds it: `mynet.py:Net`.
    """

    name: str
    settings: dict[str, Any] = {}
    source: str = ""


class Specification(Record):
    """Everything about a model except its weights.

    Attributes:
        network: the network and its settings.
        classes: the class names, in the order of the outputs.
        preprocessing: the steps from a picture to the network's input.
        loss: the training loss: `cross-entropy`, `squared-error`, `hinge`, `perceptron` ...
        probabilities: converts outputs to probabilities: a key of `pellucid.inference.probabilities`.
        temperature: divisor of the logits before that (calibration); 1 changes nothing.
        abstain_below: the model abstains if the highest probability is below this; None never abstains.
        tta: test-time augmentation; see `pellucid.inference.tta`.
        tta_below: only pictures whose plain prediction has a probability below this use TTA.
        appearance: how the training pictures looked; None if unknown.
        training: how it was trained: settings, seed, versions, name and fingerprint of the data.
        metrics: metrics measured during the training, each with its n.
    """

    version: Literal[3] = FORMAT_VERSION
    network: NetworkSpecification
    classes: tuple[str, ...] = Field(min_length=2)
    preprocessing: Preprocessing
    loss: str = "cross-entropy"
    probabilities: str = "softmax"
    temperature: float = Field(default=1.0, gt=0)
    abstain_below: float | None = None
    tta: tuple[Literal["flip", "shift"], ...] = ()
    tta_below: float = Field(default=1.0, ge=0, le=1)
    appearance: Appearance | None = None
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("each class needs a name of its own")
        return classes

    def canonical(self) -> str:
        """Sorted JSON on one line: equal specifications give equal text."""
        return canonical_json(self.model_dump(mode="json"))


def canonical_json(content: Any) -> str:
    """Sorted JSON on one line: equal values give equal text."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: `specification`, and `weights` as arrays by name. `pellucid.build(model)` makes it run."""

    specification: Specification
    weights: Mapping[str, np.ndarray]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.specification.classes

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the specification and the weights (hexadecimal)."""
        return _sha256(self.specification.canonical(), self.weights)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def parameters(self) -> int:
        """Number of values in the weights, including the running statistics of batch normalisation."""
        return sum(int(array.size) for array in self.weights.values())

    def __repr__(self) -> str:
        specification = self.specification
        name = on_one_line(specification.network.name)
        return f"Model({name}, {counted(len(self.classes), 'class', 'classes')}, {counted(self.parameters, 'number')})"

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def save(self, path: str | Path) -> Path:
        """Writes the model file, whole or not at all, and returns its path.

        Raises:
            StorageError: the disk is full, or the folder is not writable.
        """
        path = expand_user(path)
        atomic.write_bytes(path, self.to_bytes())
        return path

    def to_bytes(self) -> bytes:
        """The content of the model file."""
        from safetensors.numpy import save

        document = {"sha256": self.sha256, "specification": json.loads(self.specification.canonical())}
        # Not np.ascontiguousarray, which turns shape () into (1,): counters of batch normalisation have no dimension.
        arrays = {name: np.asarray(array, order="C") for name, array in self.weights.items()}
        return save(arrays, metadata={_METADATA_KEY: canonical_json(document)})

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Reads a model file or a run folder. Runs no code from it.

        Raises:
            ModelFileError: it is missing, truncated, damaged, foreign, or of another format version.
        """
        path = model_file(path)
        try:
            _refuse_foreign(path)
            header, weights = _read_safetensors(path)
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        specification, text, checksum = read_specification(path, header)
        # The text of the file, not of the parsed specification: another version may write more settings.
        if checksum != _sha256(text, weights):
            raise ModelFileError(f"{path} is damaged: its content does not match its checksum. Copy it again.")
        return cls(specification, weights)


def model_file(path: str | Path) -> Path:
    """The model file at a path, which is that file or a run folder. Does not open it.

    Raises:
        ModelFileError: there is none.
    """
    path = expand_user(path)
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            if (path / "checkpoint" / "model.safetensors").is_file():
                raise ModelFileError(
                    f"The training in {path} has not ended. Its best model so far is in {path / 'checkpoint'}; "
                    f"`pellucid train --resume {command_line(path)}` continues the training."
                )
            raise ModelFileError(f"{path} is a folder without a model.safetensors. Give a model file, or a run folder.")
        return path / "model.safetensors"  # the model of a run folder
    if not path.is_file():
        raise ModelFileError(f"There is no model file at {path}. `pellucid train DATA` makes one.")
    return path


def _read_safetensors(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Pellucid's JSON and the arrays of a safetensors file, both still unchecked."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _METADATA_KEY not in metadata:
                raise ModelFileError(
                    f"{path} is a safetensors file, but not a Pellucid model: its header has no network, classes or "
                    f"preprocessing."
                )
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        for array in weights.values():
            if array.dtype.kind not in "biufc":  # the package ml_dtypes, if something imported it, adds such types
                raise TypeError(array.dtype.name)
        return metadata[_METADATA_KEY], weights
    except (SafetensorError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} is damaged or cut off ({error}). Copy it again from where it came.") from error
    except TypeError as error:
        # NumPy has no bfloat16 and no 8-bit floats; Pellucid does not write them.
        raise ModelFileError(
            f"{path} has weights of a type that Pellucid does not read ({error}). Store them as float32."
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Refuses files of the wrong kind, before anything relies on the lengths that they state."""
    with path.open("rb") as stream:
        start = stream.read(8)
        brace = stream.read(1)
    # A pickle begins with 0x80, and so does a safetensors file with a header of 128, 384, ... bytes. The brace decides.
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and brace != b"{"):
        raise ModelFileError(
            f"{path} is a pickle, not a safetensors file. Pellucid never opens pickles, because they can run any code. "
            f"Train again with Pellucid, or convert the weights with a tool that you trust."
        )
    if len(start) < 8:
        raise ModelFileError(
            f"{path} is cut off: it has only {counted(len(start), 'byte')}. Copy it again from where it came."
        )
    # A safetensors file begins with the length of its header, and the header with a brace.
    length = int.from_bytes(start, "little")
    if brace not in (b"{", b""):
        raise ModelFileError(f"{path} is not a model file: Pellucid's models are safetensors files.")
    if length > max(path.stat().st_size - 8, 0):
        raise ModelFileError(
            f"{path} is cut off: its header alone is longer than the file. Copy it again from where it came."
        )


def _sha256(specification: str, weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(specification.encode())
    for name in sorted(weights):
        array = weights[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_specification(path: Path, header: str) -> tuple[Specification, str, str]:
    """The specification in a header, parsed and as sorted JSON, and the checksum beside it."""
    try:
        document = json.loads(header)
        content, checksum = document["specification"], document["sha256"]
        version = content["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its description cannot be read.") from error
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}; this Pellucid reads up to {FORMAT_VERSION}. "
            f"Upgrade with `pip install --upgrade pellucid`."
        )
    if isinstance(version, int) and version < FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}; this Pellucid reads version {FORMAT_VERSION}. Train the model again."
        )
    try:
        text = canonical_json(content)
        text.encode()
    except (ValueError, RecursionError) as error:  # infinite or NaN; half a character
        raise ModelFileError(f"{path} is damaged: its description cannot be read.") from error
    try:
        return Specification.model_validate(content), text, checksum
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(f"{path} is damaged: its description has a bad {key} ({first['msg']}).") from error
