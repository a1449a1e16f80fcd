"""`pellucid report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """  pellucid report runs/digits-convnet-001"""


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, that training made.", show_default=False)],
) -> None:
    """Write the report and the pictures of a run again, from the findings and the history that lie in its folder."""
    from pellucid.errors import MissingDataError
    from pellucid.records import RunFolder

    folder = RunFolder(run)
    if not folder.run_json.is_file():
        raise MissingDataError(f"There is no run in {run}: it has no run.json. `pellucid train` makes run folders.")

    from pellucid.cli.console import plain
    from pellucid.report.page import write_run

    typer.echo(plain(str(write_run(folder))))
