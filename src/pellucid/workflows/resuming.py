"""What a run that ended early has kept, and how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pellucid.records import RunFolder
from pellucid.records.paths import command_line

__all__ = ["how_to_go_on", "interruption_names_run"]


def how_to_go_on(folder: RunFolder) -> str:
    """A sentence for the user who interrupted a run outside its training steps."""
    if folder.plan.is_file():
        return f"Interrupted. Resume with: pellucid train --resume {command_line(folder.path)}"
    if folder.findings.is_file():
        return f"Interrupted, but the run is finished: {folder.path}"
    return (
        "Interrupted before anything was learned, so there is no run to resume. Run the same command again; what was "
        "decoded or computed by then is in the cache."
    )


@contextlib.contextmanager
def interruption_names_run(folder: RunFolder) -> Iterator[None]:
    """Gives a KeyboardInterrupt within the block the sentence on how to go on with the run."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on(folder)) from None
