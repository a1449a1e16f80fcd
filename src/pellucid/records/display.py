"""Views of records: the one module that names the report without importing it.

Records and training are below the report, so they cannot import it. This table names the function that shows each
record, and imports it when it is needed. Without its line, a record shows itself as plain text.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

VIEWS = {
    "Dataset": "pellucid.report.notebook:dataset",
    "Findings": "pellucid.report.notebook:findings",
    "Model": "pellucid.report.notebook:model",
    "Predictions": "pellucid.report.notebook:predictions",
    "training": "pellucid.report.notebook:LiveCurve",
    "check": "pellucid.report.check:write",
    "figure": "pellucid.report.pictures:draw",
    "run": "pellucid.report.page:write_run",
    "terminal": "pellucid.report.terminal:render",
}
"""Name of a record or an event → the function that shows it, as `module:function`."""


def view(name: str) -> Callable[..., Any] | None:
    """The function that shows `name`, or None."""
    if name not in VIEWS:
        return None
    module, _, attribute = VIEWS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def html(record: object) -> str | None:
    """The record as HTML for a notebook; None lets the notebook show its `repr`."""
    draw = view(type(record).__name__)
    return None if draw is None else draw(record)
