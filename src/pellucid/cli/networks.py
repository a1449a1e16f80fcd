"""`pellucid networks`."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """  pellucid networks
  pellucid networks --json"""


def networks(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False
) -> None:
    """List the networks: name, year, parameters, what each is good for, and its source."""
    from pellucid.cli import console
    from pellucid.networks.catalogue import NETWORKS
    from pellucid.records import Table

    rows = tuple((name, entry.year, entry.parameters, entry.good_for, entry.source) for name, entry in NETWORKS.items())
    note = "Parameters for MNIST's pictures: 28×28, grey, 10 classes. Your own: --network file.py:Class."
    columns = ("name", "year", "parameters", "good for", "source")
    console.table(Table("networks", columns, rows, note), as_json=as_json)
