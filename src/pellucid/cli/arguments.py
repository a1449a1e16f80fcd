"""`KEY=VALUE` on the command line, as values of Python."""

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
    """Settings given as `KEY=VALUE`: numbers, true and false, null and JSON lists as such, everything else as text.

    >>> parse(["widths=[300,100]", "activation=tanh"], "--set")
    {'widths': [300, 100], 'activation': 'tanh'}

    Raises:
        UsageError: one is not of that form, or a key is given twice.
    """
    values: dict[str, Any] = {}
    for one in pairs:
        key, separator, value = one.partition("=")
        key = key.strip().replace("-", "_")
        if not separator or not key.isidentifier():
            raise UsageError(
                f"{option} was given '{one}', but expects KEY=VALUE, for example {option} activation=tanh."
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
    """A number, or `auto`.

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


def require_nothing_else(context: typer.Context, what: str, beside: Sequence[str]) -> None:
    """Refuses whatever was typed beside `--resume` that would be without effect.

    Args:
        context: of the command.
        what: what goes on, `a run`.
        beside: the names of the parameters that have an effect there.

    Raises:
        UsageError: something else was typed; names it.
    """
    from pellucid.errors import UsageError

    typed = [
        _as_typed(parameter)
        for parameter in context.command.params
        if parameter.name not in ("resume", *beside) and _was_typed(context, parameter)
    ]
    if typed:
        raise UsageError(f"--resume goes on with {what} as it was begun; leave out: {', '.join(typed)}.")


def _was_typed(context: typer.Context, parameter: Any) -> bool:
    source = context.get_parameter_source(parameter.name)
    return source is not None and source.name == "COMMANDLINE"


def _as_typed(parameter: Any) -> str:
    return parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name


def expand(path: Path) -> Path:
    """The path, from the person's folder where it begins with `~`; what is nobody's (`~draft.png`) stays as it is."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def expanding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, given every path from the person's own folder where it begins with `~`."""

    @functools.wraps(command)
    def call(**options: Any) -> Any:
        return command(**{name: expand(value) if isinstance(value, Path) else value for name, value in options.items()})

    return call


class Grouped(TyperCommand):
    """Plain text, as everywhere; options without a group come last, under the usual heading."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, then each group of options in the order in which its first option was declared."""
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
        usual = groups.pop("", [])
        for heading, records in [("Arguments", arguments), *groups.items(), ("Options", usual)]:
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
