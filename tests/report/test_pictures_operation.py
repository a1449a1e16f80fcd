"""Worked examples: that each is drawn whole, and says the same in a terminal."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from pellucid import operations
from pellucid.records import Figure
from pellucid.report import pictures
from pellucid.report.operation_text import number, text
from pellucid.report.pictures import DPI, canvas, colours, operation_panels


def drawn(figure):
    with Image.open(io.BytesIO(pictures.png(figure))) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_each_example_fits_its_sheet_and_its_text(name, recwarn, monkeypatch):
    monkeypatch.setattr(canvas, "DPI", 48)  # a ninth of the pixels, for a third of the time
    figure = operations.example(name)
    image = drawn(figure)
    assert 7 * 48 < image.shape[1] < 12 * 48
    for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]):
        assert (edge == 255).all(), "nothing is cut off"
    assert not recwarn.list
    said = text(figure)
    assert said.startswith(figure.title + "\n\n")
    for line in operations.formula(name).splitlines():
        assert line.strip() in said
    for row in figure.data["rows"]:
        assert row["title"] in said
        assert row["text"] in said
        for panel in row["panels"]:
            for value in np.ravel(panel["values"]) if panel["kind"] == "grid" else ():
                assert number(value) in said
    assert not re.search(r"(?<![\w)])-\d", re.sub(r"e[-−]\d+", "", said)), "a minus is a minus"


def example_of(panel):
    return Figure("x", "operation", {"tex": [], "rows": [{"title": "", "panels": [panel], "text": ""}]}, title="t")


def test_a_square_has_the_colour_of_its_number_and_marked_ones_a_frame():
    values = [[1.0, -1.0, 0.0]]
    panel = {"kind": "grid", "title": "", "values": values, "marked": [[0, 2]], "faint": [], "largest": 1.0}
    panel |= {"plain": False, "row_heads": [], "column_heads": []}
    image = drawn(example_of(panel))
    left, top = 0.3, 0.62 + 0.12
    cell = operation_panels._cell(panel)

    def at(j, across):
        return image[round((top + 0.07) * DPI), round((left + (j + across) * cell) * DPI)].astype(int)

    red, blue, white = (255 - (255 - c.astype(int)) * 0.7 for c in colours.colours(np.array(values) / 1.5, 1.0)[0])
    assert np.abs(at(0, 0.2) - red).max() < 12
    assert np.abs(at(1, 0.2) - blue).max() < 12
    assert np.abs(at(2, 0.2) - white).max() < 12
    frame = np.array([int(canvas.RIGHT[i : i + 2], 16) for i in (1, 3, 5)])
    framed = (np.abs(image.astype(int) - frame).max(axis=2) < 12).sum(axis=0)
    assert framed[: round((left + 2 * cell) * DPI) - 2].sum() == 0
    assert framed[round((left + 2 * cell) * DPI) :].sum() > 100


def test_numbers_are_short_and_have_a_minus():
    assert [number(value) for value in (3.0, -0.25, 1 / 3, 1001.0, 2e-6)] == ["3", "−0.25", "0.333", "1001", "2e−06"]


def test_grids_and_signs_stand_on_one_line():
    def grid(values, **more: object):
        base = {"kind": "grid", "title": "", "marked": [], "faint": [], "largest": 1, "plain": False}
        return base | {"row_heads": [], "column_heads": [], "values": values} | more

    row = {
        "title": "",
        "text": "end",
        "panels": [grid([[1, -2], [3, 4]], marked=[[0, 1]]), {"kind": "sign", "text": "="}],
    }
    row["panels"].append(grid([[5.0]], title="y", column_heads=["a"], row_heads=["b"], faint=[[0, 0]]))
    figure = Figure("x", "operation", {"formula": "f", "tex": [], "rows": [row]}, title="t")
    assert text(figure).splitlines() == [
        "t",
        "",
        "    f",
        "",
        "                   y",
        "                     a",
        "      1 [−2]   =   b·5",
        "      3   4",
        "",
        "end",
    ]


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "rmsprop", "adam"])
def test_the_losses_of_paths_look_like_the_paths_and_no_names_lie_on_them(name):
    paths, losses = [
        panel for row in operations.example(name).data["rows"] for panel in row["panels"] if panel["kind"] == "chart"
    ]
    assert [(line["label"], line["style"]) for line in paths["lines"]] == [
        (line["label"], line["style"]) for line in losses["lines"]
    ]
    assert paths["named"]
    assert not losses["named"]
