"""`pellucid report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """  pellucid report runs/digits-convnet-001"""


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training.", show_default=False)],
) -> None:
    """Write the report and pictures of a run again, from the findings and history in its folder."""
    from pellucid.errors import MissingDataError
    from pellucid.records import RunFolder

    folder = RunFolder(run)
    if not folder.run_json.is_file():
        raise MissingDataError(f"{run} is not a run folder: it has no run.json. `pellucid train` makes run folders.")

    from pellucid.cli.console import plain
    from pellucid.report.page import write_run

    typer.echo(plain(str(write_run(folder))))
