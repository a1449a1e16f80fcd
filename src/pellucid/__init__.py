"""Train image classifiers on your own machine, and see how good they are and why they answer as they do.

    data = pellucid.load("mnist")                       # data
    model = pellucid.train(data, "lenet5")              # data + network = model
    predictions = pellucid.predict(model, data.test)    # model + data   = predictions
    print(pellucid.evaluate(predictions))               # accuracy with its interval and n

Importing pellucid imports neither torch nor NumPy. Each public name loads its module when it is first used.
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from pellucid.data import check as check
    from pellucid.data import from_arrays as from_arrays
    from pellucid.data import load as load
    from pellucid.errors import PellucidError as PellucidError
    from pellucid.evaluation import compare as compare
    from pellucid.evaluation import evaluate as evaluate
    from pellucid.inference import build as build
    from pellucid.inference import predict as predict
    from pellucid.insight.inspecting import inspect as inspect
    from pellucid.records import Dataset as Dataset
    from pellucid.records import Findings as Findings
    from pellucid.records import Model as Model
    from pellucid.records import Predictions as Predictions
    from pellucid.report.showing import show as show
    from pellucid.training import Recipe as Recipe
    from pellucid.training import train as train

from pellucid.version import __version__ as __version__

_PUBLIC = {
    "Dataset": "pellucid.records",
    "Findings": "pellucid.records",
    "Model": "pellucid.records",
    "PellucidError": "pellucid.errors",
    "Predictions": "pellucid.records",
    "Recipe": "pellucid.training",
    "build": "pellucid.inference",
    "check": "pellucid.data",
    "compare": "pellucid.evaluation",
    "evaluate": "pellucid.evaluation",
    "from_arrays": "pellucid.data",
    "inspect": "pellucid.insight.inspecting",
    "load": "pellucid.data",
    "predict": "pellucid.inference",
    "show": "pellucid.report.showing",
    "train": "pellucid.training",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 (names of the table)
del annotations  # the namespace holds public names alone


def __getattr__(name: str) -> _typing.Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = getattr(_importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
