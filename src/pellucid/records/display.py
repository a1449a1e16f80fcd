"""How records are shown, by whom: the one place that knows the report without importing it.

Records and the training lie below the report, so they cannot import it. What draws each of them is named here, and
loaded when it is asked for; without its line a record shows itself as plain text, and nothing else changes.
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
"""From the name of a record, or of something that happens, to what shows it: `module:function`."""


def view(name: str) -> Callable[..., Any] | None:
    """What shows `name`, or None where nothing does."""
    if name not in VIEWS:
        return None
    module, _, attribute = VIEWS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def html(record: object) -> str | None:
    """The record as HTML for a notebook, or None, on which the notebook shows its `repr`."""
    draw = view(type(record).__name__)
    return None if draw is None else draw(record)
