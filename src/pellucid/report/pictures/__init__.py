"""Figures as PNG files: one module for each kind of figure.

    pictures.draw(figure, "confusion-matrix.png")

Pictures are drawn at 144 dots per inch, 1.5 times the pixels of a web page, so they are sharp on dense screens.
Importing this package does not import matplotlib; a kind's module is imported when it draws.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from pellucid.errors import UnknownNameError
from pellucid.records import Figure, atomic
from pellucid.report.pictures.sample import class_grid
from pellucid.report.wording import DPI

__all__ = ["DPI", "FORMATS", "PICTURES", "class_grid", "draw", "formats", "png"]

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
    "robustness": "pellucid.report.pictures.robustness",
    "reliability": "pellucid.report.pictures.reliability",
    "explanation": "pellucid.report.pictures.explanation",
    "linear-probe": "pellucid.report.pictures.linear_probe",
}
"""Kind of figure → the module whose `png` draws it."""


def png(figure: Figure) -> bytes:
    """Draws the figure and returns the bytes of a PNG file.

    Raises:
        UnknownNameError: the kind of figure is unknown.
    """
    if figure.figure not in PICTURES:
        raise UnknownNameError("kind of figure", figure.figure, PICTURES)
    return importlib.import_module(PICTURES[figure.figure]).png(figure)


FORMATS = {".png": "png", ".svg": "svg", ".webp": "webp", ".gif": "gif"}
"""File suffix → function of the module that writes it. Every module has `png`."""


def formats(figure: Figure) -> list[str]:
    """The file suffixes that this kind of figure can be written to, `.png` first."""
    if figure.figure not in PICTURES:
        raise UnknownNameError("kind of figure", figure.figure, PICTURES)
    module = importlib.import_module(PICTURES[figure.figure])
    return [ending for ending, function in FORMATS.items() if hasattr(module, function)]


def draw(figure: Figure, path: str | Path) -> Path:
    """Writes the figure in the format of the file suffix, or as PNG if the kind has no such format. Returns the path.

    Raises:
        UnknownNameError: the kind of figure is unknown.
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
