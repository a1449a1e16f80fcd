"""Predictions as files that other programs read: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.records import Predictions, atomic


def ranked(predictions: Predictions, k: int) -> list[list[tuple[str, float]]]:
    """For each picture its k most probable classes with their probabilities, the most probable first."""
    return [
        [(predictions.classes[i], float(row[i])) for i in order]
        for row, order in zip(predictions.probabilities, predictions.top(k), strict=True)
    ]


def write(predictions: Predictions, path: Path, k: int) -> None:
    """Writes predictions in the form that the file's name asks for.

    CSV has the columns id, class, probability (and class_2, probability_2 ... with `k` above 1) and error; JSON lines
    have the same by name; Parquet has the probabilities of all classes. Pictures that could not be read come last, with
    the reason. Names that are no valid text, as Linux allows, are given as `predict` prints them: with escapes.

    Raises:
        UsageError: the name asks for no known form.
        StorageError: it cannot be written.
    """
    writer(path)(predictions, path, k)


def writer(path: Path) -> Callable[[Predictions, Path, int], None]:
    """What writes a file of that name.

    Raises:
        UsageError: the name asks for no known form.
    """
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"Predictions are written as {', '.join(_WRITERS)}, as the name says; '{path.name}' says none of them. "
            f"Try --out {path.stem or 'predictions'}.csv."
        )
    return _WRITERS[path.suffix.lower()]


def _write_csv(predictions: Predictions, path: Path, k: int) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    k = min(k, len(predictions.classes))
    further = [f"{name}_{rank}" for rank in range(2, k + 1) for name in ("class", "probability")]
    rows.writerow(["id", "class", "probability", *further, "error"])
    for name, classes in zip(predictions.ids.tolist(), ranked(predictions, k), strict=True):
        rows.writerow([name, *(value for pair in classes for value in pair), ""])
    for name, reason in predictions.unreadable.items():
        rows.writerow([name, *[""] * (2 * k), reason])
    atomic.write_text(path, text.getvalue())


def _write_json_lines(predictions: Predictions, path: Path, k: int) -> None:
    lines = []
    for name, classes in zip(predictions.ids.tolist(), ranked(predictions, k), strict=True):
        top = [{"class": one, "probability": probability} for one, probability in classes]
        lines.append({"id": name, **top[0], **({"top": top} if k > 1 else {})})
    lines += [{"id": name, "error": reason} for name, reason in predictions.unreadable.items()]
    atomic.write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _write_parquet(predictions: Predictions, path: Path, k: int) -> None:  # noqa: ARG001 (it holds all classes)
    predictions.save(path)


_WRITERS: dict[str, Callable[[Predictions, Path, int], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
