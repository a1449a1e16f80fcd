"""`Predictions`: a model's probabilities for some pictures, saved as one Parquet file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError, FormatError
from pellucid.records import atomic, display, json_text
from pellucid.records.dataset import require_unique
from pellucid.records.names import counted
from pellucid.records.paths import expand_user

_METADATA_KEY = b"pellucid"
_FREE_ROWS = 1_000_000
"""Rows that are plausible for a file of any size."""
_FREE_CHARACTERS = 500_000_000
"""Characters that the names of all rows may take together, if each takes as many as the longest."""


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for N pictures.

    Attributes:
        ids: str (N,), names of the pictures (for files: the path as the user gave it).
        probabilities: float32 (N, K), each row summing to one.
        classes: the K class names.
        labels: int64 (N,), the true labels, or None if they are unknown.
        columns: further values per picture, as in the dataset.
        dataset, split: names of the dataset and the split, for titles.
        model: the SHA-256 of the model.
        unreadable: pictures that could not be read, and have no row: {id: sentence with the reason}.
        abstain_below: the model is "not sure" of pictures with a lower confidence; None if it never abstains.
    """

    ids: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    labels: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    dataset: str = ""
    split: str = ""
    model: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    abstain_below: float | None = None

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.ids), len(self.classes)):
            raise DataError(
                f"{len(self.ids)} pictures and {len(self.classes)} classes need probabilities of shape "
                f"({len(self.ids)}, {len(self.classes)}); these have {self.probabilities.shape}."
            )
        for name, values in {"labels": self.labels, **self.columns}.items():
            if values is not None and len(values) != len(self.ids):
                raise DataError(
                    f"There must be as many {name} as predictions; given: "
                    f"{counted(len(self.ids), 'prediction')}, but {len(values):,} {name}."
                )
        require_unique(self.classes)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        known = "labels known" if self.labels is not None else "labels unknown"
        left_out = f", {len(self.unreadable):,} more could not be read" if self.unreadable else ""
        return (
            f"Predictions({counted(len(self), 'picture')}, "
            f"{counted(len(self.classes), 'class', 'classes')}, {known}{left_out})"
        )

    def _repr_html_(self) -> str | None:
        return display.html(self)

    @property
    def predicted(self) -> np.ndarray:
        """The index of the most probable class: int64 (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the most probable class: float32 (N,)."""
        return self.probabilities.max(axis=1)

    @property
    def accepted(self) -> np.ndarray:
        """Whether the model is sure enough to answer: bool (N,). True for all if it never abstains."""
        return self.confidence >= np.float32(self.abstain_below or 0.0)

    def top(self, k: int) -> np.ndarray:
        """The indices of the k most probable classes, the most probable first: int64 (N, k)."""
        return np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]

    def save(self, path: str | Path) -> None:
        r"""Writes one Parquet file.

        Its columns are id, predicted, confidence, label (if known), p:CLASS for each class, and column:NAME for each
        further column. Everything else is JSON in the file's metadata. File names that are not valid text, which Linux
        allows, are written with escapes: `bad\udcff.png`.
        """
        import pyarrow as pa
        import pyarrow.parquet as parquet

        if (valid := self._valid_text()) is not self:
            valid.save(path)
            return
        names = np.array(self.classes, dtype=object)
        table: dict[str, object] = {
            "id": pa.array(self.ids.tolist(), pa.string()),
            "predicted": pa.array(names[self.predicted].tolist(), pa.string()),
            "confidence": pa.array(self.confidence.astype(np.float32)),
        }
        if self.labels is not None:
            table["label"] = pa.array(names[self.labels].tolist(), pa.string())
        for index, name in enumerate(self.classes):
            table[f"p:{name}"] = pa.array(self.probabilities[:, index].astype(np.float32))
        for name, values in self.columns.items():
            table[f"column:{name}"] = pa.array(values.tolist())
        metadata = self._metadata() | {"sha256": self._sha256()}
        arrow = pa.table(table).replace_schema_metadata({_METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
        # A file object, because Arrow would take a path with a colon for a URI.
        with atomic.replacing(expand_user(path)) as temporary, temporary.open("wb") as stream:
            parquet.write_table(arrow, stream)

    def _valid_text(self) -> Predictions:
        """These predictions with names and reasons in valid UTF-8; `self` if they are valid already."""
        ids = [valid_text(name) for name in self.ids.tolist()]
        unreadable = {valid_text(name): valid_text(reason) for name, reason in self.unreadable.items()}
        if ids == self.ids.tolist() and unreadable == self.unreadable:
            return self
        return replace(self, ids=np.array(ids, dtype=str), unreadable=unreadable)

    def _metadata(self) -> dict[str, Any]:
        """Everything that is not a column."""
        return {
            "version": 1,
            "classes": list(self.classes),
            "dataset": self.dataset,
            "split": self.split,
            "model": self.model,
            "unreadable": dict(self.unreadable),
            **({} if self.abstain_below is None else {"abstain_below": self.abstain_below}),
        }

    def _sha256(self) -> str:
        """SHA-256 of everything, to detect damage: Parquet has no checksum of names and values."""
        digest = hashlib.sha256(json.dumps(self._metadata(), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.probabilities, dtype="<f4").tobytes())
        columns = {"id": self.ids, "label": self.labels, **{f"column:{k}": v for k, v in sorted(self.columns.items())}}
        for name, values in columns.items():
            digest.update(repr((name, None if values is None else values.tolist())).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Reads a file that `save` wrote.

        Raises:
            FormatError: the file is something else, or is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = expand_user(path)
        if not path.is_file():
            raise FormatError(f"There is no predictions file at {path}.")
        try:
            # A file object, because Arrow would take a path for a partitioned dataset.
            with path.open("rb") as stream:
                # Text stays encoded: one long name may stand for any number of rows.
                texts = {"id", "label"} & set(parquet.read_schema(stream).names)
                stream.seek(0)
                file = parquet.ParquetFile(stream, read_dictionary=sorted(texts))
                if file.metadata.num_rows > max(_FREE_ROWS, 20 * path.stat().st_size):
                    raise ValueError(f"it declares {file.metadata.num_rows:,} rows, more than a file of its size holds")
                table = file.read([name for name in file.schema_arrow.names if name != "predicted"], use_threads=False)
            metadata = json_text.parse(table.schema.metadata[_METADATA_KEY])
            classes = tuple(metadata["classes"])
            index = {name: i for i, name in enumerate(classes)}
            columns = {name[7:]: _values(table[name]) for name in table.column_names if name.startswith("column:")}
            labels = None
            if "label" in table.column_names:
                labels = np.array([index[name] for name in _text(table["label"])], dtype=np.int64)
            predictions = cls(
                ids=_names(_text(table["id"])),
                probabilities=np.stack([table[f"p:{name}"].to_numpy() for name in classes], axis=1),
                classes=classes,
                labels=labels,
                columns=columns,
                dataset=metadata["dataset"],
                split=metadata["split"],
                model=metadata["model"],
                unreadable=metadata["unreadable"],
                abstain_below=metadata.get("abstain_below"),
            )
            if metadata["sha256"] != predictions._sha256():
                raise FormatError("its content does not match its checksum")
            return predictions
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, DataError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise FormatError(f"{path} is not a predictions file of Pellucid, or is damaged: {reason}.") from error


def valid_text(text: str) -> str:
    r"""The text as valid UTF-8: bytes of a file name that are not text become escapes, `\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode()


def _text(column: Any) -> list[Any]:
    """The values of a column of text; equal ones of a dictionary are one object."""
    values: list[Any] = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            distinct = chunk.dictionary.to_pylist()
            values += [None if index is None else distinct[index] for index in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return values


def _names(names: list[Any]) -> np.ndarray:
    """Names as an array, in which each takes as much memory as the longest.

    Raises:
        ValueError: that is too much.
    """
    longest = max((len(str(name)) for name in names), default=0)
    if longest * len(names) > max(_FREE_CHARACTERS, 100 * sum(len(str(name)) for name in set(names))):
        raise ValueError(f"it has names of up to {longest:,} characters")
    return np.array(names, dtype=str)


def _values(column: Any) -> np.ndarray:
    """A column of the table as an array; text as NumPy strings."""
    values = column.to_numpy()
    return values.astype(str) if values.dtype == object and all(isinstance(value, str) for value in values) else values
