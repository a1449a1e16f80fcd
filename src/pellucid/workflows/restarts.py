"""Restarts by a launcher: a command that is started again after a crash finds its own run.

`torchrun --max-restarts 3` starts all processes again with the same arguments. The run folder notes the id of the
launch (torchrun's run id, or else its process id), which tells a restart from a new start.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from pellucid.errors import PellucidError, StorageError
from pellucid.records import RunFolder, atomic, json_text
from pellucid.records.paths import expand_user
from pellucid.records.run import RunPlan
from pellucid.training import processes


def launch() -> str:
    """An id that all starts by one launcher share, and no others; empty without a launcher."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{platform.node()}/{os.getppid()}" if run_id == "none" else run_id


def note(folder: RunFolder) -> None:
    """Writes the id of the launch, and the number of processes, into the run folder."""
    content = {"version": 1, "launch": launch(), "processes": processes.world_size()}
    atomic.write_text(folder.launch, json.dumps(content) + "\n")


def same_processes(folder: RunFolder) -> str:
    """A sentence if a run is resumed with another number of processes; else empty."""
    before, now = _noted(folder).get("processes", 1), processes.world_size()
    if before == now:
        return ""
    return (
        f"This run was begun by {_processes(before)} and is resumed by {_processes(now)}: its weights are the same "
        f"within rounding, not to the bit."
    )


def begun_or_new(plan: RunPlan, data: str, network: str, out: str | Path | None) -> tuple[RunFolder, bool]:
    """(run folder, whether this launcher has begun it before); otherwise the folder is new.

    Raises:
        StorageError: it cannot be made.
    """
    launch_id = launch()
    if launch_id and (os.environ["TORCHELASTIC_RUN_ID"] != "none" or _restarts()):
        paths = [expand_user(out)] if out is not None else sorted(Path("runs").glob("*"), reverse=True)
        for path in paths:
            folder = RunFolder(path)
            if _noted(folder).get("launch") == launch_id and _has_plan(folder, plan):
                return folder, True
    try:
        return RunFolder.create(data, network, out), False
    except StorageError:
        # A run that was killed before it wrote its first file has nothing to lose.
        if out is None or not _restarts() or any(path.is_file() for path in expand_user(out).rglob("*")):
            raise
        return RunFolder(expand_user(out)), False


def _has_plan(folder: RunFolder, plan: RunPlan) -> bool:
    """Whether a run has that plan, apart from settings that were measured before it began."""
    try:
        begun = folder.read_plan()
    except PellucidError:
        return False
    contents = [record.model_dump(mode="json", exclude={"planned", "splits"}) for record in (begun, plan)]
    for content in contents:
        content["recipe"] = {key: value for key, value in content["recipe"].items() if key not in begun.planned}
    return json.dumps(contents[0], sort_keys=True) == json.dumps(contents[1], sort_keys=True)


def _restarts() -> int:
    """How often the launcher has restarted this command."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _noted(folder: RunFolder) -> dict[str, object]:
    try:
        content = json_text.parse(folder.launch.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _processes(count: object) -> str:
    return "one process" if count == 1 else f"{count} processes"
