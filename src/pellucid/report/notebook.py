"""How records show themselves in a notebook: HTML that takes its colours from the notebook, and a live curve."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from pellucid.records import Dataset, Figure, Findings, Metric, Model, Predictions, Table
from pellucid.report import pictures, wording
from pellucid.report.run import history_figure
from pellucid.report.wording import count, percent, visible

_ROWS = 20
_TABLE = 'style="border-collapse: collapse; margin: 0.4em 0; text-align: left"'
_CELL = 'style="padding: 0.15em 0.9em 0.15em 0; text-align: {}"'
_FAINT = 'style="opacity: 0.7; margin: 0.2em 0"'


def dataset(data: Dataset) -> str:
    """Its sizes, its notes, and a few pictures of each class."""
    rows = [(name, len(split), _counts(split)) for name, split in data.splits.items()]
    shown = next(iter(data))
    parts = [
        _heading(f"{visible(data.name)}: {count(len(data.classes), 'class', 'classes')}"),
        _faint(data.description),
        _table(("split", "pictures", "per class"), rows),
        *(_faint(note) for note in data.notes),
    ]
    if shown.labels is not None and len(shown):
        parts.append(_image(pictures.class_grid(shown, per_class=8, classes=10)))
    return _box(parts)


def findings(found: Findings) -> str:
    """The metrics, the tables and the figures."""
    parts = [_heading(visible(found.title))] if found.title else []
    metrics = [item for item in found if isinstance(item, Metric)]
    if metrics:
        rows = [(wording.title(m.name), wording.value(m), wording.interval(m), f"{m.n:,}", m.note) for m in metrics]
        parts.append(_table(("", "value", "95 % interval", "n", ""), rows))
    for item in found:
        if isinstance(item, Table):
            rows = [
                [wording.cell(name, value) for name, value in zip(item.columns, row, strict=True)] for row in item.rows
            ]
            parts += [_heading(wording.title(item.name)), _table(item.columns, rows), _faint(item.note)]
        elif isinstance(item, Figure) and item.figure in pictures.PICTURES:
            parts.append(_image(item))
    return _box(parts)


def model(trained: Model) -> str:
    """What it is, what it takes and gives, and how it was trained."""
    specification = trained.specification
    preprocessing = specification.preprocessing
    classes = ", ".join(specification.classes[:_ROWS]) + (", …" if len(specification.classes) > _ROWS else "")
    colours = "grey" if preprocessing.channels == 1 else "colour"
    rows = [
        ("network", specification.network.name),
        *((f"network: {key}", value) for key, value in specification.network.settings.items()),
        ("numbers", f"{trained.parameters:,}"),
        ("takes", f"{colours} pictures of {preprocessing.width}×{preprocessing.height} pixels"),
        ("gives", f"{count(len(specification.classes), 'class', 'classes')}: {classes}"),
        ("SHA-256", trained.sha256),
    ]
    data = specification.training.get("data")
    if isinstance(data, Mapping) and data.get("name"):
        rows.append(("trained on", data["name"]))
    return _box([_heading("Model"), _table(("", ""), rows)])


def predictions(found: Predictions) -> str:
    """The first of them: class, probability, and the given class where it is known."""
    known = found.labels is not None
    rows = []
    for index in range(min(len(found), _ROWS)):
        predicted = found.classes[found.predicted[index]]
        row = [found.ids[index], predicted, percent(float(found.confidence[index]))]
        if found.labels is not None:
            given = found.classes[found.labels[index]]
            row += [given, "✓" if given == predicted else "✗"]
        rows.append(row)
    columns = ("picture", "predicted", "probability", *(("given", "") if known else ()))
    parts = [_heading(count(len(found), "prediction")), _table(columns, rows)]
    if len(found) > _ROWS:
        parts.append(_faint(f"The first {_ROWS}; {len(found) - _ROWS:,} more are not shown."))
    parts += [_faint(f"{name} could not be read: {reason}") for name, reason in found.unreadable.items()]
    return _box(parts)


class LiveCurve:
    """A training callback that draws the curves, and draws them again in the same place after each epoch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.handle: Any = None

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Adds an epoch to the curves."""
        self.rows.append(dict(row))
        self._draw()

    def on_end(self, summary: Mapping[str, Any]) -> None:
        """Marks the epoch that was chosen."""
        if self.rows and isinstance(summary, Mapping):
            self._draw(summary.get("chosen_epoch"))

    def _draw(self, chosen: int | None = None) -> None:
        from IPython.display import Image, display

        image = pictures.png(history_figure(self.rows, chosen))
        shown = Image(data=image, format="png", width=_width(image))
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)


def _counts(split: Any) -> str:
    if split.labels is None:
        return "labels not known"
    counts = split.counts().values()
    return f"{min(counts):,} to {max(counts):,}" if min(counts) != max(counts) else f"{min(counts):,}"


def _box(parts: Iterable[str]) -> str:
    return f"<div>{''.join(parts)}</div>"


def _heading(text: str) -> str:
    return Markup('<p style="font-weight: 600; margin: 0.6em 0 0.2em">{}</p>').format(text)


def _faint(text: str) -> str:
    return Markup(f"<p {_FAINT}>{{}}</p>").format(visible(text)) if text else ""


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    rows = [list(row) for row in rows]
    columns = list(columns)
    right = [all(_is_number(row[place]) for row in rows) and bool(rows) for place in range(len(columns))]
    styles = [_CELL.format("right" if number else "left") for number in right]
    head = ""
    if any(columns):
        cells = (
            Markup(f'<th scope="col" {style}>{{}}</th>').format(name)
            for style, name in zip(styles, columns, strict=True)
        )
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    body = "".join(
        f"<tr>{''.join(Markup(f'<td {s}>{{}}</td>').format(_text(v)) for s, v in zip(styles, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<table {_TABLE}>{head}<tbody>{body}</tbody></table>"


def _is_number(value: Any) -> bool:
    return str(value).rstrip(" %").replace(",", "").replace(".", "").isdigit() or value in ("–", "")


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def _image(figure: Figure) -> str:
    image = pictures.png(figure)
    return Markup(
        '<img src="data:image/png;base64,{}" width="{}" alt="{}" style="max-width: 100%; height: auto">'
    ).format(
        base64.b64encode(image).decode("ascii"), _width(image), visible(figure.title) or wording.title(figure.name)
    )


def _width(image: bytes) -> int:
    """How wide a page shows it: two thirds of its pixels, which are sharp on dense screens."""
    return round(int.from_bytes(image[16:20], "big") * 96 / pictures.DPI)
