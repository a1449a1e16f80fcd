"""Output of `pellucid train --find-lr`: the suggestion, and the curve in the terminal and as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pellucid.records import Dataset, Findings
    from pellucid.training.plan import ResolvedPlan
    from pellucid.training.range_test import RangeTest

PNG = "learning-rates.png"
WIDTH, HEIGHT = 64, 8
_BLOCKS = " ▁▂▃▄▅▆▇█"


def run(dataset: Dataset, plan: ResolvedPlan, *, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Runs the test, prints its result, and writes the curve: into `out`, or into the next folder in `runs/`."""
    from pellucid.cli import console
    from pellucid.records import RunFolder
    from pellucid.training.range_test import find_learning_rate

    if out is not None and out.suffix.lower() != ".png" and out.exists():
        RunFolder.create(dataset.name, "", out)  # raises the error before the test takes its time
    if plan.record.threads is not None:
        import torch

        torch.set_num_threads(plan.record.threads)
    with console.progress("learning rates", quiet=quiet) as advance:
        result = find_learning_rate(dataset, plan, progress=advance)
    name = plan.network.name
    findings = result.findings(f"which learning rates suit {name} on {dataset.name}")
    if as_json:
        console.emit(findings, as_json=True)
    else:
        typer.echo(f"{findings['learning_rate_range'].title} (training pictures alone)")
        typer.echo("\n".join(curve(result)))
        typer.echo(conclusion(result))
    path = _write(findings, dataset.name, name, out)
    if path is not None:
        (console.say if as_json else typer.echo)(console.plain(f"Curve   {path}"))


def conclusion(result: RangeTest) -> str:
    """The suggestion, in one line."""
    if result.suggestion is None:
        return result.reason
    return f"Suggested: --learning-rate {result.suggestion:g}, {result.reason}."


def curve(result: RangeTest, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """The smoothed loss over the rate, drawn with block characters; values far above the first are cut off."""
    values = [value for value in result.smoothed if math.isfinite(value)]
    rates = result.rates[: len(values)]
    columns = _columns(values, min(width, len(values)))
    low, top = min(columns), values[0] + 0.3 * (values[0] - min(values))
    high = min(max(columns), top) if top > low else max(columns)
    span = (high - low) or 1.0
    eighths = [round(8 * height * min((value - low) / span, 1)) + 1 for value in columns]
    lines = []
    for row in range(height, 0, -1):
        label = {height: f"{high:8.3g} ", 1: f"{low:8.3g} "}.get(row, " " * 9)
        lines.append(label + "".join(_BLOCKS[max(0, min(8, n - 8 * (row - 1)))] for n in eighths).rstrip())
    marks = [" "] * len(columns)
    if result.suggestion is not None:
        marks[_column(result.suggestion, rates, len(columns))] = "▲"
    lines.append("    loss " + "".join(marks).rstrip())
    ends = f"{rates[0]:.0e}", f"{rates[-1]:.2g}"
    lines.append(" " * 9 + ends[0] + " learning rate ".center(max(15, len(columns) - sum(map(len, ends)))) + ends[1])
    return lines


def _columns(values: Sequence[float], width: int) -> list[float]:
    """The values, averaged into `width` columns."""
    bounds = [i * len(values) // width for i in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]


def _column(rate: float, rates: Sequence[float], width: int) -> int:
    """The column of a rate."""
    below = sum(other < rate for other in rates)
    return min(width - 1, below * width // len(rates))


def _write(findings: Findings, data: str, network: str, out: Path | None) -> Path | None:
    """Writes the curve and the findings: the path of the curve, or None if this installation draws no pictures."""
    from pellucid.records import RunFolder, display

    draw = display.view("figure")
    if draw is None:
        return None
    if out is not None and out.suffix.lower() == ".png":
        return draw(findings["learning_rate_range"], out)
    folder = RunFolder.create(data, f"{network}-learning-rates", out)
    folder.write_findings(findings)
    return draw(findings["learning_rate_range"], folder.path / PNG)
