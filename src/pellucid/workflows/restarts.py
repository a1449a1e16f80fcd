"""A launcher that starts a command again after one of its processes was killed: the command finds its own run.

`torchrun --max-restarts 3` starts all processes again, with the same arguments and nothing else. What tells a restart
from a new start is the launch: torchrun's run id, or where it has none, its own process. The run folder notes it.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from pellucid.errors import PellucidError, StorageError
from pellucid.records import RunFolder, atomic
from pellucid.records.paths import expand_user
from pellucid.records.run import RunPlan
from pellucid.training import processes


def launch() -> str:
    """What is the same in all starts by one launcher, and differs in others; empty where no launcher starts again."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{platform.node()}/{os.getppid()}" if run_id == "none" else run_id


def note(folder: RunFolder) -> None:
    """Writes down which launch a run is of, and how many processes share it."""
    content = {"version": 1, "launch": launch(), "processes": processes.world_size()}
    atomic.write_text(folder.launch, json.dumps(content) + "\n")


def same_processes(folder: RunFolder) -> str:
    """A sentence where a run goes on with another number of processes than it began with; else nothing."""
    before, now = _noted(folder).get("processes", 1), processes.world_size()
    if before == now:
        return ""
    return (
        f"This run was begun by {_processes(before)} and goes on with {_processes(now)}: what it learns is the same "
        f"within rounding, not to the bit."
    )


def begun_or_new(plan: RunPlan, data: str, network: str, out: str | Path | None) -> tuple[RunFolder, bool]:
    """The run folder, and whether the launcher has begun it before, so that it goes on; else it is a new one.

    Raises:
        StorageError: it cannot be made.
    """
    this = launch()
    if this and (os.environ["TORCHELASTIC_RUN_ID"] != "none" or _restarts()):
        places = [expand_user(out)] if out is not None else sorted(Path("runs").glob("*"), reverse=True)
        for path in places:
            folder = RunFolder(path)
            if _noted(folder).get("launch") == this and _is_of(folder, plan):
                return folder, True
    try:
        return RunFolder.create(data, network, out), False
    except StorageError:
        # Killed between making the folder and writing its first file, it has nothing that could be lost.
        if out is None or not _restarts() or any(path.is_file() for path in expand_user(out).rglob("*")):
            raise
        return RunFolder(expand_user(out)), False


def _is_of(folder: RunFolder, plan: RunPlan) -> bool:
    """Whether a training was asked for the same; what was measured before it began may differ."""
    try:
        found = folder.read_plan()
    except PellucidError:
        return False
    measured = set(found.planned)
    plans = [one.model_dump(mode="json", exclude={"planned"}) for one in (found, plan)]
    for one in plans:
        one["recipe"] = {key: value for key, value in one["recipe"].items() if key not in measured}
    return json.dumps(plans[0], sort_keys=True) == json.dumps(plans[1], sort_keys=True)


def _restarts() -> int:
    """How often the launcher has started this again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _noted(folder: RunFolder) -> dict[str, object]:
    try:
        found = json.loads(folder.launch.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _processes(count: object) -> str:
    return "one process" if count == 1 else f"{count} processes"
