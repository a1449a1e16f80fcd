"""The report of a run, from the files in its folder: so it can be made again at any time, without training."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Protocol

from pellucid.errors import FormatError
from pellucid.records import Dataset, Figure, Findings, atomic
from pellucid.report import page, pictures


class Run(Protocol):
    """Where the files of a run lie: as `pellucid.records.run.RunFolder` has it."""

    @property
    def run_json(self) -> Path: ...
    @property
    def history(self) -> Path: ...
    @property
    def findings(self) -> Path: ...
    @property
    def pictures(self) -> Path: ...
    @property
    def report(self) -> Path: ...


def write(run: Run, data: Dataset | None = None) -> Path:
    """Draws the run's figures into its `pictures/`, writes its `report.html`, and gives the path of that.

    Reads run.json, history.csv and findings.json; what is not there is left out of the report, which says so.

    Args:
        run: the run folder.
        data: what it was trained on. When given, a grid of its training pictures is added to findings.json, so that the
            report can show it without the data later.

    Raises:
        FormatError: one of the files is damaged.
        StorageError: the folder cannot be written.
    """
    about = _json(run.run_json) if run.run_json.is_file() else {}
    findings = _findings(run.findings) if run.findings.is_file() else Findings()
    if data is not None and "class_grid" not in findings:
        findings += [pictures.class_grid(next(iter(data)))]
        atomic.write_text(run.findings, findings.dumps() + "\n")
    rows = history(run.history) if run.history.is_file() else []
    if rows:
        findings += [history_figure(rows, about.get("chosen_epoch"))]
    folder = atomic.make_folder(run.pictures)
    drawn: dict[str, bytes] = {}
    for item in findings:
        if isinstance(item, Figure) and item.figure in pictures.PICTURES:
            drawn[item.name] = pictures.png(item)
            atomic.write_bytes(folder / f"{item.name.replace('_', '-')}.png", drawn[item.name])
    return page.write(findings, run.report, about=about, drawn=drawn)


def history_figure(rows: list[dict[str, Any]], chosen: int | None = None) -> Figure:
    """The history as a figure: what `pictures` draws the curves from."""
    return Figure(
        "history", "history", {"rows": rows, "chosen_epoch": chosen}, title="Loss and accuracy after each epoch"
    )


def history(path: Path) -> list[dict[str, Any]]:
    """The rows of history.csv as numbers; an empty place is None.

    Raises:
        FormatError: it is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                {
                    key: (int(value) if key in ("epoch", "step") else float(value)) if value else None
                    for key, value in row.items()
                }
                for row in csv.DictReader(stream, strict=True)
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise FormatError(f"{path} is damaged: it is not a history of numbers ({error}).") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path} is damaged: it cannot be read as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path} is damaged: it holds no settings of a run.")
    return content


def _findings(path: Path) -> Findings:
    content = _json(path)
    try:
        return Findings.from_json(content)
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: its findings cannot be read ({error}).") from error
