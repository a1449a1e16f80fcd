import base64
import sys
from types import ModuleType
from unittest.mock import Mock

import numpy as np
import pytest

from pellucid.records import (
    Dataset,
    Figure,
    Findings,
    Metric,
    Model,
    NetworkSpecification,
    Predictions,
    Preprocessing,
    Specification,
    Split,
    Table,
    display,
)
from pellucid.report import notebook


@pytest.fixture
def model():
    specification = Specification(
        network=NetworkSpecification(name="mlp", settings={"widths": [500]}),
        classes=("ant", "<bee>"),
        preprocessing=Preprocessing(channels=3, height=24, width=32, mean=(0.0,) * 3, std=(1.0,) * 3),
        training={"data": {"name": "insects"}},
    )
    return Model(specification, {"w": np.zeros((2, 700), np.float32)})


def test_a_dataset_shows_its_sizes_and_some_pictures(digits):
    html = digits._repr_html_()
    assert html == notebook.dataset(digits)
    for part in ("digits: 10 classes", "train", "1,437", "139 to 146", "Handwritten digits", "data:image/png;base64,"):
        assert part in html


def test_a_dataset_without_labels_or_with_notes(digits):
    blind = Split("train", digits.test.pictures, None, digits.classes)
    html = notebook.dataset(Dataset("new", {"train": blind}, notes=("3 files <left> out",)))
    assert "labels unknown" in html
    assert "3 files &lt;left&gt; out" in html
    assert "<img" not in html
    even = Split("train", digits.test.pictures[:2], np.array([0, 1]), ("a", "b"))
    assert ">1</td>" in notebook.dataset(Dataset("even", {"train": even}))


def test_findings_show_numbers_tables_and_pictures(findings):
    html = findings._repr_html_()
    for part in ("92.5 %", "89.3 to 94.8 %", "Scores of each class", "digits, test split"):
        assert part in html
    assert html.count("<img") == 4
    odd = Findings((Metric("x", 1.5, 3), Table("t", ("a %",), ((None,),)), Figure("f", "hologram", {})))
    assert "–" in notebook.findings(odd)
    assert notebook.findings(Findings()) == "<div></div>"


def test_a_model_says_what_it_takes_and_gives(model):
    html = model._repr_html_()
    for part in (
        "mlp",
        "1,400",
        "colour pictures of 32×24 pixels",
        "2 classes: ant, &lt;bee&gt;",
        "insects",
        model.sha256,
    ):
        assert part in html


def test_predictions_show_the_first_and_count_the_rest(predictions):
    html = predictions._repr_html_()
    assert "360 predictions" in html
    assert "20 predictions, the most confident mistakes first, and 340 more." in html
    assert html.count("<tr>") == 21
    assert html.count("✗") == 20  # of 27 mistakes


def test_predictions_show_the_most_confident_mistakes_first():
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.05, 0.95]], np.float32)
    ids = np.array(["right", "unsure mistake", "also right", "sure mistake"])
    html = notebook.predictions(Predictions(ids, shares, ("x", "y"), np.array([0, 1, 1, 0])))
    order = [html.index(f">{name}<") for name in ("sure mistake", "unsure mistake", "right", "also right")]
    assert order == sorted(order)
    assert "4 predictions, 2 mistakes" in html


def test_numbers_and_intervals_are_never_broken_over_lines(findings):
    html = findings._repr_html_()
    for cell in ("92.5 %", "89.3 to 94.8 %", "360"):
        before = html[: html.index(f">{cell}</td>")]
        assert "white-space: nowrap" in before[before.rindex("<td") :]
    assert html.count("<table") == html.count('<div style="overflow-x: auto"><table')


def test_predictions_without_labels_name_what_could_not_be_read():
    found = Predictions(
        np.array(["a.png"]), np.array([[0.25, 0.75]], np.float32), ("x", "y"), unreadable={"b.png": "cut off"}
    )
    html = notebook.predictions(found)
    assert "75.0 %" in html
    assert "label" not in html
    assert "b.png could not be read: cut off" in html


def test_every_view_of_the_registry_is_there():
    for name in ("Dataset", "Findings", "Model", "Predictions", "training", "run"):
        assert callable(display.view(name))


def test_the_live_curve_updates_one_display(monkeypatch, rows_of):
    handle = Mock()
    shown = Mock(return_value=handle)
    fake = ModuleType("IPython.display")
    fake.display, fake.Image = shown, Mock(side_effect=lambda **how: how)
    package = ModuleType("IPython")
    package.version_info = (9, 0)  # matplotlib asks for it when it draws its first figure
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    curve = notebook.LiveCurve()
    curve.on_end({"chosen_epoch": None})  # stopped before the first epoch
    assert not shown.called
    for row in rows_of(3):
        curve.on_epoch(row)
    curve.on_end({"chosen_epoch": 2, "interrupted": False, "seconds": 1.5})
    assert shown.call_count == 1
    assert shown.call_args.kwargs == {"display_id": True}
    assert handle.update.call_count == 3
    drawn = [call.args[0]["data"] for call in (shown.call_args, *handle.update.call_args_list)]
    assert all(image.startswith(b"\x89PNG") for image in drawn)
    assert len(set(drawn)) == 4


def test_the_live_curve_in_the_real_ipython(rows_of):
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            curve = notebook.LiveCurve()
            for row in rows_of(2):
                curve.on_epoch(row)
            curve.on_end({"chosen_epoch": 1})
    finally:
        InteractiveShell.clear_instance()
    assert len(captured.outputs) == 3
    assert [bool(output.update) for output in captured.outputs] == [False, True, True]
    assert len({output.transient["display_id"] for output in captured.outputs}) == 1
    content = captured.outputs[-1].data["image/png"]
    content = content if isinstance(content, bytes) else base64.b64decode(content)
    assert content.startswith(b"\x89PNG")
