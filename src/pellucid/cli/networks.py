"""`pellucid networks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import completion
from pellucid.records.names import counted

if TYPE_CHECKING:
    from pellucid.networks.catalogue import Entry

EXAMPLES = """  pellucid networks
  pellucid networks lenet5
  pellucid networks --json"""


def networks(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Print the page of one network: formula, layers, source.",
            show_default=False,
            autocompletion=completion.networks,
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """List the networks: name, year, parameters, picture size, use and source."""
    from pellucid.cli import console
    from pellucid.networks.catalogue import NETWORKS
    from pellucid.records import Table

    if name is not None:
        from pellucid.networks.pages import page

        text = page(name)
        if as_json:
            console.table(Table("page", ("name", "page"), ((name, text),)), as_json=True)
        else:
            typer.echo(text)
        return
    rows = tuple(
        (name, entry.year, entry.parameters, _shape_text(entry), entry.good_for, entry.source)
        for name, entry in NETWORKS.items()
    )
    note = (
        "Each network adapts to your pictures and classes. Others: --network timm:NAME for a network of timm, "
        "--network file.py:Class for your own."
    )
    columns = ("name", "year", "parameters", "for", "good for", "source")
    console.table(Table("networks", columns, rows, note), as_json=as_json)


def _shape_text(entry: Entry) -> str:
    """Pictures and classes of the parameter count: `28×28 grey, 10 classes`."""
    channels, height, width = entry.shape
    return f"{width}×{height} {'grey' if channels == 1 else 'colour'}, {counted(entry.classes, 'class', 'classes')}"
