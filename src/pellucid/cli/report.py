"""`pellucid report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """  pellucid report runs/digits-convnet-001
  pellucid report runs/digits-convnet-001 --purpose "Sort scanned forms" --not-for Cheques"""


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training.", show_default=False)],
    *,
    purpose: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the model is for.", show_default=False)
    ] = None,
    not_for: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the model is not for.", show_default=False)
    ] = None,
) -> None:
    """Write the report, the model card and the pictures of a run again, from the files in its folder.

    --purpose and --not-for are kept in run.json. The model file is not changed.
    """
    from pellucid.errors import MissingDataError
    from pellucid.records import RunFolder
    from pellucid.records.paths import require_utf8

    folder = RunFolder(run)
    if not folder.run_json.is_file():
        raise MissingDataError(f"{run} is not a run folder: it has no run.json. `pellucid train` makes run folders.")
    given = {key: text.strip() for key, text in (("purpose", purpose), ("not_for", not_for)) if text is not None}
    require_utf8(*given.values())
    if given:
        folder.write_json(folder.read_json() | given)

    from pellucid.cli.console import plain
    from pellucid.report.page import write_run

    typer.echo(plain(str(write_run(folder))))
