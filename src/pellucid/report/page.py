"""The report: findings, and how they came about, as one self-contained HTML page.

The page loads nothing and sends nothing: its style, its pictures and its few lines of script lie within it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import FormatError
from pellucid.records import Dataset, Figure, Findings, RunFolder, atomic
from pellucid.report import pictures, result, sections
from pellucid.report.wording import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def write(
    findings: Findings,
    path: str | Path,
    *,
    about: Mapping[str, Any] | None = None,
    drawn: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes the page, and gives its path.

    Args:
        findings: what there is to show; a run's history and class grid are figures among them.
        path: where to.
        about: what was trained, on what and how: the content of run.json.
        drawn: pictures that are drawn already: PNG by the figure's name.

    Raises:
        StorageError: the file cannot be written.
    """
    path = Path(path)
    atomic.write_text(path, render(findings, about=about, drawn=drawn))
    return path


def render(
    findings: Findings, *, about: Mapping[str, Any] | None = None, drawn: Mapping[str, bytes] | None = None
) -> str:
    """The page as text; see `write`."""
    run: Mapping[str, Any] = _clean(about or {})
    parts = sections.sections(findings, run, dict(drawn or {}))
    data, network = run.get("data", {}), run.get("network", {})
    if network.get("name") and data.get("name"):
        heading = f"{network['name']} on {data['name']}"
    else:
        heading = visible(findings.title) or "Findings"
    return (
        environment()
        .get_template("report.html")
        .render(
            title=heading,
            heading=heading,
            description=data.get("description", ""),
            contents=[("result", "Result"), *((part["id"], part["title"]) for part in parts)],
            warnings=result.warnings(findings, run),
            result=result.headline(findings),
            metrics=result.metrics(findings),
            no_result=result.without(findings, run),
            sections=parts,
            sortable=any(part.get("sortable") for section in parts for part in section["parts"]),
            version=run.get("versions", {}).get("pellucid", ""),
        )
    )


@cache
def environment() -> Environment:
    """Where templates are found and filled in; whatever is filled in is text, never markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("pellucid.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _clean(content: Any) -> Any:
    """The same content with all text on one line and without characters that cannot be seen."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, Mapping):
        return {visible(str(key)): _clean(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_clean(value) for value in content]
    return content


def write_run(run: RunFolder, data: Dataset | None = None) -> Path:
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
    return write(findings, run.report, about=about, drawn=drawn)


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
