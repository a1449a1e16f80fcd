"""The command `pellucid`: finds the subcommand, and turns errors into sentences and exit codes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pellucid.cli import arguments
from pellucid.cli.arguments import GroupedCommand
from pellucid.cli.commands import COMMANDS
from pellucid.errors import PellucidError, UnknownNameError, UsageError
from pellucid.training.interruption import INTERRUPTED
from pellucid.version import __version__

HELP = """Train image classifiers, measure how good they are, and see why they answer as they do.

\b
  training:   data + network = model          pellucid train mnist --network lenet5
  inference:  model + data   = predictions    pellucid predict model.safetensors scans/
"""

EPILOG = """\b
Exit codes: 0 success; 1 failure; 2 wrong command line; 130 interrupted.
Each command has examples: pellucid train --help"""


class Commands(TyperGroup):
    """The commands of the table. Calling a command, or its help, imports it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Finds the command of the first argument.

        Raises:
            UnknownNameError: there is no such command.
            UsageError: several processes were started, for another command than `train`.
        """
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise UnknownNameError("command", args[0], COMMANDS)
        if args[0] != "train":
            from pellucid.training import processes

            if (started := processes.world_size()) > 1:
                raise UsageError(
                    f"{started} processes were started together, but only `pellucid train` runs in several processes. "
                    f"Start `pellucid {args[0]}` without torchrun."
                )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. An error ends as one sentence."""
        with sentences(debug=ctx.params["debug"] or os.environ.get("PELLUCID_DEBUG", "") not in ("", "0")):
            return super().invoke(ctx)


@contextlib.contextmanager
def sentences(*, debug: bool) -> Iterator[None]:
    """Turns an error within the block into one sentence on standard error and an exit code.

    Args:
        debug: whether to print the traceback first.
    """
    try:
        yield
        sys.stdout.flush()
    except (typer.Exit, typer.Abort):
        raise
    except typer.TyperException as error:  # typer prints its own message for a wrong option
        meant = OPTION_SYNONYMS.get(getattr(error, "option_name", "").lower())
        if meant is not None:
            error.possibilities = [meant]  # type: ignore[attr-defined]
        raise
    except PellucidError as error:
        _end(str(error), error.exit_code, debug)
    except KeyboardInterrupt as error:  # the text, if there is one, says how to go on
        _end(str(error) or INTERRUPTED, 130, debug)
    except BrokenPipeError:
        _discard_output()  # the reader closed the pipe (`pellucid predict ... | head`)
        raise typer.Exit(0) from None
    except ModuleNotFoundError as error:
        _end(
            f"This needs the package {error.name}, which is not installed. Install all of Pellucid with "
            f"`pip install pellucid`; without it, only `predict` and `info` of an exported model (.onnx) run.",
            1,
            debug,
        )
    except MemoryError:
        _end("There is not enough memory. Try a smaller --batch-size, or smaller pictures.", 1, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if not where and error.errno in _FULL:
            _discard_output()
            where = "Standard output cannot be written: "
        _end(f"{where}{error.strerror or error}.", 1, debug)
    except Exception as error:  # noqa: BLE001 (users never see a traceback)
        text = " ".join(str(error).split())
        _end(
            f"Internal error in Pellucid ({type(error).__name__}: {text}). "
            f"Run `pellucid --debug ...` for the traceback, and please report it.",
            1,
            debug,
        )


OPTION_SYNONYMS = {
    "--lr": "--learning-rate",
    "--bs": "--batch-size",
    "--batch": "--batch-size",
    "--wd": "--recipe-set weight_decay=0.01",
    "--weight-decay": "--recipe-set weight_decay=0.01",
    "--workers": "--threads",
    "--num-workers": "--threads",
    "--jobs": "--threads",
    "--val-split": "--recipe-set validation_fraction=0.1",
    "--validation-split": "--recipe-set validation_fraction=0.1",
    "--optim": "--optimizer",
    "--arch": "--network",
    "--model": "--network",
    "--pretrained": "--backbone lite0",
    "--imgsz": "--size",
    "--image-size": "--size",
    "--img-size": "--size",
    "--gpu": "--device cuda",
    "--cuda": "--device cuda",
    "--output": "--out",
    "--into": "--out",
    "--report": "--out",
    "--count": "--top",
    "--topk": "--top",
    "--top-k": "--top",
    "--output-dir": "--out",
    "--save-dir": "--out",
    "--num-epochs": "--epochs",
    "--verbose": "--debug",
}
"""Options by the names that other tools give them, and the words to type here."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk. Writers of files name the file, so an error without a name is of standard output."""


def _discard_output() -> None:
    from pellucid.training.display import discard_output

    discard_output(sys.stdout)


def _end(sentence: str, exit_code: int, debug: bool) -> None:  # noqa: FBT001 (private, and always the same name)
    if debug:
        traceback.print_exc()
    from pellucid.training import processes

    if not processes.another_process_reports():
        _say(f"{processes.error_prefix()}{sentence}")
    raise typer.Exit(exit_code) from None


def _say(sentence: str) -> None:
    """Prints a sentence on standard error, also if an interruption fell into the import of NumPy, which then fails."""
    try:
        from pellucid.cli import console
    except Exception:  # noqa: BLE001 (a half-imported package raises many kinds of errors)
        sys.stderr.write(f"{sentence}\n")
    else:
        console.say(sentence)


def root() -> Any:
    """Builds the command `pellucid`."""
    app = typer.Typer(
        name="pellucid",
        cls=Commands,
        help=HELP,
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,  # plain text is fast, and the same in a terminal, a pipe and a log
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    return typer.main.get_command(app)


def _load(name: str) -> Any:
    function, examples = COMMANDS[name].load(name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    app.command(name, cls=GroupedCommand, epilog=f"\b\nExamples:\n{examples}", context_settings=settings)(
        arguments.expanding(function)
    )
    return typer.main.get_command(app)


def _print_version(*, requested: bool) -> None:
    if requested:
        typer.echo(f"pellucid {__version__}")
        raise typer.Exit


def _options(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error; also PELLUCID_DEBUG=1.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            callback=lambda value: _print_version(requested=value),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Options before the name of the command."""
