"""`pellucid.inspect(model, view)`: every view of a model by its name, as the command `pellucid inspect` has them."""

from __future__ import annotations

import importlib
from inspect import signature
from pathlib import Path
from typing import Any

from pellucid.errors import UnknownNameError, UsageError
from pellucid.records import Findings, Model

VIEWS = {
    "summary": "pellucid.insight.layer_summary",
    "sizes": "pellucid.insight.size_arithmetic",
    "graph": "pellucid.insight.computation_graph",
    "filters": "pellucid.insight.kernels",
    "feature_maps": "pellucid.insight.layer_maps",
    "activations": "pellucid.insight.activation_statistics",
    "top_activations": "pellucid.insight.top_pictures",
    "explain": "pellucid.insight.explanation",
    "attention": "pellucid.insight.attention_maps",
    "linear_probe": "pellucid.insight.probing",
    "embedding": "pellucid.insight.projection",
    "film": "pellucid.insight.training_film",
}
"""Name of a view -> module with a function of that name."""


def inspect(model: Any, view: str = "summary", *arguments: Any, **settings: Any) -> Findings:
    """Looks inside a model.

        pellucid.inspect(model)                                   the table of layers
        pellucid.inspect(model, "filters", "c1")                  the kernels of a layer
        pellucid.inspect(model, "explain", "mnist:17")            why the model answers as it does
        pellucid.inspect("runs/mnist-lenet5-001", "film", "mnist:17")

    Args:
        model: a model, its file, or a run folder.
        view: a key of `VIEWS`; the functions of `pellucid.insight` have the same names.
        *arguments: arguments of that function after the model.
        **settings: its keyword arguments.

    Raises:
        UnknownNameError: there is no such view.
        UsageError: the arguments do not fit the view, or the model is not one.
    """
    name = "explain" if view == "why" else view.replace("-", "_")
    if name not in VIEWS:
        raise UnknownNameError("view of a model", view, VIEWS)
    if isinstance(model, str | Path) and name != "film":
        model = Model.load(model)
    function = getattr(importlib.import_module(VIEWS[name]), name)
    try:
        signature(function).bind(model, *arguments, **settings)
    except TypeError as error:
        parameters = ", ".join(str(parameter) for parameter in signature(function).parameters.values())
        raise UsageError(f"pellucid.insight.{name}({parameters}): {error}.") from error
    result = function(model, *arguments, **settings)
    return result if isinstance(result, Findings) else Findings((result,))
