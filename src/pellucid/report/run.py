"""The report of a run, from the files in its folder: so it can be made again at any time, without training."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from pellucid.errors import FormatError
from pellucid.records import Dataset, Figure, RunFolder, atomic
from pellucid.report import page, pictures


def write(run: RunFolder, data: Dataset | None = None) -> Path:
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
    about = run.read_json() if run.run_json.is_file() else {}
    findings = run.read_findings()
    if data is not None and "class_grid" not in findings:
        findings += [pictures.class_grid(next(iter(data)))]
        run.write_findings(findings)
    rows = history(run.history) if run.history.is_file() else []
    if rows:
        findings += [history_figure(rows, about.get("chosen_epoch"))]
    folder = atomic.make_folder(run.pictures)
    drawn: dict[str, bytes] = {}
    for item in findings:
        if isinstance(item, Figure) and item.figure in pictures.PICTURES:
            drawn[item.name] = pictures.png(item)
            atomic.write_bytes(folder / f"{_file_name(item)}.png", drawn[item.name])
    return page.write(findings, run.report, about=about, drawn=drawn)


def _file_name(figure: Figure) -> str:
    """Its name as a file's: whatever the findings call it, it stays within the folder."""
    return re.sub(r"[\W_]+", "-", figure.name).strip("-") or "figure"


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
