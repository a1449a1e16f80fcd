"""`pellucid relabel DATA DECISIONS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli import completion

EXAMPLES = """  pellucid relabel photos/ decisions.csv --out corrected.csv
  pellucid train corrected.csv"""


def relabel(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Name of a data set, or a folder.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ],
    decisions: Annotated[
        Path,
        typer.Argument(
            metavar="DECISIONS",
            help="Table with a column 'decision' (a class, keep or remove), and 'id' or 'split' and 'index'.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="PATH", help="The new table of pictures.", show_default=True)] = Path(
        "relabelled.csv"
    ),
) -> None:
    """Correct labels by a table of decisions: writes a new table of pictures, and changes no original.

    Add a column 'decision' to the label_errors.csv of 'pellucid audit'. Then train, evaluate and check take the new
    table as their data.
    """
    from pellucid.audit.relabelling import relabel as apply
    from pellucid.cli import console
    from pellucid.errors import MissingDataError
    from pellucid.records.names import counted
    from pellucid.records.paths import command_line

    if not decisions.is_file():
        raise MissingDataError(f"There is no table of decisions at {decisions}. Add a column 'decision' to the "
                               f"label_errors.csv of 'pellucid audit'.")  # fmt: skip
    done = apply(data, decisions, out)
    typer.echo(
        f"{counted(done.changed, 'label')} changed, {counted(done.removed, 'picture')} removed, "
        f"{counted(done.confirmed, 'label')} confirmed; {counted(done.total, 'picture')} in the new table."
    )
    console.say(f"Written to {done.path}. Next: {command_line('pellucid', 'train', done.path)}")
