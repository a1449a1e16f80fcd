"""The report: findings, and how they came about, as one self-contained HTML page.

The page loads nothing and sends nothing: its style, its pictures and its few lines of script lie within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.records import Findings, atomic
from pellucid.report import result, sections
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
