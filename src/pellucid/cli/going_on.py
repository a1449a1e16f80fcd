"""`--resume`: what may stand beside it. What was begun has its settings, and another one is never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer


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
