"""Train; then predict the test split once, score it, and write everything into a run folder."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.data import load
from pellucid.data.catalogue import is_published
from pellucid.errors import UsageError
from pellucid.evaluation import evaluate
from pellucid.evaluation.scoring import counted
from pellucid.inference import predict
from pellucid.inference.features import describe
from pellucid.networks import backbones
from pellucid.networks.custom import full_reference
from pellucid.records import Dataset, Findings, Model, RunFolder, atomic, display
from pellucid.records.paths import expand_user, require_utf8
from pellucid.records.run import RunPlan, held
from pellucid.training import processes
from pellucid.training.callbacks import Callback, Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.choice import NetworkLike, choose_network, network_name, plan_for
from pellucid.training.history import History, save_times
from pellucid.training.methods.choice import settle as settle_transfer
from pellucid.training.preparation import require_classes
from pellucid.training.recipes import Recipe
from pellucid.training.training import Training, learn
from pellucid.workflows import restarts
from pellucid.workflows.describing import description, with_metrics
from pellucid.workflows.looking import beside, looked_at, obeyed
from pellucid.workflows.planning import Wish, settle, wish


@dataclass(frozen=True)
class Run:
    """A training with all that came of it.

    Attributes:
        folder: where it lies.
        model: what was learned.
        training: how.
        findings: what was found on `scored`; empty where the training was interrupted, and in all processes but the
            first, where several train together.
        scored: the name of the split that was scored: `test`, or `validation` where there is no test split.
        report: the page, where one was written.
        unscored: whether it was stopped from outside after the training was over, while that was scored and drawn.
    """

    folder: RunFolder
    model: Model
    training: Training
    findings: Findings
    scored: str
    report: Path | None
    unscored: bool = False

    @property
    def interrupted(self) -> bool:
        return self.training.interrupted or self.unscored


def run(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    report: bool = True,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
    command: str = "",
    source: str = "",
    budget: str | float | None = None,
    memory_limit: str | int | None = None,
    check: bool = True,
    since: float | None = None,
    **changes: Any,
) -> Run:
    """Trains a network, scores it once on the test split, and writes a run folder.

    Args:
        data: labelled pictures.
        network: as for `learn`, like recipe, settings, start, size, seed, device, progress, callbacks and changes.
        recipe: the training plan, or its name.
        settings: settings of the network.
        start: a model to start from, or its file.
        size: height and width to bring the pictures to.
        seed: what everything random is drawn from.
        device: auto, cpu, cuda or mps.
        progress: whether to show how it goes.
        callbacks: told of the training while it runs.
        **changes: settings of the recipe that are to differ; the batch size may be "auto".
        out: the run folder, which must not be there; None takes the next number in `runs/`.
        threads: how many threads do the arithmetic, in each process; None takes all cores, or the process's share.
        report: whether to draw the pictures and write the page.
        command: what the user typed, for the page and for `run.json`.
        source: what the data were loaded from, a name or a path, so that the training can be resumed by itself.
        budget: the time that all of it may take, `5m` or seconds: as many epochs are trained as fit.
        memory_limit: what the batch size "auto" may fill, `2GB` or bytes; None takes what is free, less a tenth.
        check: whether the data are looked at first: pictures that cannot be read are left out and named.
        since: the moment from which the budget counts, of `time.perf_counter`; None for now.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    start = Model.load(start) if isinstance(start, (str, Path)) else start
    # Everything is checked before a folder is made.
    network, recipe, changes = settle_transfer(data, network, recipe, started=start is not None, changes=changes)
    name = network_name(network, start)
    wished, changes = wish(changes, budget, memory_limit, since)
    choice = choose_network(network, settings, start, recipe)
    plan = RunPlan(
        source=source,
        network=full_reference(network) if isinstance(network, str) else None,
        settings=dict(choice.settings) or settings,
        recipe=plan_for(choice, recipe, changes).model_dump(mode="json"),
        size=size,
        seed=seed,
        threads=threads,
        device=device,
        report=report,
        command=command,
    )
    require_utf8(plan.source, plan.network or "", data.name, str(out or ""))
    _require_scorable(data)
    if plan.recipe["backbone"] is not None:
        backbones.require(plan.recipe["backbone"])
    with processes.process_group(device) as together:
        if not together.is_main:
            return _follow(together, plan, data, network, start)
        folder, again = restarts.begun_or_new(plan, data.name, name, out)
        with held(folder):
            try:
                if again:
                    plan, data = folder.read_plan(), obeyed(data, folder)
                else:
                    data = looked_at(data, folder, Callbacks(callbacks)) if check and not is_published(data) else data
                    plan = _settled(plan, wished, folder, data, network, start)
                    for sentence in plan.planned.values():
                        Callbacks(callbacks).notify("planned", sentence)
                    if start is not None:
                        start.save(folder.start)
                    restarts.note(folder)
                    folder.write_plan(plan)
                told = {"folder": str(folder.path.resolve()), "again": again}
                together.broadcast(json.dumps(told).encode())
                return _carry_out(
                    folder, plan, data, network, start, progress=progress, callbacks=callbacks, again=again
                )
            except BaseException:
                _empty_if_nothing_was_learned(folder)
                raise


def _follow(
    together: processes.ProcessGroup, plan: RunPlan, data: Dataset, network: NetworkLike | None, start: Model | None
) -> Run:
    """Trains along with process 0, which has made the run folder and looked at the data."""
    told = json.loads(together.broadcast(None))
    folder = RunFolder(Path(told["folder"]))
    data = obeyed(data, folder)
    return _carry_out(folder, plan, data, network, start, progress=False, callbacks=(), again=told["again"])


def _settled(
    plan: RunPlan, wished: Wish, folder: RunFolder, data: Dataset, network: NetworkLike | None, start: Model | None
) -> RunPlan:
    """The plan with what had to be measured; from here on it stands, in `run.json` too, and the clock is not asked."""
    processes.set_threads(plan.threads)
    recipe, planned = settle(
        wished,
        data,
        network,
        Recipe.model_validate(plan.recipe),
        folder=folder,
        seed=plan.seed,
        settings=plan.settings,
        start=start,
        size=plan.size,
        device=plan.device,
        report=plan.report,
        scored=len(data.split("test")) if _scored(data) == "test" else 0,
    )
    if not planned:
        return plan
    plan = plan.model_copy(update={"recipe": recipe.model_dump(mode="json"), "planned": planned})
    folder.write_json(
        {
            "version": 1,
            "command": plan.command,
            "data": {"name": data.name},
            "network": {"name": network_name(network, start)},
            "recipe": plan.recipe,
            "planned": planned,
            "seed": plan.seed,
        }
    )
    return plan


def resume(
    path: str | Path,
    *,
    data: Dataset | None = None,
    network: NetworkLike | None = None,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Goes on with a training that was interrupted or killed, and ends it as `run` does.

    The model and the history end as the same bytes as if it had never stopped, on the same machine with the same number
    of threads.

    Args:
        path: the run folder.
        data: the data, where they were not loaded by name or path.
        network: the network, where it was handed over built.
        progress: whether to show how it goes.
        callbacks: told of the training while it runs.

    Raises:
        PellucidError: it is finished, in use, or cannot go on; its text says what to do.
    """
    folder = RunFolder(expand_user(path))
    plan = folder.read_plan()
    with (
        processes.process_group(plan.device) as together,
        held(folder) if together.is_main else contextlib.nullcontext(),
    ):
        if data is None:
            if not plan.source:
                raise UsageError(f"The data of {path} were not loaded by name; give them: resume(path, data=...).")
            data = load(plan.source)
        data = obeyed(data, folder)
        _require_scorable(data)
        start = Model.load(folder.start) if folder.start.is_file() else None
        chosen = network if network is not None else plan.network
        if chosen is None and start is None:
            raise UsageError(f"The network of {path} was handed over built; give it: resume(path, network=...).")
        if together.is_main and (other := restarts.same_processes(folder)):
            Callbacks(callbacks).notify("planned", other)
        return _carry_out(folder, plan, data, chosen, start, progress=progress, callbacks=callbacks, again=True)


def _carry_out(
    folder: RunFolder,
    plan: RunPlan,
    data: Dataset,
    network: NetworkLike | None,
    start: Model | None,
    *,
    progress: bool,
    callbacks: Sequence[Any],
    again: bool = False,
) -> Run:
    """Trains, from the beginning or from the last checkpoint, then scores and writes everything.

    Of several processes, the first speaks, scores and writes; the others are done when all have learned.
    """
    first = processes.current_group().is_main
    processes.set_threads(plan.threads)
    Callbacks(callbacks if first else ()).notify("folder", folder.path)
    training = learn(
        data,
        network,
        recipe=Recipe.model_validate(plan.recipe),
        seed=plan.seed,
        settings=plan.settings,
        start=start,
        size=plan.size,
        device=plan.device,
        progress=progress and first,
        callbacks=[_Keeper(folder), *callbacks] if first else [],
        checkpoints=Checkpoints(folder.checkpoint, resume=again),
    )
    scored = _scored(data)
    model = training.model
    if not first:
        return Run(folder, model, training, Findings(), scored, None)
    model.save(folder.model)
    training.history.save(folder.history)
    save_times(folder.times, training.seconds)
    folder.write_json(description(training, plan, scored))
    if training.interrupted:
        return Run(folder, model, training, Findings(), scored, None)
    try:
        findings, page = _score(folder, plan, model, training, scored)
    except KeyboardInterrupt:
        folder.write_json(folder.read_json() | {"interrupted": True})
        return Run(folder, model, training, Findings(), scored, None, unscored=True)
    folder.remove_checkpoints()
    return Run(folder, Model.load(folder.model), training, findings, scored, page)


def _score(
    folder: RunFolder, plan: RunPlan, model: Model, training: Training, scored: str
) -> tuple[Findings, Path | None]:
    """Predicts and scores once, and writes what comes of it; the findings, and the page where one is written."""
    split = training.data.split(scored)
    # Of a backbone that stayed as it was, the cache has what it says of pictures that were scored before.
    found = describe(model, split).predictions if training.recipe.freeze_backbone else predict(model, split)
    findings = beside(evaluate(found, split), found, scored, folder)
    model = with_metrics(model, findings, scored)
    model.save(folder.model)
    findings = counted(findings, split, model.sha256) if scored == "test" else findings
    replace(found, model=model.sha256).save(folder.predictions)
    folder.write_findings(findings)
    show = display.view("run") if plan.report else None
    return findings, None if show is None else show(folder, training.data)


def _scored(data: Dataset) -> str:
    """The name of the split that is scored at the end."""
    return "test" if "test" in data.splits else "validation"


def _require_scorable(data: Dataset) -> None:
    """What cannot be scored is said before it has taken an hour."""
    require_classes(data)
    if _scored(data) == "test":
        data.test.known_labels()


class _Keeper(Callback):
    """Writes the best model so far, and the history, after every epoch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = History()

    def on_resumed(self, step: int, history: History) -> None:  # noqa: ARG002 (the protocol's name)
        self.history = History(list(history.rows))

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.history.rows.append(row)
        self.history.save(self.folder.history)

    def on_best(self, model: Model) -> None:
        atomic.make_folder(self.folder.checkpoint)
        model.save(self.folder.checkpoint / "model.safetensors")


def _empty_if_nothing_was_learned(folder: RunFolder) -> None:
    """A training that failed before its first checkpoint leaves nothing behind; what was learned stays.

    Only who holds the folder may empty it; empty, it goes when it is let go of.
    """
    if folder.history.exists() or any(folder.checkpoint.glob("step-*")):
        return
    with contextlib.suppress(OSError):
        for path in (*folder.checkpoint.iterdir(), *folder.path.iterdir()):
            if path.is_dir() and path != folder.checkpoint:
                shutil.rmtree(path)
            elif path not in (folder.checkpoint, folder.lock):
                path.unlink()
