"""A comparison in a terminal: the verdict first, then the numbers, then where the two disagree."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from pellucid.evaluation import compare
from pellucid.records import Predictions
from pellucid.report.terminal import render


def test_the_verdict_comes_first_and_the_disagreements_last():
    labels = np.arange(100) % 2
    ids = np.array([f"zoo/{i}" for i in range(100)])
    sure = np.eye(2, dtype=np.float32)
    a = Predictions(ids, sure[np.where(np.arange(100) < 30, 1 - labels, labels)], ("ant", "bee"), labels)
    b = Predictions(ids, sure[labels], ("ant", "bee"), labels)
    stream = io.StringIO()
    render(compare(a, b), Console(file=stream, width=140, highlight=False))
    shown = stream.getvalue()
    lines = shown.splitlines()
    assert lines[0] == (
        "B is right on 30 pictures that A gets wrong, A on 0 that B gets wrong; B is better (p < 0.0001)"
    )
    titles = [
        "Accuracy of A",
        "Accuracy of B",
        "Difference",
        "p value",
        "Compared",
        "Who is right",
        "Scores of each class",
    ]
    places = [shown.index(title) for title in [*titles, "Where they disagree"]]
    assert places == sorted(places)
    assert "30.0 %" in lines[3]
    assert "percentage points" in lines[3]
    (row,) = [line for line in lines if line.startswith("zoo/3 ")]
    assert row.split() == ["zoo/3", "bee", "ant", "bee", "B"]
    assert lines[-1] == "And 10 more; --json has them all."
