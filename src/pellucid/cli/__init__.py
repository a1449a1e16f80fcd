"""The command line: one command per file, which parses, calls and prints. Nothing heavy is imported to start it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `pellucid` with `arguments` (those of the process where None), and exits the process.

    The exit code is 0 when all went well, 1 when something could not be done, 2 when the command line makes no sense,
    and 130 when it was interrupted.
    """
    from pellucid.cli.app import root

    _speak_utf8()
    # A thread that waits for another shall sleep after a few microseconds of spinning: where other programs run beside
    # ours, spinning for milliseconds made a training many times slower (LOG.md). Read when torch is loaded, by GNU's
    # OpenMP; what the user has set stays.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    words = list(sys.argv[1:] if arguments is None else arguments)
    root().main(args=words, prog_name="pellucid", obj=words)  # the object of the context: a run notes what was typed


def _speak_utf8() -> None:
    """Lets class names in any script, and file names that are not text, be printed anywhere, Windows included."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a stream that something else put in its place may lack it
            reconfigure(encoding="utf-8", errors="backslashreplace")
