"""`pellucid train DATA --network NAME`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import arguments, completion

if TYPE_CHECKING:
    from pellucid.records import Findings
    from pellucid.workflows.train import Run

EXAMPLES = """  pellucid train digits --network convnet
  pellucid train mnist --recipe fast
  pellucid train photos/
  pellucid train photos/ --recipe finetune
  pellucid train photos/ --best-within 10m
  pellucid train mnist --network lenet5 --epochs 10 --seed 1
  pellucid train photos/ --network convnet --size 64 --augment flip --augment shift:2
  pellucid train mnist --network mlp --set widths=[300,100] --set activation=tanh
  pellucid train mnist --network mynet.py:Net --recipe plain --recipe-set weight_decay=0.1
  pellucid train more/ --from model.safetensors --epochs 3
  pellucid train mnist --network lenet5 --find-lr
  pellucid train mnist --network lenet5 --budget 5m --batch-size auto
  pellucid train --resume runs/mnist-lenet5-001"""


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, a folder with one folder per class, a table (CSV, Parquet), or tar shards.",
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
    recipe: Annotated[
        str,
        typer.Option(
            help="A named recipe: plain, fast, best, quick, record; for photos features, finetune, scratch.",
            autocompletion=completion.recipes,
        ),
    ] = "default",
    backbone: Annotated[
        str | None,
        typer.Option(help="For photos: the pretrained network to start from, lite0 or timm:NAME.", show_default=False),
    ] = None,
    best_within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="For photos: try what fits into this time, and keep what is best on validation.",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download the backbone's weights if they are missing.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Number of passes over the training pictures.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Train as many epochs as fit into this time: 90s, 5m, 1h.", show_default=False
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|auto", help="Number of pictures in a step; auto fills memory.", show_default=False
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for --batch-size auto: 500MB, 2GB; by default what is free.",
            show_default=False,
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest learning rate.", show_default=False)] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adagrad, rmsprop, adam, adamw or muon.", show_default=False)
    ] = None,
    loss: Annotated[str | None, typer.Option(help="cross-entropy, squared-error or hinge.", show_default=False)] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, step, cosine or one-cycle.", show_default=False)
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="Augmentation of training pictures: flip, shift:2, rotate:10. Repeatable.", show_default=False
        ),
    ] = None,
    scaling: Annotated[
        str | None, typer.Option(help="Scaling of the input: unit, symmetric or standard.", show_default=False)
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Resize pictures to this height and width, in pixels.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
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
            "--recipe-set", metavar="KEY=VALUE", help="A setting of the recipe. Repeatable.", show_default=False
        ),
    ] = None,
    max_error: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help='Answer "not sure" where needed, so that other answers err at most this often: 1%.',
            show_default=False,
        ),
    ] = None,
    purpose: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model is for, for its report.", show_default=False)
    ] = "",
    not_for: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model is not for, for its report.", show_default=False)
    ] = "",
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Do not train: try learning rates, and suggest one.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Resume a run that was interrupted or killed.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; by default the next number in runs/.", show_default=False)
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Also write the curves for another program: tensorboard.", show_default=False),
    ] = None,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Keep the model of every epoch, for `pellucid inspect RUN --film`.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Check the data first for copies and unreadable pictures.")
    ] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report and its pictures.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Train a network on labelled pictures, then score it once on the test split.

    The run folder holds the model, the history, the predictions, the findings and a report. Ctrl-C ends training
    cleanly and keeps the best model. --resume continues from there, also after a crash.
    """
    since = time.perf_counter()
    from pellucid.errors import UsageError
    from pellucid.records.paths import require_utf8
    from pellucid.workflows.planning import require_sound, split_limits

    if resume is not None:
        arguments.require_nothing_else(context, "a run", ("network", "log", "snapshots", "quiet", "as_json"))
        _resume(resume, network, log or (), snapshots=snapshots, quiet=quiet, as_json=as_json)
        return
    if data is None:
        raise UsageError("Which data? Give a name (`pellucid datasets` lists them) or a folder of class folders.")
    changes: dict[str, Any] = arguments.parse(recipe_settings or (), "--recipe-set")
    options = {
        "epochs": epochs,
        "batch_size": arguments.batch_size(batch_size),
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "loss": loss,
        "schedule": schedule,
        "scaling": scaling,
        "augmentation": tuple(augment) if augment else None,
        "backbone": backbone,
        "best_within": _seconds(best_within),
        "max_error": arguments.share(max_error, "--max-error"),
    }
    changes |= {key: value for key, value in options.items() if value is not None}

    # Wrong arguments are refused before torch takes its seconds to load.
    require_utf8(*context.find_root().obj)
    limits, changes = split_limits(changes, budget, memory_limit)
    require_sound(network, recipe, changes, device=device, out=out, within="runs", start=start)
    if find_lr:
        _require_range_test(changes, limits, follows=bool(log) or snapshots)
    loggers = [_logger(name) for name in dict.fromkeys(log or ())]
    network_changes = arguments.parse(network_settings or (), "--set")

    from pellucid.cli import console
    from pellucid.data import load
    from pellucid.data.catalogue import DATASETS

    dataset = load(data)
    console.notes(dataset.notes)

    from pellucid.training.plan import make_plan

    plan = make_plan(
        dataset, network, recipe=recipe, settings=network_changes or None, start=start, size=size, seed=seed,
        device=device, **changes,
    ).with_record(
        source=data if data in DATASETS else str(arguments.expand(Path(data)).resolve()),
        threads=threads,
        command=shlex.join(["pellucid", *context.find_root().obj]),
        purpose=purpose.strip(),
        not_for=not_for.strip(),
        **limits,
    )  # fmt: skip
    if plan.recipe.freeze_backbone and (find_lr or budget is not None):
        raise UsageError(
            "With a frozen backbone there are no learning rates and no epochs, and training takes seconds. Leave "
            "--find-lr and --budget out, or train the whole network with --recipe finetune."
        )
    if download:
        _download(plan.recipe.backbone)
    if find_lr:
        from pellucid.cli import range_test

        range_test.run(dataset, plan, out=out, as_json=as_json, quiet=quiet)
        return

    from pellucid.workflows.train import run_plan

    finished = run_plan(
        dataset,
        plan,
        out=out,
        report=report,
        check=check,
        progress=False,
        callbacks=[
            _Remarks(data),
            *([] if quiet else [_display(as_json=as_json)]),
            *loggers,
            *_snapshots(wanted=snapshots),
        ],
        since=since,
    )
    _finish(finished, as_json=as_json)


def _resume(run: Path, network: str | None, log: Sequence[str], *, snapshots: bool, quiet: bool, as_json: bool) -> None:
    """Resumes a run, with the loggers and snapshots that it had before."""
    from pellucid.workflows.train import resume

    logged = ["tensorboard"] if (run / "tensorboard").is_dir() else []
    callbacks = [
        *([] if quiet else [_display(as_json=as_json)]),
        *(_logger(name) for name in dict.fromkeys((*log, *logged))),
        *_snapshots(wanted=snapshots or (run / "snapshots").is_dir()),
    ]
    _finish(resume(run, network=network, progress=False, callbacks=callbacks), as_json=as_json)


def _require_range_test(changes: Mapping[str, Any], limits: Mapping[str, Any], *, follows: bool) -> None:
    """Raises UsageError if --find-lr was given with options of a training."""
    from pellucid.errors import UsageError
    from pellucid.training import processes

    if limits["budget"] is not None or changes.get("best_within") is not None:
        raise UsageError("--find-lr does not train, so it takes no --budget and no --best-within. Leave it out.")
    if follows:
        raise UsageError("--find-lr does not train, so it takes no --log and no --snapshots. Leave them out.")
    if processes.world_size() > 1:
        raise UsageError("--find-lr tries learning rates in one process. Start it without torchrun.")
    if limits["fill_memory"]:
        raise UsageError(
            "--find-lr takes the batch size as a number. Find it first: --batch-size auto without --find-lr."
        )


class _Remarks:
    """Prints warnings about the data on standard error, before the training."""

    def __init__(self, data: str) -> None:
        self.data = data

    def on_checked(self, findings: Findings) -> None:
        from pellucid.cli import console
        from pellucid.records import Remark
        from pellucid.records.paths import command_line

        # Missing classes were named when the data were loaded.
        serious = [
            item
            for item in findings
            if isinstance(item, Remark) and item.level != "info" and not item.name.startswith("class_missing_in_")
        ]
        console.notes(item.text for item in serious)
        if serious:
            console.notes([f"to see them: pellucid check {command_line(self.data)}"])


def _display(*, as_json: bool) -> Any:
    """The progress display; on standard error if standard output is one JSON document."""
    from pellucid.training.display import PipeSafeConsole, default_display

    return default_display(PipeSafeConsole(stderr=as_json, soft_wrap=True))


def _logger(name: str) -> Any:
    """A callback that writes the curves for another program."""
    from pellucid.errors import UnknownNameError

    if name != "tensorboard":
        raise UnknownNameError("log", name, ["tensorboard"])
    from pellucid.training.tensorboard import TensorBoard

    return TensorBoard()


def _snapshots(*, wanted: bool) -> list[Any]:
    """The callback that saves the model of every epoch, if `wanted`."""
    from pellucid.training.callbacks import Snapshots

    return [Snapshots()] if wanted else []


def _finish(run: Run, *, as_json: bool) -> None:
    """Prints the findings, their split, and the paths of the model and the report."""
    from pellucid.cli import console
    from pellucid.training import processes

    if not processes.is_main():  # the first process prints for all
        if run.interrupted:
            raise typer.Exit(130)
        return
    training = run.training
    console.notes([note for note in training.notes if note not in training.data.notes])
    if run.interrupted:
        console.say(_interrupted(run))
        raise typer.Exit(130)
    if run.scored != "test":
        use = "which chose nothing" if training.recipe.freeze_backbone else "which also chose the epoch"
        console.notes([f"there is no test split, so the model is scored on the {run.scored} split, {use}."])
    files = {"Model": run.folder.model} | ({} if run.report is None else {"Report": run.report})
    console.emit(run.findings, as_json=as_json, files=files)


def _interrupted(run: Run) -> str:
    """What an interrupted run has kept, and how to resume it."""
    from pellucid.records.paths import command_line

    if run.unscored:
        kept = "the model, which is fully trained"
    elif run.training.chosen_epoch:
        kept = f"the model of epoch {run.training.chosen_epoch}"
    else:
        kept = "the present weights, from before the end of the first epoch"
    resume = f"pellucid train --resume {command_line(run.folder.path)}"
    return f"Interrupted. Kept {kept}: {run.folder.model}. Resume with: {resume}"


def _download(backbone: str | None) -> None:
    """Downloads the weights of a backbone if they are missing."""
    from pellucid.networks import backbones

    if backbone is not None:
        backbones.load(backbone, download=True)


def _seconds(text: str | None) -> float | None:
    from pellucid.records.quantities import parse_time

    return None if text is None else float(parse_time(text))
