"""Figures as PNG: one module per kind of picture, looked up by what the figure says it is.

    pictures.draw(figure, "confusion-matrix.png")

Pictures are drawn at 144 dots an inch, so that they are sharp at two thirds of their size in pixels, and legible at
all of it. Importing this package imports no matplotlib: a kind is imported when it is drawn.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from pellucid.errors import UnknownNameError
from pellucid.records import Figure, atomic
from pellucid.report.pictures.sample import class_grid

__all__ = ["DPI", "FORMATS", "PICTURES", "class_grid", "draw", "formats", "png"]

DPI = 144
"""Dots an inch: 1.5 pixels for each of a page's."""

PICTURES = {
    "activations": "pellucid.report.pictures.activations",
    "attention": "pellucid.report.pictures.attention",
    "class-grid": "pellucid.report.pictures.grid",
    "confusion-matrix": "pellucid.report.pictures.confusion",
    "embedding": "pellucid.report.pictures.embedding",
    "top-activations": "pellucid.report.pictures.top_activations",
    "feature-maps": "pellucid.report.pictures.feature_maps",
    "film": "pellucid.report.pictures.film",
    "filters": "pellucid.report.pictures.filters",
    "graph": "pellucid.report.pictures.graph",
    "history": "pellucid.report.pictures.history",
    "learning-rate-range": "pellucid.report.pictures.learning_rates",
    "operation": "pellucid.report.pictures.operation",
    "picture-rows": "pellucid.report.pictures.rows",
    "pictures": "pellucid.report.pictures.cells",
    "explanation": "pellucid.report.pictures.explanation",
    "linear-probe": "pellucid.report.pictures.linear_probe",
}
"""From what a figure says it is to the module whose `png` draws it."""


def png(figure: Figure) -> bytes:
    """The figure, drawn: the bytes of a PNG file.

    Raises:
        UnknownNameError: nothing draws figures of this kind.
    """
    if figure.figure not in PICTURES:
        raise UnknownNameError("kind of figure", figure.figure, PICTURES)
    return importlib.import_module(PICTURES[figure.figure]).png(figure)


FORMATS = {".png": "png", ".svg": "svg", ".webp": "webp", ".gif": "gif"}
"""From the end of a file's name to the function that a module of pictures may have; all have `png`."""


def formats(figure: Figure) -> list[str]:
    """The ends of file names that this kind of figure can be written to: `.png` always, then what else it knows."""
    if figure.figure not in PICTURES:
        raise UnknownNameError("kind of figure", figure.figure, PICTURES)
    module = importlib.import_module(PICTURES[figure.figure])
    return [ending for ending, function in FORMATS.items() if hasattr(module, function)]


def draw(figure: Figure, path: str | Path) -> Path:
    """Writes the figure as a file of the kind that its name ends in, and gives its path; PNG for any other end.

    Raises:
        UnknownNameError: nothing draws figures of this kind.
        StorageError: the file cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending == ".png" or ending not in formats(figure):
        atomic.write_bytes(path, png(figure))
        return path
    content = getattr(importlib.import_module(PICTURES[figure.figure]), FORMATS[ending])(figure)
    atomic.write_bytes(path, content.encode("utf-8") if isinstance(content, str) else content)
    return path
