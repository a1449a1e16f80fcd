"""`Model`: a specification and the arrays of its weights, in one `.safetensors` file.

The file is an ordinary safetensors file (https://huggingface.co/docs/safetensors) whose header carries one metadata
key, `pellucid`, with sorted JSON: so equal models are equal bytes, and reading one runs no code. The JSON holds a
SHA-256 over itself and all the arrays, so that a damaged file is refused.
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

from pellucid.errors import ModelFileError
from pellucid.records import atomic, display
from pellucid.records.paths import command_line, expand_user

FORMAT_VERSION = 1
_METADATA_KEY = "pellucid"


class Record(BaseModel):
    """A part of the specification: values that do not change, and no others than those named."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocessing(Record):
    """How a picture becomes the network's input; `pellucid.data.preprocessing` is the one implementation.

    A picture is brought to `channels` and `height`×`width`, and its values v (0 to 255) become
    (v / 255 − mean) / std, per channel.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        height, width: in pixels.
        fit: how a picture of another size is brought there: `stretch` both sides, `crop` the middle after the shorter
            side fits, or `pad` with black after the longer side fits.
        scaling: where `mean` and `std` come from: `unit` (÷ 255: 0 and 1), `symmetric` (−1 to 1: 0.5 and 0.5),
            `standard` (the training pictures' own mean and standard deviation), or `given` (by a backbone).
        mean, std: one value a channel, or one for all, in units of 255.
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
    def _one_value_a_channel(self) -> Self:
        if not {len(self.mean), len(self.std)} <= {1, self.channels}:
            raise ValueError("mean and std have one value a channel, or one for all")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


class NetworkSpecification(Record):
    """Which network, and with which settings.

    Attributes:
        name: a name of the catalogue, or `custom`.
        settings: what its constructor takes beside the pictures' shape and the number of classes.
        source: for a custom network, the class that is needed to build it: `mynet.py:Net`.
    """

    name: str
    settings: dict[str, Any] = {}
    source: str = ""


class Specification(Record):
    """Everything about a model but its weights.

    Attributes:
        network: which network, with its settings.
        classes: the class names, in the order of the outputs.
        preprocessing: how a picture becomes its input.
        loss: what it was trained with: `cross-entropy`, `squared-error`, `hinge`, `perceptron` ...
        probabilities: how its outputs become probabilities: a key of `pellucid.inference.probabilities`.
        temperature: what the logits are divided by before that (calibration; 1 is none).
        abstain_below: the probability below which it should say that it does not know; None never abstains.
        tta, tta_below: how a prediction looks again (see `pellucid.inference.tta`) where the probability of its
            first look is below that.
        training: how it was trained: settings, seed, versions, the data's name and fingerprint.
        metrics: what was measured while it was trained, each with its n.
    """

    version: Literal[1] = FORMAT_VERSION
    network: NetworkSpecification
    classes: tuple[str, ...] = Field(min_length=2)
    preprocessing: Preprocessing
    loss: str = "cross-entropy"
    probabilities: str = "softmax"
    temperature: float = Field(default=1.0, gt=0)
    abstain_below: float | None = None
    tta: tuple[Literal["flip", "shift"], ...] = ()
    tta_below: float = Field(default=1.0, ge=0, le=1)
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("each class needs a name of its own")
        return classes

    def canonical(self) -> str:
        """Sorted JSON on one line: equal specifications are equal text."""
        return _json(self.model_dump(mode="json"))


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: `specification` and `weights`, arrays by name. `pellucid.build(model)` makes it run."""

    specification: Specification
    weights: Mapping[str, np.ndarray]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.specification.classes

    @cached_property
    def sha256(self) -> str:
        """Of the specification and the weights (hexadecimal)."""
        return _sha256(self.specification.canonical(), self.weights)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def parameters(self) -> int:
        """How many numbers the file holds, the running statistics of batch normalisation included."""
        return sum(int(array.size) for array in self.weights.values())

    def __repr__(self) -> str:
        specification = self.specification
        return f"Model({specification.network.name}, {len(self.classes)} classes, {self.parameters:,} numbers)"

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def save(self, path: str | Path) -> Path:
        """Writes the model file, whole or not at all, and gives its path.

        Raises:
            StorageError: the disk is full, or the folder may not be written.
        """
        path = expand_user(path)
        atomic.write_bytes(path, self.to_bytes())
        return path

    def to_bytes(self) -> bytes:
        """The content of the model file."""
        from safetensors.numpy import save

        document = {"sha256": self.sha256, "specification": json.loads(self.specification.canonical())}
        # Not np.ascontiguousarray, which makes (1,) of (): the counters of batch normalisation have no dimension.
        arrays = {name: np.asarray(array, order="C") for name, array in self.weights.items()}
        return save(arrays, metadata={_METADATA_KEY: _json(document)})

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Reads a model file. Runs no code from it.

        Raises:
            ModelFileError: it is missing, truncated, damaged, foreign, or newer than this version.
        """
        path = expand_user(path)
        if path.is_dir():
            if not (path / "model.safetensors").is_file():
                if (path / "checkpoint" / "model.safetensors").is_file():
                    raise ModelFileError(
                        f"The training in {path} has not ended. Its best model so far is {path / 'checkpoint'}; "
                        f"`pellucid train --resume {command_line(path)}` goes on with it."
                    )
                raise ModelFileError(
                    f"{path} is a folder without a model.safetensors. Give a model file, or a run folder."
                )
            path = path / "model.safetensors"  # a run folder stands for its model
        if not path.is_file():
            raise ModelFileError(f"There is no model file at {path}. `pellucid train DATA` makes one.")
        try:
            _refuse_foreign(path)
            header, weights = _read_safetensors(path)
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        specification, said, checksum = _read_specification(path, header)
        # What the file says, and not what this version makes of it: a later version may know more settings.
        if checksum != _sha256(said, weights):
            raise ModelFileError(f"{path} is damaged: its content does not match its checksum. Copy it again.")
        return cls(specification, weights)


def _read_safetensors(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Our own JSON and the arrays of a safetensors file; nothing of it is believed yet."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _METADATA_KEY not in metadata:
                raise ModelFileError(
                    f"{path} is a safetensors file, but not one of Pellucid's: it says nothing of a network, classes "
                    f"or preprocessing."
                )
            return metadata[_METADATA_KEY], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} is damaged or cut off ({error}). Copy it again from where it came.") from error
    except TypeError as error:
        # NumPy has no bfloat16 and no 8-bit floats, and Pellucid writes none.
        raise ModelFileError(
            f"{path} holds numbers of a kind that Pellucid does not read ({error}). Store them as float32."
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Names the usual mistakes before the file is opened in earnest, and believes no length that it states."""
    with path.open("rb") as stream:
        start = stream.read(8)
        brace = stream.read(1)
    # The first byte of a pickle, 0x80, is also that of every header of 128, 384, 640 ... bytes: the brace decides.
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and brace != b"{"):
        raise ModelFileError(
            f"{path} is a pickle, not a safetensors file. Pellucid never opens pickles: they can run any code. "
            f"Train again with Pellucid, or convert the weights with a tool that you trust."
        )
    if len(start) < 8:
        raise ModelFileError(f"{path} is cut off: it has only {len(start)} bytes. Copy it again from where it came.")
    # A safetensors file starts with the length of its header, which starts with a brace.
    length = int.from_bytes(start, "little")
    if brace not in (b"{", b""):
        raise ModelFileError(f"{path} is not a model file: Pellucid's models are safetensors files.")
    if length > max(path.stat().st_size - 8, 0):
        raise ModelFileError(f"{path} is cut off: its header alone is longer. Copy it again from where it came.")


def _sha256(specification: str, weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(specification.encode())
    for name in sorted(weights):
        array = weights[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read_specification(path: Path, header: str) -> tuple[Specification, str, str]:
    """What our JSON says, as a record and as sorted JSON, and the checksum that it gives."""
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
    try:
        said = _json(content)
    except ValueError as error:  # numbers that are none
        raise ModelFileError(f"{path} is damaged: its description cannot be read.") from error
    try:
        return Specification.model_validate(content), said, checksum
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(f"{path} is damaged: its description has a bad {where} ({first['msg']}).") from error
