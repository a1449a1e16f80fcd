"""`pellucid tune DATA --network NAME`."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import arguments, completion

if TYPE_CHECKING:
    from pellucid.records.tune import Trial
    from pellucid.workflows.tune import Tuning

EXAMPLES = """  pellucid tune mnist --network lenet5 --epochs 3
  pellucid tune photos/ --network convnet --trials 30 --budget 1h
  pellucid tune mnist --network mlp --search learning_rate=1e-4..1e-1 --search batch_size=32,64,128
  pellucid tune mnist --network mlp --search weight_decay --search augmentation=none,shift:2,flip+shift:2
  pellucid tune --resume tunes/mnist-mlp-001 --trials 40

Without --search these are searched: learning_rate, weight_decay, batch_size, warmup, label_smoothing
and augmentation. --search NAME alone searches the default range of NAME."""


def tune(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, or a folder with one folder of pictures per class.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    *,
    network: Annotated[
        str | None,
        typer.Option(
            help="A network's name, or your own as file.py:Class.",
            show_default=False,
            autocompletion=completion.networks,
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW..HIGH|NAME=A,B",
            help="A setting to search instead of the default ones. Repeatable.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Number of trials; by default 20.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="No trial begins that would end after this time: 10m, 2h.", show_default=False
        ),
    ] = None,
    pruner: Annotated[
        str, typer.Option(help="Rule that ends a trial early if it falls behind: median, hyperband, none.")
    ] = "median",
    recipe: Annotated[
        str, typer.Option(help="The recipe to start from.", autocompletion=completion.recipes)
    ] = "default",
    epochs: Annotated[int | None, typer.Option(help="Most epochs of each trial.", show_default=False)] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Resize pictures to this height and width, in pixels.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same search.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; by default all cores.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda (run on an NVIDIA H200), or untested: mps.")] = "auto",
    start: Annotated[
        Path | None, typer.Option("--from", metavar="MODEL", help="Start from this model.", show_default=False)
    ] = None,
    network_settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the network. Repeatable.", show_default=False),
    ] = None,
    recipe_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe-set",
            metavar="KEY=VALUE",
            help="A setting of the recipe that is not searched. Repeatable.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="TUNE", help="Resume a search that was stopped, or add trials.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder; by default the next number in tunes/.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Search the settings of a training on validation pictures. The test split is never used.

    Prints every trial, the importance of each setting, and the command that trains with the best ones. Ctrl-C ends
    cleanly. --resume continues, also after a crash.
    """
    from pellucid.errors import UsageError
    from pellucid.records.paths import require_utf8
    from pellucid.records.quantities import parse_time
    from pellucid.training.recipes import named_recipe
    from pellucid.workflows import search_space
    from pellucid.workflows.planning import require_sound

    if resume is not None:
        arguments.require_nothing_else(context, "a search", ("network", "trials", "budget", "quiet", "as_json"))
        from pellucid.workflows.tune import resume as resume_search

        watcher = _display(quiet=quiet, as_json=as_json)
        tuning = resume_search(resume, network=network, trials=trials, budget=budget, watcher=watcher)
        _finish(tuning, as_json=as_json)
        return
    if data is None:
        raise UsageError("Which data? Give a name (`pellucid datasets` lists them) or a folder of class folders.")
    if network is None and start is None:
        raise UsageError(
            "Which network? Give --network NAME (`pellucid networks` lists them), for example --network convnet."
        )
    changes: dict[str, Any] = arguments.parse(recipe_settings or (), "--recipe-set")
    changes |= {} if epochs is None else {"epochs": epochs}
    network_changes = arguments.parse(network_settings or (), "--set")
    require_utf8(*context.find_root().obj)
    if budget is not None:
        parse_time(budget)
    require_sound(network, recipe, changes, device=device, out=out, within="tunes", start=start)
    search_space.require_sound(search or (), named_recipe(recipe).but(**changes), pruner)

    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.data.catalogue import DATASETS
    from pellucid.training.plan import make_plan
    from pellucid.workflows.tune import TRIALS, Search
    from pellucid.workflows.tune import tune as run_search

    dataset = load(data)
    console.notes(dataset.notes)
    plan = make_plan(
        dataset, network, recipe=recipe, settings=network_changes or None, start=start, size=size, seed=seed,
        device=device, **changes,
    ).with_record(
        source=data if data in DATASETS else str(arguments.expand(Path(data)).resolve()),
        threads=threads,
        command=shlex.join(["pellucid", *context.find_root().obj]),
    )  # fmt: skip
    tuning = run_search(
        dataset,
        plan,
        Search(search or (), TRIALS if trials is None else trials, budget, pruner),
        fixed=list(changes),
        out=out,
        watcher=_display(quiet=quiet, as_json=as_json),
    )
    _finish(tuning, as_json=as_json)


def _finish(tuning: Tuning, *, as_json: bool) -> None:
    """Prints the findings, and the command that trains with the best settings."""
    from pellucid.cli import console
    from pellucid.records.paths import command_line

    say = console.say if as_json else typer.echo
    console.notes(tuning.notes)
    with console.while_read():
        if tuning.trials:
            shown = tuning.findings
            if not as_json:  # the command stands on a line of its own, below, where it can be copied
                shown = replace(shown, items=tuple(item for item in shown if item.name != "command"))
            console.emit(shown, as_json=as_json)
        if tuning.command:
            say(console.plain(f"Train so  {tuning.command}"))
        say(console.plain(f"Search    {tuning.folder.path}"))
    if tuning.interrupted:
        console.say(
            f"Interrupted after {len(tuning.trials)} of {tuning.plan.trials} trials. Resume with: pellucid tune "
            f"--resume {command_line(tuning.folder.path)}"
        )
        raise typer.Exit(130)


def _display(*, quiet: bool, as_json: bool) -> Any:
    """The progress display: a line for each trial, and a bar in a terminal; on standard error beside JSON."""
    if quiet:
        return None
    from rich.progress import BarColumn, Progress, TextColumn

    from pellucid.errors import on_one_line
    from pellucid.records.quantities import format_time_left
    from pellucid.training.display import PipeSafeConsole
    from pellucid.workflows.search_space import as_text
    from pellucid.workflows.tune import Watcher

    console = PipeSafeConsole(stderr=as_json, soft_wrap=True)

    class Lines(Watcher):
        def on_search(self, folder: Path, trials: int, epochs: int, done: int) -> None:
            self.trials, self.epochs, self.seconds = trials, epochs, list[float]()
            gone_on = f", {done} of them done" if done else ""
            console.print(on_one_line(f"{trials} trials{gone_on}, in {folder}"), highlight=False, markup=False)
            self.bar = Progress(
                TextColumn("{task.fields[now]}"),
                BarColumn(),
                TextColumn("{task.fields[left]}"),
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
            self.task = self.bar.add_task("", total=trials, completed=done, now=f"trial {done + 1}/{trials}", left="")
            self.bar.start()

        def on_epoch(self, trial: int, row: Mapping[str, Any]) -> None:
            share = row["epoch"] / self.epochs
            now = f"trial {trial}/{self.trials}  epoch {row['epoch']}/{self.epochs}"
            self.bar.update(self.task, completed=trial - 1 + min(share, 1), now=now)

        def on_trial(self, trial: Trial, settings: Mapping[str, Any]) -> None:
            self.seconds.append(trial.seconds)
            left = statistics.median(self.seconds) * (self.trials - trial.number)
            accuracy = "   no epoch" if trial.accuracy is None else f"{100 * trial.accuracy:6.2f} %"
            pairs = "  ".join(f"{name}={as_text(value)}" for name, value in settings.items())
            width = len(str(self.trials))
            line = (
                f"trial {trial.number:>{width}}/{self.trials}   {accuracy}   {trial.state:<8}  {trial.seconds:5.1f} s"
            )
            console.print(on_one_line(f"{line}   {pairs}"), highlight=False, markup=False)
            self.bar.update(self.task, completed=trial.number, left=f"{format_time_left(left)} left")

        def on_end(self) -> None:
            self.bar.stop()

    return Lines()
