"""`pellucid lint NETWORK` and `pellucid lint train.py`."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.records import Findings

EXAMPLES = """  pellucid lint deep-convnet
  pellucid lint mynet.py:Net --shape 3,64,64 --classes 5
  pellucid lint runs/digits-convnet-001
  pellucid lint train.py
  pellucid lint --rules

A script or notebook is read, never run; a network runs on random pictures. The exit code is 1 if there is a
warning."""


def lint(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="NETWORK|SCRIPT",
            help="A network (a name of the catalogue, timm:NAME, file.py:Class), a model file, a run folder; or a "
            "training script or notebook.",
            show_default=False,
            autocompletion=completion.networks,
        ),
    ] = None,
    *,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="C,H,W",
            help="Shape of its pictures, for example 3,64,64; that of the catalogue by default.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, help="Number of classes.", show_default=False)] = None,
    object_size: Annotated[
        int | None,
        typer.Option(
            "--object",
            metavar="PIXELS",
            min=1,
            help="Size of the objects in the pictures; half of the picture by default.",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="For a model of your own network: file.py:Class.", show_default=False)
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Find silent mistakes in a network or a training script, with the reason and the fix."""
    from pellucid.cli import console
    from pellucid.errors import UsageError

    if rules:
        from pellucid.lint.linting import rules as all_rules

        console.table(all_rules()["rules"], as_json=as_json)
        return
    if target is None:
        raise UsageError("Lint what? Give a network or a script: pellucid lint lenet5. --rules lists the rules.")
    sides = _sides(shape) if shape is not None else None

    from pellucid.lint import lint as run_lint

    with _progress() as progress:
        findings = run_lint(
            target, shape=sides, classes=classes, object_size=object_size, network=network, progress=progress
        )
    _show(findings, as_json=as_json)
    if findings["warnings"].value:
        raise typer.Exit(1)


def _show(findings: Findings, *, as_json: bool) -> None:
    """Print the findings as text, or as JSON."""
    from pellucid.cli import console

    if as_json:
        console.emit(findings, as_json=True)
    else:
        typer.echo(_page(findings))


def _sides(text: str) -> tuple[int, int, int]:
    """Parses `3,64,64` or `3x64x64`.

    Raises:
        UsageError: the text has another form.
    """
    from pellucid.errors import UsageError

    parts = text.lower().replace("×", ",").replace("x", ",").split(",")
    sides = [int(part) for part in parts if part.strip().isdecimal()]
    if len(sides) != len(parts) or len(sides) != 3 or min(sides) < 1:
        raise UsageError(f"--shape is '{text}', but should be channels, height and width, for example --shape 3,64,64.")
    return sides[0], sides[1], sides[2]


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A progress bar on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("building the network", total=None)
        yield lambda number, of, what: bar.update(task, completed=number, total=of, description=f"checking {what}")


def _page(findings: Findings) -> str:
    """The findings as text: one paragraph for each, wrapped on a terminal, whole lines in a pipe."""
    from pellucid.cli import console

    rows = findings["flaws"].rows
    warnings, infos = int(findings["warnings"].value), int(findings["infos"].value)
    counts_text = ", ".join(
        f"{count} {name}{'s' if count != 1 else ''}"
        for count, name in ((warnings, "warning"), (infos, "info"))
        if count
    )
    lines = [console.plain(f"{findings.title}: {counts_text or 'no problems found'}. {findings['flaws'].note}")]
    together: dict[tuple[str, ...], list[str]] = {}
    for level, rule, place, reason, fix in rows:
        together.setdefault((level, rule, reason, fix), []).append(place)
    for (level, rule, reason, fix), places in together.items():
        lines += ["", f"{level}  {rule}", *(f"  {console.plain(place)}" for place in places)]
        lines += _paragraph("why   ", console.plain(reason)) + _paragraph("fix   ", console.plain(fix))
    return "\n".join(lines)


def _paragraph(title: str, text: str) -> list[str]:
    begin = f"  {title}"
    if not sys.stdout.isatty():
        return [begin + text]
    width = max(min(shutil.get_terminal_size().columns, 120), 40)
    return textwrap.wrap(text, width, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False)
