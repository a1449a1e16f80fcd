"""`pellucid compare A B`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """  pellucid compare runs/digits-mlp-001 runs/digits-convnet-001
  pellucid compare first/predictions.parquet second/predictions.parquet
  pellucid compare runs/mnist-lenet5-001 runs/mnist-lenet5-002 --json"""


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Run folder or predictions file.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another run folder or predictions file.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Test whether B is better than A on the same test pictures, and show where they differ."""
    from pellucid.cli import console
    from pellucid.evaluation import compare as compare_predictions
    from pellucid.evaluation import run_predictions

    first, second = run_predictions.read(a), run_predictions.read(b)
    findings = compare_predictions(first, second)
    if first.fingerprint and second.fingerprint and first.fingerprint != second.fingerprint:
        console.notes([_OTHER_DATA])
    console.emit(findings, as_json=as_json)


_OTHER_DATA = (
    "the two runs were trained on different pictures or splits (the fingerprints of their data differ). The comparison "
    "uses the pictures with the same ids and labels."
)
