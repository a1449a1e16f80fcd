"""A command whose `--help` shows its options in groups: those with the same `rich_help_panel` stand together."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


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
