"""How records look in a notebook: HTML in the notebook's own colours, and training curves that update live."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.records import Dataset, Figure, Findings, Metric, Model, Predictions, Remark, Table
from pellucid.report import pictures, wording
from pellucid.report.page import history_figure
from pellucid.report.wording import count, percent, visible

_ROWS = 20
_SHORT = 30
"""Cells of up to this number of letters stay on one line: a number or an interval is never broken."""


def dataset(data: Dataset) -> str:
    """The sizes and notes of a data set, and a few pictures of each class."""
    rows = [(name, len(split), _counts(split)) for name, split in data.splits.items()]
    first = next(iter(data))
    parts = [
        _heading(f"{visible(data.name)}: {count(len(data.classes), 'class', 'classes')}"),
        _faint(data.description),
        _table(("split", "pictures", "per class"), rows),
        *(_faint(note) for note in data.notes),
    ]
    if first.labels is not None and len(first):
        parts.append(_image(pictures.class_grid(first, per_class=8, classes=10)))
    return _box(parts)


def findings(items: Findings) -> str:
    """Findings as HTML: metrics, then remarks, tables and figures."""
    parts = [_heading(visible(items.title))] if items.title else []
    metrics = [item for item in items if isinstance(item, Metric)]
    if metrics:
        rows = [(wording.title(m.name), wording.value(m), wording.interval(m), f"{m.n:,}", m.note) for m in metrics]
        parts.append(_table(("", "value", "95 % interval", "n", ""), rows))
    parts += [_faint(f"{item.level}: {item.text} {item.advice}") for item in items if isinstance(item, Remark)]
    for item in items:
        if isinstance(item, Table):
            columns = wording.shown_columns(item.columns)
            rows = [
                [wording.cell_with_limits(name, row, index, at) for name, index, at in columns] for row in item.rows
            ]
            parts += [_heading(wording.title(item.name)), _table([c[0] for c in columns], rows), _faint(item.note)]
        elif isinstance(item, Figure) and item.figure in pictures.PICTURES:
            parts.append(_image(item))
    return _box(parts)


def model(trained: Model) -> str:
    """A summary of a model: network, number of parameters, input, classes, and training data."""
    specification = trained.specification
    preprocessing = specification.preprocessing
    classes = ", ".join(specification.classes[:_ROWS]) + (", …" if len(specification.classes) > _ROWS else "")
    colours = "grey" if preprocessing.channels == 1 else "colour"
    rows = [
        ("network", specification.network.name),
        *((f"network: {key}", value) for key, value in specification.network.settings.items()),
        ("parameters", f"{trained.parameters:,}"),
        ("input", f"{colours} pictures of {preprocessing.width}×{preprocessing.height} pixels"),
        ("output", f"{count(len(specification.classes), 'class', 'classes')}: {classes}"),
        ("SHA-256", trained.sha256),
    ]
    data = specification.training.get("data")
    if isinstance(data, Mapping) and data.get("name"):
        rows.append(("trained on", data["name"]))
    return _box([_heading("Model"), _table(("", ""), rows)])


def predictions(table: Predictions) -> str:
    """Some predictions, with the label if it is known; the most confident mistakes come first."""
    known = table.labels is not None
    rows = []
    order = _mistakes_first(table)
    for index in order[:_ROWS].tolist():
        predicted = table.classes[table.predicted[index]]
        row = [table.ids[index], predicted, percent(float(table.confidence[index]))]
        if table.labels is not None:
            label = table.classes[table.labels[index]]
            row += [label, "✓" if label == predicted else "✗"]
        rows.append(row)
    columns = ("picture", "predicted", "probability", *(("label", "") if known else ()))
    heading = count(len(table), "prediction")
    if table.labels is not None:
        heading += f", {count(int((table.predicted != table.labels).sum()), 'mistake')}"
    parts = [_heading(heading), _table(columns, rows)]
    if len(table) > _ROWS:
        which = f"{_ROWS} predictions, the most confident mistakes first" if known else f"The first {_ROWS}"
        parts.append(_faint(f"{which}, and {len(table) - _ROWS:,} more."))
    parts += [_faint(f"{name} could not be read: {reason}") for name, reason in table.unreadable.items()]
    return _box(parts)


def _mistakes_first(table: Predictions) -> np.ndarray:
    """The order of the predictions, int64 (N,): the most confident mistakes, then the others as they are."""
    if table.labels is None:
        return np.arange(len(table))
    is_right = table.predicted == table.labels
    wrong = np.flatnonzero(~is_right)
    return np.concatenate([wrong[np.argsort(-table.confidence[wrong], kind="stable")], np.flatnonzero(is_right)])


class LiveCurve:
    """A training callback that draws the training curves and updates them after each epoch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.handle: Any = None

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Adds an epoch to the curves and redraws them."""
        self.rows.append(dict(row))
        self._draw()

    def on_end(self, summary: Mapping[str, Any]) -> None:
        """Marks the chosen epoch."""
        if self.rows and isinstance(summary, Mapping):
            self._draw(summary.get("chosen_epoch"))

    def _draw(self, chosen: int | None = None) -> None:
        from IPython.display import Image, display

        image = pictures.png(history_figure(self.rows, chosen))
        display_image = Image(data=image, format="png", width=_width(image))
        if self.handle is None:
            self.handle = display(display_image, display_id=True)
        else:
            self.handle.update(display_image)


def _counts(split: Any) -> str:
    if split.labels is None:
        return "labels unknown"
    counts = split.counts().values()
    return f"{min(counts):,} to {max(counts):,}" if min(counts) != max(counts) else f"{min(counts):,}"


def _box(parts: Iterable[str]) -> str:
    return f"<div>{''.join(parts)}</div>"


def _heading(text: str) -> str:
    return f'<p style="font-weight: 600; margin: 0.6em 0 0.2em">{_text(text)}</p>'


def _faint(text: str) -> str:
    return f'<p style="opacity: 0.7; margin: 0.2em 0">{_text(text)}</p>' if text else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    right = [bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(columns))]
    short = [all(len(str(row[index])) <= _SHORT for row in rows) for index in range(len(columns))]
    styles = [
        f'style="padding: 0.15em 0.9em; text-align: {"right" if number else "left"}'
        f'{"; white-space: nowrap" if number or on_one_line else ""}"'
        for number, on_one_line in zip(right, short, strict=True)
    ]
    head = "".join(f'<th scope="col" {style}>{_text(name)}</th>' for style, name in zip(styles, columns, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td {style}>{_text(value)}</td>' for style, value in zip(styles, row, strict=True))}</tr>"
        for row in rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    content = f'<table style="border-collapse: collapse; margin: 0.4em 0">{head}<tbody>{body}</tbody></table>'
    return f'<div style="overflow-x: auto">{content}</div>'


def _is_number(value: Any) -> bool:
    return str(value).rstrip(" %").replace(",", "").replace(".", "").isdigit() or value in ("–", "")


def _text(value: Any) -> str:
    """The value as escaped HTML text."""
    return html.escape(f"{value:,}" if isinstance(value, int) else visible(str(value)))


def _image(figure: Figure) -> str:
    image = pictures.png(figure)
    content = base64.b64encode(image).decode("ascii")
    alt = _text(figure.title or wording.title(figure.name))
    style = 'style="max-width: 100%; height: auto"'
    return f'<img src="data:image/png;base64,{content}" width="{_width(image)}" alt="{alt}" {style}>'


def _width(image: bytes) -> int:
    """Width on the page in CSS pixels: two thirds of the image's pixels, so that it is sharp on dense screens."""
    return round(int.from_bytes(image[16:20], "big") * 96 / pictures.DPI)
