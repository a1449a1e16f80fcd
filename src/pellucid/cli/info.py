"""`pellucid info MODEL`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pellucid.records import Model, Table

EXAMPLES = """  pellucid info model.safetensors
  pellucid info runs/digits-convnet-001
  pellucid info model.safetensors --json"""


def info(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Print what a model file contains: network, classes, preprocessing, training, measured scores."""
    from pellucid.cli import console
    from pellucid.records import Model

    console.table(describe(Model.load(model)), as_json=as_json)


def describe(model: Model) -> Table:
    """The content of a model, as rows of (what, value)."""
    from pellucid.records import Table

    specification = model.specification
    rows = [
        ("format version", specification.version),
        ("sha256", model.sha256),
        ("network", specification.network.name),
        *([("needs the class", specification.network.source)] if specification.network.source else []),
        *_nested("setting", specification.network.settings),
        ("numbers", model.parameters),
        ("classes", f"{len(specification.classes)}: {', '.join(specification.classes)}"),
        *_nested("preprocessing", specification.preprocessing.model_dump(mode="json")),
        ("loss", specification.loss),
        ("probabilities", specification.probabilities),
        ("temperature", specification.temperature),
        *([] if specification.abstain_below is None else [("abstains below", specification.abstain_below)]),
        *_nested("training", _without_hashes(specification.training)),
        *(row for name, metric in sorted(specification.metrics.items()) for row in _measured(name, metric)),
    ]
    return Table("model", ("what", "value"), tuple((what, _text(value)) for what, value in rows))


def _without_hashes(training: dict[str, Any]) -> dict[str, Any]:
    """How a model was trained, without the hashes of its pictures, which say nothing to a person."""
    data = training.get("data")
    if not isinstance(data, dict):
        return training
    return training | {"data": {key: value for key, value in data.items() if key != "hashes"}}


def _nested(title: str, content: Any) -> list[tuple[str, Any]]:
    """Nested dictionaries as rows: `training seed`, `training versions torch`."""
    if not isinstance(content, dict):
        return [(title, content)]
    return [row for key, value in sorted(content.items()) for row in _nested(f"{title} {key.replace('_', ' ')}", value)]


def _measured(name: str, metric: Any) -> list[tuple[str, Any]]:
    """A metric on one row, with its interval and n: `98.1 % (96.0 to 99.1, n = 360)`."""
    from pellucid.records import Metric

    title = f"measured {name.replace('_', ' ')}"
    numbers = metric if isinstance(metric, dict) else {}
    known = {"value", "n"} <= numbers.keys() <= {"value", "low", "high", "n"}
    if not known or not all(isinstance(number, int | float) for number in numbers.values()):
        return _nested(title, metric)
    unit = "nats" if name.endswith("_loss") else "fraction" if name.endswith(_FRACTIONS) else ""
    return [(title, str(Metric("", **numbers, unit=unit)).strip())]


_FRACTIONS = ("accuracy", "base_rate")
"""Endings of the names of metrics that are fractions; model files do not store units."""


def _text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if value >= 10_000 else str(value)
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(_short(value), ensure_ascii=False)


def _short(value: Any) -> Any:
    """Rounds numbers to six digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_short(item) for item in value] if isinstance(value, list) else value
