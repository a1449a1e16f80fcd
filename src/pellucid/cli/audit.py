"""`pellucid audit MODEL DATA`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion

if TYPE_CHECKING:
    from pellucid.audit import Subject
    from pellucid.records import Findings, Remark

EXAMPLES = """  pellucid audit model.safetensors mnist
  pellucid audit model.safetensors photos/ --out audit
  pellucid audit model.safetensors photos/ --columns people.csv --require "accuracy>=0.9 by sex,skin"
  pellucid audit predictions.csv --check groups"""


def audit(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="Model file or run folder; or a table of predictions (CSV, Parquet): id, label, one probability per "
            "class.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="Name of a data set, or a folder. Not needed for a table of predictions.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    *,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split: train, validation or test. By default test, else validation.",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Table with further columns (sex, camera): id or path, columns.", show_default=False
        ),
    ] = None,
    require: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help='Fail unless it is shown, as "accuracy>=0.9 by sex,skin".',
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this check. Give it once for each.", show_default=False),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="All pictures and kinds instead of a sample.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the findings and tables.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Look for what the score of a model hides: groups, shortcuts, label errors, leaks, robustness, worn test splits.

    Exits with code 1 if --require is not met in every group, or cannot be shown to be.
    """
    from pellucid.audit import audit as make
    from pellucid.audit.auditing import names_of
    from pellucid.audit.requirement import parse
    from pellucid.cli import console
    from pellucid.records.run import require_new

    require_new("evaluations", out)
    requirement = None if require is None else parse(require)
    checks = None if not check else names_of(check)
    subject = _subject(model, data, split, columns)
    from dataclasses import replace

    subject = replace(subject, requirement=requirement, full=full)
    for reason in subject.predictions.unreadable.values():
        console.say(reason)
    findings = make(subject, checks)
    written = [*([] if out is None else _write(findings, out)), *_into_run(findings, model)]
    if as_json:
        typer.echo(findings.dumps())
    else:
        _print(findings)
    for path in written:
        console.say(f"Written to {path}")
    if "requirement" in findings and findings["requirement"].level == "error":
        raise typer.Exit(1)


def _subject(model: Path, data: str | None, split: str | None, columns: Path | None) -> Subject:
    from dataclasses import replace

    from pellucid.audit.prediction_tables import SUFFIXES, read_columns, read_predictions
    from pellucid.audit.subject import Subject
    from pellucid.cli import console
    from pellucid.errors import MissingDataError, UsageError
    from pellucid.records.names import counted

    for path in (model, columns):
        if path is not None and path.suffix.lower() in SUFFIXES and not path.is_file():
            raise MissingDataError(f"There is no file {path}. Give a table of predictions, or a model and its data.")
    if model.suffix.lower() in SUFFIXES:
        predictions = read_predictions(model)
        if split is not None and data is None:
            raise UsageError("--split chooses pictures of the data; a table of predictions has none. Leave it out.")
        subject = Subject(predictions)
        if data is not None:
            subject = _with_pictures(subject, data, split)
    elif data is None:
        raise UsageError(f"Give the data to audit the model on: pellucid audit {model} DATA.")
    else:
        subject = _of_model(model, data, split)
    further = {name: values.astype(str) for name, values in subject.predictions.columns.items()}
    table = columns or _own_table(data)
    if table is not None:
        further |= read_columns(table, subject.predictions.ids)
    if subject.predictions.unreadable:
        console.notes([f"{counted(len(subject.predictions.unreadable), 'unreadable picture')} left out."])
    return replace(subject, columns=further)


def _own_table(data: str | None) -> Path | None:
    """The data, if they are a table of paths: its further columns make groups."""
    from pellucid.data.manifest import recognises

    path = Path((data or "").partition("?")[0])
    return path if path.suffix.lower() in (".csv", ".tsv") and recognises(path) else None


def _with_pictures(subject: Subject, data: str, split: str | None) -> Subject:
    """The subject with the pictures of these predictions, matched by id."""
    from dataclasses import replace

    from pellucid.audit.subject import rows_of
    from pellucid.data import load

    dataset = load(data, test_fraction=1 if split is None else 0.2)
    pictures = dataset.split(split or _usual_split(dataset.splits))
    rows = rows_of(pictures, subject.predictions.ids)
    return replace(subject, pictures=pictures.take(rows), indices=rows, train=dataset.splits.get("train"))


def _of_model(path: Path, data: str, split: str | None) -> Subject:
    from pellucid import inference
    from pellucid.audit.subject import Subject, rows_of
    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.records import Model, ledger

    model = Model.load(path)
    dataset = load(data, test_fraction=1 if split is None else 0.2)
    console.notes(dataset.notes)
    name = split or _usual_split(dataset.splits)
    pictures = dataset.split(name)
    pictures.known_labels()
    predictions = inference.predict(model, pictures)
    if name == "test":
        ledger.record_scoring(pictures.fingerprint(), data=pictures.dataset, model=model.sha256)
    rows = rows_of(pictures, predictions.ids)
    readable = pictures if len(rows) == len(pictures) else pictures.take(rows)
    train = dataset.splits.get("train") if name != "train" else None
    scored = "" if readable is pictures else pictures.fingerprint()
    return Subject(predictions, readable, rows, train, model, scored_split=scored)


def _usual_split(splits: object) -> str:
    """The split to audit if the user names none."""
    return next(name for name in ("test", "validation", "train") if name in splits)  # type: ignore[operator]


_MARKS = {"error": "✗", "warning": "!", "info": "✓"}


def _print(findings: Findings) -> None:
    """Prints the accuracy, one paragraph per check, and the next step."""
    from pellucid.audit.registry import CHECKS
    from pellucid.cli import console

    typer.echo(console.plain(findings.title))
    typer.echo(str(findings["accuracy"]).capitalize())
    typer.echo()
    titles = {"requirement": "Requirement", **{name: check.title for name, check in CHECKS.items()}}
    width = max(map(len, titles.values()))
    results = {row[0]: row[1] for row in findings["checks"].rows}
    for name, title in titles.items():
        if name in findings:
            item = findings[name]
            _paragraph(item, f"{'–' if results.get(name) == 'not checked' else _MARKS[item.level]} {title:<{width}}  ")
    alarms = sum(result == "alarm" for result in results.values())
    made = sum(result != "not checked" for result in results.values())
    typer.echo()
    count = f"{alarms:,} alarm{'s' * (alarms != 1)} in {made:,} check{'s' * (made != 1)}"
    typer.echo(f"{count}. {'All numbers: --json. Tables and pictures: --out FOLDER.' if made else ''}".strip())


def _paragraph(item: Remark, first: str) -> None:
    from pellucid.cli import console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000
    indent = " " * len(first)
    for mark, text in ((first, item.text), (f"{indent}→ ", item.advice)):
        if text:
            typer.echo("\n".join(textwrap.wrap(
                console.plain(text), max(width - 1, 40), initial_indent=mark, subsequent_indent=indent,
                break_long_words=False, break_on_hyphens=False,
            )))  # fmt: skip


def _into_run(findings: Findings, model: Path) -> list[Path]:
    """Writes the findings into the run folder of the model, if it has one, and its report again, if there is one."""
    from pellucid.records import RunFolder, display

    run = RunFolder(model if model.is_dir() else model.parent)
    if not run.run_json.is_file() or model.name not in (run.path.name, run.model.name):
        return []
    run.write_audit(findings)
    draw = display.view("run") if run.report.is_file() else None
    return [run.audit] if draw is None else [run.audit, draw(run)]


TABLES = ("label_errors", "leaks")
"""Tables that `--out` writes as CSV files of their own."""


def _write(findings: Findings, out: Path) -> list[Path]:
    """Writes the findings, and the tables of `TABLES`, to a new folder."""
    from pellucid.records import RunFolder, atomic, csv_text

    folder = RunFolder.create("", "", out)
    folder.write_findings(findings)
    for name in TABLES:
        if f"{name}_table" in findings:
            table = findings[f"{name}_table"]
            atomic.write_text(folder.path / f"{name}.csv", csv_text.as_text([table.columns, *table.rows]))
    return sorted(folder.path.iterdir())
