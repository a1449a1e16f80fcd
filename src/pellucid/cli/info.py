"""`pellucid info MODEL`: a screenful for people; everything with --all or --json."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pellucid.records import ExportedModel, Model, Table

EXAMPLES = """  pellucid info model.safetensors
  pellucid info runs/digits-convnet-001
  pellucid info lite0
  pellucid info model.safetensors --all
  pellucid info model.safetensors --json"""


def info(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Model file, run folder, exported model, or a backbone: lite0.", show_default=False
        ),
    ],
    *,
    everything: Annotated[bool, typer.Option("--all", help="Print every setting and measured score.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Print what a model tells apart, how good it is, and how it was trained."""
    from pellucid.cli import console
    from pellucid.cli.predict import backbone_or_model

    loaded = backbone_or_model(model)
    if everything or as_json:
        console.table(describe(loaded), as_json=as_json)
        return
    rows = summary(loaded, model)
    width = max(len(what) for what, _ in rows)
    for what, value in rows:
        typer.echo(f"{what:<{width}}  {console.plain(value)}")


_MANY_CLASSES = 20
"""More classes are not all named in the summary."""


def summary(model: Model | ExportedModel, path: Path) -> list[tuple[str, str]]:
    """A model in a few lines, as rows of (what, value).

    Args:
        model: the model.
        path: the file, run folder or name that it was loaded from.
    """
    from pellucid.records.paths import command_line

    specification, name = model.specification, command_line(path)
    network, preprocessing = specification.network, specification.preprocessing
    classes = ", ".join(specification.classes[:_MANY_CLASSES])
    more = len(specification.classes) - _MANY_CLASSES
    colour = "grey" if preprocessing.channels == 1 else "colour"
    rows = [
        (
            "Tells apart",
            f"{len(specification.classes):,} classes: {classes}" + (f" and {more:,} more" if more > 0 else ""),
        ),
        ("Accuracy", _accuracy(specification.metrics)),
        ("Trained", _trained(specification.training, path)),
        (
            "Network",
            f"{network.name}, {model.parameters:,} numbers" + (f", from {network.source}" if network.source else ""),
        ),
        (
            "Pictures",
            f"{colour}, {preprocessing.width}×{preprocessing.height} pixels; others are resized ({preprocessing.fit})",
        ),
    ]
    if exported := _exported(model):
        rows.append(("Exported", f"{exported[0][1]}; runs without torch"))
    if specification.abstain_below is not None:
        rows.append(("Not sure", f"if the probability is below {100 * specification.abstain_below:.1f} %"))
    return [*rows, ("Predict", f"pellucid predict {name} PICTURES"), ("Details", f"pellucid info {name} --all")]


def _accuracy(metrics: dict[str, Any]) -> str:
    """The accuracy with its 95 % Wilson interval: that on the test split, else on validation."""
    from pellucid.records import Metric
    from pellucid.statistics.intervals import wilson

    for split in ("test", "validation"):
        metric = metrics.get(f"{split}_accuracy")
        value, n = (metric.get(key) for key in ("value", "n")) if isinstance(metric, dict) else (None, None)
        if isinstance(value, float | int) and isinstance(n, int) and 0 <= value <= 1 and n > 0:
            low, high = wilson(round(value * n), n)
            return f"{str(Metric('', value, n, low, high, unit='fraction')).strip()} on the {split} pictures"
    return "not measured"


def _trained(training: dict[str, Any], path: Path) -> str:
    """When and from what a model was trained: `2026-11-27, on 1,293 pictures of digits, 12 epochs, seed 0`."""
    data, recipe = (training[key] if isinstance(training.get(key), dict) else {} for key in ("data", "recipe"))
    sizes = data.get("sizes")
    count = sizes.get("train") if isinstance(sizes, dict) else None
    pictures = f"{count:,} pictures of " if isinstance(count, int) else ""
    file = path / "model.safetensors" if path.is_dir() else path
    parts = [
        datetime.fromtimestamp(file.stat().st_mtime).astimezone().strftime("%Y-%m-%d") if file.is_file() else "",
        f"on {pictures}{data['name']}" if isinstance(data.get("name"), str) else "",
        f"{recipe['epochs']} epochs"
        if isinstance(recipe.get("epochs"), int) and not recipe.get("freeze_backbone")
        else "",
        f"seed {training['seed']}" if isinstance(training.get("seed"), int) else "",
    ]
    return ", ".join(part for part in parts if part) or "unknown"


def describe(model: Model | ExportedModel) -> Table:
    """The content of a model, as rows of (what, value)."""
    from pellucid.records import Table

    specification = model.specification
    rows = [
        ("format version", specification.version),
        ("sha256", model.sha256),
        *_exported(model),
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
        *([] if specification.appearance is None else _nested("appearance", specification.appearance.model_dump())),
        *_nested("training", _without_hashes(specification.training)),
        *(row for name, metric in sorted(specification.metrics.items()) for row in _measured(name, metric)),
    ]
    return Table("model", ("what", "value"), tuple((what, _text(value)) for what, value in rows))


def _exported(model: Model | ExportedModel) -> list[tuple[str, Any]]:
    """What an exported model is, and from which model it was made; nothing for any other model."""
    from pellucid.records import ExportedModel

    if not isinstance(model, ExportedModel):
        return []
    return [("exported", f"ONNX, {model.precision}"), ("exported from", model.source)]


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
