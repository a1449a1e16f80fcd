"""Arguments of the command line: KEY=VALUE pairs, batch sizes, paths with `~`, `--resume`, and help in groups."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from pellucid.errors import UsageError


def parse(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Parses settings of the form `KEY=VALUE`. Values are JSON, true, false or none; everything else is text.

    >>> parse(["widths=[300,100]", "activation=tanh"], "--set")
    {'widths': [300, 100], 'activation': 'tanh'}

    Raises:
        UsageError: a pair has another form, or a key is given twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not separator or not key.isidentifier():
            raise UsageError(
                f"{option} was given '{pair}', but expects KEY=VALUE, for example {option} activation=tanh."
            )
        if key in values:
            raise UsageError(f"{option} {key} was given twice. Give it once.")
        values[key] = _value(value.strip())
    return values


def _value(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text


def batch_size(text: str | None) -> int | str | None:
    """Parses a batch size: a number, or `auto`.

    Raises:
        UsageError: it is neither.
    """
    if text is None or text.strip().lower() == "auto":
        return text and "auto"
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"--batch-size was given '{text}', but should be a whole number of pictures, for example 64, or auto."
        ) from None


def share(text: str | None, option: str) -> float | None:
    """Parses a share: `1%`, or a fraction such as 0.01.

    Raises:
        UsageError: it is neither, or is not between 0 and 1.
    """
    if text is None:
        return None
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"{option} was given '{text}', but should be a share between 0 and 100 %, for example 1%.")
    return value


def require_nothing_else(context: typer.Context, what: str, allowed: Sequence[str]) -> None:
    """Refuses options that have no effect with `--resume`.

    Args:
        context: context of the command.
        what: what is resumed, such as `a run`.
        allowed: names of the parameters that are allowed beside `--resume`.

    Raises:
        UsageError: there are others; the text names them.
    """
    typed = [
        _name_of(parameter)
        for parameter in context.command.params
        if parameter.name not in ("resume", *allowed) and _is_on_command_line(context, parameter)
    ]
    if typed:
        raise UsageError(f"--resume continues {what} with its own settings; leave out: {', '.join(typed)}.")


def _is_on_command_line(context: typer.Context, parameter: Any) -> bool:
    source = context.get_parameter_source(parameter.name)
    return source is not None and source.name == "COMMANDLINE"


def _name_of(parameter: Any) -> str:
    return parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name


def expand(path: Path) -> Path:
    """Replaces a leading `~` by the user's home folder. A name such as `~draft.png`, of no user, stays unchanged."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def expanding(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a command so that its paths may begin with `~`."""

    @functools.wraps(command)
    def call(**options: Any) -> Any:
        return command(**{name: expand(value) if isinstance(value, Path) else value for name, value in options.items()})

    return call


class GroupedCommand(TyperCommand):
    """A command whose help lists options in groups. Options without a group come last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, then the groups in the order of their first options."""
        arguments: list[tuple[str, str]] = []
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append(record)
            else:
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or "", []).append(record)
        ungrouped = groups.pop("", [])
        for heading, records in [("Arguments", arguments), *groups.items(), ("Options", ungrouped)]:
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
