"""Writes predictions as CSV, JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.records import Predictions, atomic, csv_text


def ranked(predictions: Predictions, k: int) -> list[list[tuple[str, float]]]:
    """For each picture, its k most probable classes with probabilities, in descending order."""
    return [
        [(predictions.classes[i], float(row[i])) for i in order]
        for row, order in zip(predictions.probabilities, predictions.top(k), strict=True)
    ]


def write(predictions: Predictions, path: Path, k: int) -> None:
    """Writes predictions in the format of the file's suffix.

    CSV has the columns id, class, probability (and class_2, probability_2 ... with `k` above 1) and error; JSON lines
    have the same fields; if the model abstains, `answer` is `sure` or `not sure`. Parquet has the probabilities of all
    classes. Unreadable pictures come last, with the reason. Names that are not valid text, which Linux allows, have
    escapes. In CSV, a name that a spreadsheet would run as a formula has an apostrophe before it
    (`pellucid.records.csv_text`).

    Raises:
        UsageError: the suffix is unknown.
        StorageError: the file cannot be written.
    """
    writer(path)(predictions, path, k)


def writer(path: Path) -> Callable[[Predictions, Path, int], None]:
    """The function that writes files with the suffix of `path`.

    Raises:
        UsageError: the suffix is unknown.
    """
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"Predictions are written as {', '.join(_WRITERS)}, but the file is called '{path.name}'. "
            f"Try --out {path.stem or 'predictions'}.csv."
        )
    return _WRITERS[path.suffix.lower()]


def _answers(predictions: Predictions) -> list[list[str]]:
    """For each picture, whether the model is sure of it; nothing if it never abstains."""
    if predictions.abstain_below is None:
        return [[]] * len(predictions)
    return [["sure" if sure else "not sure"] for sure in predictions.accepted.tolist()]


def _write_csv(predictions: Predictions, path: Path, k: int) -> None:
    k = min(k, len(predictions.classes))
    further = [f"{name}_{rank}" for rank in range(2, k + 1) for name in ("class", "probability")]
    abstains = predictions.abstain_below is not None
    rows: list[list[object]] = [["id", "class", "probability", *further, *(["answer"] if abstains else []), "error"]]
    for name, classes, answer in zip(
        predictions.ids.tolist(), ranked(predictions, k), _answers(predictions), strict=True
    ):
        rows.append([name, *(value for pair in classes for value in pair), *answer, ""])
    for name, reason in predictions.unreadable.items():
        rows.append([name, *[""] * (2 * k + abstains), reason])
    atomic.write_text(path, csv_text.as_text(rows))


def _write_json_lines(predictions: Predictions, path: Path, k: int) -> None:
    lines = []
    for name, classes, answer in zip(
        predictions.ids.tolist(), ranked(predictions, k), _answers(predictions), strict=True
    ):
        top = [{"class": one, "probability": probability} for one, probability in classes]
        said = {"answer": answer[0]} if answer else {}
        lines.append({"id": name, **top[0], **said, **({"top": top} if k > 1 else {})})
    lines += [{"id": name, "error": reason} for name, reason in predictions.unreadable.items()]
    atomic.write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _write_parquet(predictions: Predictions, path: Path, k: int) -> None:  # noqa: ARG001 (it holds all classes)
    predictions.save(path)


_WRITERS: dict[str, Callable[[Predictions, Path, int], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
