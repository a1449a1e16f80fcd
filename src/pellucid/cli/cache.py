"""`pellucid cache [KIND] [--clear]`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.records.names import counted

if TYPE_CHECKING:
    from pellucid.records import Table

EXAMPLES = """  pellucid cache
  pellucid cache --clear
  pellucid cache --clear decoded"""


def cache(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="One kind of the list."),
    ] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Empty the cache, or the kind that is named.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Show the cache: what it holds, its size, and when it was last used.

    The cache is $PELLUCID_CACHE, or your user cache folder. Its limit is 20 GB, or a tenth of the disk if that is less;
    PELLUCID_CACHE_LIMIT=50GB sets another limit. The least recently used files are deleted first. --clear deletes
    everything that can be computed again. Splits, networks and the ledger cannot: name them to delete them.
    """
    from pellucid.cli import console
    from pellucid.data import cache as stored
    from pellucid.records.quantities import format_size

    if clear:
        files, size = stored.clear(kind)
        console.say(f"{counted(files, 'file')} of {format_size(size)} removed from {stored.cache_root()}.")
    if as_json or not clear:
        console.table(table(kind, numbers=as_json), as_json=as_json)


def table(kind: str | None, *, numbers: bool) -> Table:
    """One row for each kind. `numbers` gives sizes in bytes and times in ISO 8601, for programs."""
    from pellucid.data import cache as stored
    from pellucid.records import Table
    from pellucid.records.quantities import format_size

    rows, total = [], 0
    for name in stored.KINDS if kind is None else [kind]:
        entries = stored.entries(name)
        size = sum(entry.size for entry in entries)
        total += size
        used = dt.datetime.fromtimestamp(entries[-1].used, dt.UTC) if entries else None
        rows.append(
            (name, stored.KINDS[name].summary, len(entries), size, used and used.isoformat(timespec="seconds"))
            if numbers
            else (name, stored.KINDS[name].summary, len(entries), format_size(size), _when(used))
        )
    columns = ("kind", "what", "files", "bytes" if numbers else "size", "last used")
    note = f"{format_size(total)} of at most {format_size(stored.limit())}, in {stored.cache_root()}"
    return Table("cache", columns, tuple(rows), note)


def _when(used: dt.datetime | None) -> str:
    return "" if used is None else used.astimezone().strftime("%Y-%m-%d %H:%M")
