"""The command line, one command per file. Starting it imports neither torch nor NumPy."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `pellucid` and exits the process.

    Exit codes: 0 success; 1 failure; 2 wrong command line; 130 interrupted.

    Args:
        arguments: the command line after `pellucid`; None uses that of the process.
    """
    from pellucid.training.interruption import INTERRUPTED, termination_as_interrupt

    with termination_as_interrupt(), _cache_warnings_as_notes():
        try:
            _run(list(sys.argv[1:] if arguments is None else arguments))
        except KeyboardInterrupt:  # while the command line itself was imported
            sys.stderr.write(f"{INTERRUPTED}\n")
            raise SystemExit(130) from None
        except SystemExit as ending:
            # Typer ends without a word if the interruption fell between the command line and the command.
            if isinstance(getattr(ending.__context__, "__cause__", None), KeyboardInterrupt):
                sys.stderr.write(f"{INTERRUPTED}\n")
            raise
        finally:
            # If an interruption fell into code that runs from text, such as that of a dataclass, `python -m` ends by
            # SIGINT and not with the exit code, although it was handled. Running a text resets this.
            exec("")  # noqa: S102


def _run(command_line: list[str]) -> None:
    from pellucid.cli.app import root

    _use_utf8()
    # Waiting threads sleep after a few microseconds of spinning. Beside other programs, spinning for milliseconds made
    # a training many times slower (LOG.md). GNU's OpenMP reads this when torch is loaded. A user's own setting wins.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    root().main(args=command_line, prog_name="pellucid", obj=command_line)  # `obj`: a run records its command line


@contextlib.contextmanager
def _cache_warnings_as_notes() -> Iterator[None]:
    """Within the block, warnings of a damaged cache are printed as notes, each once; other warnings as before."""
    import warnings

    from pellucid.errors import CacheWarning

    show = warnings.showwarning
    printed: set[str] = set()

    def note(message: Warning | str, category: type[Warning], *location: Any, **more: Any) -> None:
        if not issubclass(category, CacheWarning):
            show(message, category, *location, **more)
            return
        from pellucid.cli import console

        if str(message) not in printed:
            printed.add(str(message))
            console.notes([str(message)])

    warnings.showwarning = note
    try:
        yield
    finally:
        warnings.showwarning = show


def _use_utf8() -> None:
    """Lets any class name, and file names that are not valid text, be printed on every platform."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a replaced stream may lack it
            reconfigure(encoding="utf-8", errors="backslashreplace")
