"""`pellucid datasets`."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """  pellucid datasets
  pellucid datasets --json"""


def datasets(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False
) -> None:
    """List the named data sets: pictures, size, classes, location, licence and source.

    A folder with one folder of pictures per class is a data set too: give its path.
    """
    from pellucid.cli import console
    from pellucid.data import describe
    from pellucid.records import Table

    columns = ("name", "what", "pictures", "size", "classes", "where", "licence", "source")
    rows = tuple(
        (entry.name, entry.summary, entry.pictures, entry.size, entry.classes, entry.where, entry.licence, entry.source)
        for entry in describe()
    )
    note = "Your own data: the path of a folder with one folder of pictures per class."
    console.table(Table("datasets", columns, rows, note), as_json=as_json)
