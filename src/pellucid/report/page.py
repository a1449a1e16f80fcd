"""The report: findings and their training as one self-contained HTML page.

The page makes no requests: style, pictures and script are inside it.
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
from pellucid.report import audit as audits
from pellucid.report import pictures, result, sections
from pellucid.report.card import model_card
from pellucid.report.wording import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def write(
    findings: Findings,
    path: str | Path,
    *,
    about: Mapping[str, Any] | None = None,
    drawn: Mapping[str, bytes] | None = None,
    audit: Findings | None = None,
) -> Path:
    """Writes the report and returns its path.

    Args:
        findings: the findings to show, with the history and the class grid of a run as figures.
        path: the HTML file.
        about: the content of run.json: network, data and recipe.
        drawn: figures already drawn: name → PNG bytes.
        audit: the findings of an audit of the model.

    Raises:
        StorageError: the file cannot be written.
    """
    path = Path(path)
    atomic.write_text(path, render(findings, about=about, drawn=drawn, audit=audit))
    return path


def render(
    findings: Findings,
    *,
    about: Mapping[str, Any] | None = None,
    drawn: Mapping[str, bytes] | None = None,
    audit: Findings | None = None,
) -> str:
    """The report as HTML; see `write`."""
    run: Mapping[str, Any] = _clean(about or {})
    parts = sections.sections(findings, run, dict(drawn or {}), audit)
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
            enlargeable=any(
                cell["png"] for section in parts for part in section["parts"] for cell in part.get("cells", ())
            ),
            version=run.get("versions", {}).get("pellucid", ""),
        )
    )


@cache
def environment() -> Environment:
    """The Jinja environment of the templates. It escapes all values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("pellucid.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _clean(content: Any) -> Any:
    """The same content with line breaks and invisible characters escaped in all text."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, Mapping):
        return {visible(str(key)): _clean(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_clean(value) for value in content]
    return content


def write_run(run: RunFolder, data: Dataset | None = None) -> Path:
    """Draws the figures of a run into `pictures/`, writes `report.html` and `model_card.md`; returns the page's path.

    Reads run.json, history.csv, findings.json and audit.json. The report says which of them is missing.

    Args:
        run: the run folder.
        data: the training data. A grid of its pictures is added to findings.json, so that the report can be written
            again without the data. None adds no grid.

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
    audit = run.read_audit()
    folder = atomic.make_folder(run.pictures)
    drawn: dict[str, bytes] = {}
    for item in (*findings, *audits.with_curve(audit)):
        if isinstance(item, Figure) and item.figure in pictures.PICTURES:
            drawn[item.name] = pictures.png(item)
            atomic.write_bytes(folder / f"{_file_name(item)}.png", drawn[item.name])
    if about:
        atomic.write_text(run.model_card, model_card(findings, audit, about))
    return write(findings, run.report, about=about, drawn=drawn, audit=audit)


def _file_name(figure: Figure) -> str:
    """A file name for the figure. It has no separators, so the file stays in its folder."""
    return re.sub(r"[\W_]+", "-", figure.name).strip("-") or "figure"


def history_figure(rows: list[dict[str, Any]], chosen: int | None = None) -> Figure:
    """The history as a figure, which `pictures` draws as curves."""
    return Figure(
        "history", "history", {"rows": rows, "chosen_epoch": chosen}, title="Loss and accuracy after each epoch"
    )


def history(path: Path) -> list[dict[str, Any]]:
    """The rows of history.csv as numbers; an empty cell is None.

    Raises:
        FormatError: the file is damaged.
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
        raise FormatError(f"{path} is damaged: its rows are not numbers ({error}).") from error
