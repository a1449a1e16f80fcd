"""`ExportedModel`: a model as one ONNX file that runs without torch.

The file is an ordinary ONNX file (https://onnx.ai/onnx/repo-docs/IR.html) for uint8 pictures of the network's size: its
graph normalises them and computes the outputs. One entry of its metadata, `pellucid`, holds the specification as JSON,
with a SHA-256 of everything. ONNX files are protocol buffers, in which an entry may be appended, so reading and writing
this entry needs no package for ONNX.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pellucid.errors import ModelFileError, on_one_line
from pellucid.records import atomic
from pellucid.records.model import Model, Specification, canonical_json, model_file, read_specification
from pellucid.records.names import counted
from pellucid.records.paths import expand_user

SUFFIX = ".onnx"
_KEY = "pellucid"
_METADATA_FIELD = 14  # `metadata_props` of ModelProto; each entry has a key (1) and a value (2)


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A model as an ONNX graph.

    Attributes:
        specification: that of the model, unchanged.
        graph: the bytes of the ONNX file without Pellucid's metadata. Input `pictures`, uint8 (N, C, H, W); output
            `outputs`, float32 (N, K), before temperature and softmax.
        parameters: the number of values in the weights of the model.
        source: SHA-256 of the model that was exported.
        precision: of weights and activations.
    """

    specification: Specification
    graph: bytes
    parameters: int
    source: str
    precision: Literal["float32", "int8"] = "float32"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the outputs."""
        return self.specification.classes

    def _facts(self) -> dict[str, Any]:
        return {"parameters": self.parameters, "precision": self.precision, "source": self.source}

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the specification, the graph and the rest (hexadecimal)."""
        return _sha256(self.specification.canonical(), self._facts(), self.graph)

    def __repr__(self) -> str:
        name = on_one_line(self.specification.network.name)
        return f"ExportedModel({name}, {counted(len(self.classes), 'class', 'classes')}, ONNX, {self.precision})"

    def to_bytes(self) -> bytes:
        """The content of the file."""
        specification = json.loads(self.specification.canonical())
        document = {"sha256": self.sha256, "specification": specification, **self._facts()}
        entry = _field(1, _KEY.encode()) + _field(2, canonical_json(document).encode())
        return self.graph + _field(_METADATA_FIELD, entry)

    def save(self, path: str | Path) -> Path:
        """Writes the file, whole or not at all, and returns its path.

        Raises:
            StorageError: the disk is full, or the folder is not writable.
        """
        path = expand_user(path)
        atomic.write_bytes(path, self.to_bytes())
        return path

    @classmethod
    def load(cls, path: str | Path) -> ExportedModel:
        """Reads a file that `pellucid export` wrote. Runs no code from it.

        Raises:
            ModelFileError: it is missing, damaged, foreign, or of another format version.
        """
        path = model_file(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        header, graph = _split(content, path)
        specification, text, checksum = read_specification(path, header)
        document = json.loads(header)
        facts = {key: document.get(key) for key in ("parameters", "precision", "source")}
        if checksum != _sha256(text, facts, graph):
            raise ModelFileError(
                f"{path} is damaged, or another program changed it: its checksum differs. Export again."
            )
        return cls(specification, graph, **facts)


def load_model(path: str | Path) -> Model | ExportedModel:
    """Reads a model file, a run folder, or an exported model (`.onnx`).

    Raises:
        ModelFileError: as in `Model.load` and `ExportedModel.load`.
    """
    return ExportedModel.load(path) if expand_user(path).suffix.lower() == SUFFIX else Model.load(path)


def _sha256(specification: str, facts: dict[str, Any], graph: bytes) -> str:
    digest = hashlib.sha256(f"{specification}\n{canonical_json(facts)}\n".encode())
    digest.update(graph)
    return digest.hexdigest()


def _split(content: bytes, path: Path) -> tuple[str, bytes]:
    """Pellucid's JSON, and the content without it."""
    try:
        for number, start, value, end in _fields(content):
            if number == _METADATA_FIELD:
                entry = {n: content[value:end][v:e] for n, _, v, e in _fields(content[value:end])}
                if entry.get(1) == _KEY.encode():
                    return entry[2].decode(), content[:start] + content[end:]
    except (ValueError, KeyError) as error:
        raise ModelFileError(
            f"{path} is damaged, cut off, or not an ONNX file. Copy it again, or export again."
        ) from error
    raise ModelFileError(
        f"{path} is an ONNX file, but not of Pellucid: it has no classes and no preprocessing. "
        f"`pellucid export MODEL` writes one."
    )


def _fields(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a protocol buffer: (number, start of the field, start of its value, end).

    Source: https://protobuf.dev/programming-guides/encoding/.

    Raises:
        ValueError: the content is not a protocol buffer.
    """
    position = 0
    while position < len(content):
        start = position
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == 0:
            _, end = _varint(content, position)
        elif kind == 2:
            length, position = _varint(content, position)
            end = position + length
        elif kind in (1, 5):
            end = position + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if end > len(content):
            raise ValueError("cut off")
        yield tag >> 3, start, position, end
        position = end


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """(the number, the position after it)."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("cut off")
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number of more than ten bytes")


def _field(number: int, value: bytes) -> bytes:
    """A field that holds bytes."""
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _as_varint(number: int) -> bytes:
    result = bytearray()
    while number >= 0x80:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*result, number])
