"""`pellucid runs [FOLDER]`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pellucid.records import Table
    from pellucid.records.runs import RunSummary

EXAMPLES = """  pellucid runs
  pellucid runs experiments/
  pellucid runs --json"""


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that contains the run folders.")] = Path(
        "runs"
    ),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """List the runs in a folder, newest last: data, network, accuracy, epochs, seconds, settings, seed.

    Accuracy has its 95 % interval and the number of scored pictures. Epochs are the chosen one and their number.
    Settings are those that differ from the network's own recipe.
    """
    from pellucid.cli import console
    from pellucid.records import runs as records

    summaries = records.find(folder)
    if as_json:
        console.table(table(summaries), as_json=True)
        return
    if not summaries:
        typer.echo(console.plain(f"There are no runs in {folder}."))
    else:
        console.table(_for_people(summaries), as_json=False)
    for summary in summaries:
        if summary.problem:
            console.say(f"Damaged: {summary.problem}")


COLUMNS = (
    *("run", "state", "data", "network", "network settings", "split", "accuracy %", "low %", "high %", "n"),
    *("chosen epoch", "epochs", "seconds", "settings", "seed", "problem"),
)


def table(summaries: list[RunSummary]) -> Table:
    """The runs as one table; unknown values are None."""
    from pellucid.records import Table

    rows = tuple(
        (
            str(one.path),
            one.state,
            one.data or None,
            one.source or one.network or None,
            dict(one.settings),
            one.scored or None,
            *((None,) * 4 if (m := one.accuracy) is None else (m.value, m.low, m.high, m.n)),
            one.chosen_epoch,
            one.epochs,
            one.seconds,
            differences(one),
            one.seed,
            one.problem or None,
        )
        for one in summaries
    )
    return Table("runs", COLUMNS, rows)


def differences(run: RunSummary) -> dict[str, Any]:
    """Settings in which a run differs from its network's own recipe: {setting: value}.

    Networks outside the catalogue are compared with the default recipe.
    """
    own = _own_recipe(run.network)
    return {name: value for name, value in run.recipe.items() if name not in own or own[name] != value}


@functools.cache
def _own_recipe(network: str) -> dict[str, Any]:
    from pellucid.networks.pages import recipe_of
    from pellucid.training.recipes import Recipe

    return Recipe().but(**recipe_of(network)).model_dump(mode="json")


def _for_people(summaries: list[RunSummary]) -> Table:
    """The runs in fewer columns, as text."""
    from pellucid.records import Table

    rows = tuple(
        (
            str(one.path),
            one.data,
            _with(one.source or one.network, one.settings),
            _result(one),
            _epochs(one),
            "" if one.seconds is None else f"{one.seconds:,.1f}",
            "" if one.seed is None else str(one.seed),
            _listed(differences(one)),
        )
        for one in summaries
    )
    return Table("runs", ("run", "data", "network", "accuracy", "epochs", "seconds", "seed", "settings"), rows)


def _result(run: RunSummary) -> str:
    """The accuracy with its interval and n, or the reason why there is none."""
    from pellucid.records.runs import FINISHED

    if run.state != FINISHED:
        return run.state
    if run.accuracy is None:
        return "not measured"
    text = str(run.accuracy).removeprefix("accuracy ").split("): ")[0].removesuffix(")") + ")"
    return text if run.scored == "test" else f"{text}, {run.scored} split"


def _epochs(run: RunSummary) -> str:
    if run.epochs is None:
        return ""
    return str(run.epochs) if run.chosen_epoch is None else f"{run.chosen_epoch}/{run.epochs}"


def _with(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name} ({_listed(settings)})" if settings else name


def _listed(settings: Mapping[str, Any]) -> str:
    from pellucid.records.runs import format_value

    return ", ".join(f"{name}={format_value(value)}" for name, value in settings.items())
