"""`pellucid cache [KIND] [--clear]`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.records import Table

EXAMPLES = """  pellucid cache
  pellucid cache --clear
  pellucid cache --clear decoded"""


def cache(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="One part of it, as it is listed."),
    ] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Empty it, or the part that is named.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Show what is kept so that it need not be made again: what, how large, when it was last used.

    It lies in $PELLUCID_CACHE, or your user cache folder, and is limited to 20 GB, or a tenth of the disk if that is
    less; PELLUCID_CACHE_LIMIT=50GB sets another limit. What was unused for longest goes first. --clear empties all
    that can be made again; the splits and the ledger, which cannot, have to be named.
    """
    from pellucid.cli import console
    from pellucid.data import cache as kept
    from pellucid.records.quantities import format_size

    if clear:
        files, size = kept.clear(kind)
        console.say(f"{files:,} file{'s' * (files != 1)} of {format_size(size)} removed from {kept.cache_root()}.")
    if as_json or not clear:
        console.table(table(kind, numbers=as_json), as_json=as_json)


def table(kind: str | None, *, numbers: bool) -> Table:
    """One row for each kind; `numbers` are for programs: bytes, and times of ISO 8601."""
    from pellucid.data import cache as kept
    from pellucid.records import Table
    from pellucid.records.quantities import format_size

    rows, total = [], 0
    for name in kept.KINDS if kind is None else [kind]:
        entries = kept.entries(name)
        size = sum(entry.size for entry in entries)
        total += size
        used = dt.datetime.fromtimestamp(entries[-1].used, dt.UTC) if entries else None
        rows.append(
            (name, kept.KINDS[name].summary, len(entries), size, used and used.isoformat(timespec="seconds"))
            if numbers
            else (name, kept.KINDS[name].summary, len(entries), format_size(size), _when(used))
        )
    columns = ("kind", "what", "files", "bytes" if numbers else "size", "last used")
    note = f"{format_size(total)} of at most {format_size(kept.limit())}, in {kept.cache_root()}"
    return Table("cache", columns, tuple(rows), note)


def _when(used: dt.datetime | None) -> str:
    return "" if used is None else used.astimezone().strftime("%Y-%m-%d %H:%M")
