"""`pellucid datasets`."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """  pellucid datasets
  pellucid datasets --json"""


def datasets(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False
) -> None:
    """List the data sets that have a name: pictures, size, classes, where they are, licence and source.

    A folder with one folder of pictures per class is a data set too: give its path.
    """
    from pellucid.cli import console
    from pellucid.data import describe
    from pellucid.records import Table

    columns = ("name", "what", "pictures", "size", "classes", "where", "licence", "source")
    rows = tuple(
        (one.name, one.summary, one.pictures, one.size, one.classes, one.where, one.licence, one.source)
        for one in describe()
    )
    note = "Your own: the path of a folder with one folder of pictures per class."
    console.table(Table("datasets", columns, rows, note), as_json=as_json)
