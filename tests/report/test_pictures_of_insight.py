"""The pictures of what happens inside: graphs, reasons, separation, maps of data, films."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from PIL import Image

from pellucid.errors import UnknownNameError
from pellucid.records import Figure
from pellucid.report import pictures
from pellucid.report.pictures import DPI, activations, colours, embedding, film, graph
from pellucid.report.pictures.layering import layout
from pellucid.report.pictures.scene import Box, Line, Scene, Words, column, fitting
from pellucid.report.wording import short

SVG = "{http://www.w3.org/2000/svg}"


def drawn(figure: Figure) -> np.ndarray:
    with Image.open(io.BytesIO(pictures.png(figure))) as image:
        return np.asarray(image.convert("RGB"))


def encoded(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def words_of(drawn: Figure | Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written in a picture, or in what is drawn by a call."""
    said: list[str] = []

    def text(self: Axes, x: float, y: float, s: str, **look: Any) -> Any:
        said.append(s)
        return written(self, x, y, s, **look)

    written = Axes.text
    monkeypatch.setattr(Axes, "text", text)
    pictures.png(drawn) if isinstance(drawn, Figure) else drawn()
    monkeypatch.setattr(Axes, "text", written)
    return said


def ends_white(image: np.ndarray) -> bool:
    """Nothing is cut off at the bottom or the right."""
    return image[-3:].min() > 250 and image[:, -3:].min() > 250


@st.composite
def graphs(draw) -> tuple[int, list[list[int]]]:
    count = draw(st.integers(1, 24))
    edges = {(i - 1, i) for i in range(1, count) if draw(st.booleans())}
    for _ in range(draw(st.integers(0, 16))):
        target = draw(st.integers(0, count - 1))
        if target:
            edges.add((draw(st.integers(0, target - 1)), target))
    return count, [list(edge) for edge in sorted(edges)]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(3, 30))
def test_no_box_stands_on_another_and_every_edge_joins_its_boxes(drawn_by_lot, rows):
    count, edges = drawn_by_lot
    wide, high = 2.0, 0.5
    found = layout(count, edges, wide=wide, high=high, rows=rows)
    assert len(found.centres) == count
    for i in range(count):
        x, y = found.centres[i]
        assert wide / 2 - 1e-6 <= x <= found.width - wide / 2 + 1e-6
        assert high / 2 - 1e-6 <= y <= found.height - high / 2 + 1e-6
        for other in found.centres[:i]:
            assert abs(x - other[0]) >= wide - 1e-6 or abs(y - other[1]) >= high - 1e-6
    for (source, target), route in zip(edges, found.routes, strict=True):
        assert route[0] == pytest.approx((found.centres[source][0], found.centres[source][1] + high / 2))
        assert route[-1] == pytest.approx((found.centres[target][0], found.centres[target][1] - high / 2))


def test_a_chain_is_straight_and_its_shortcut_goes_around():
    found = layout(5, [[0, 1], [1, 2], [2, 3], [3, 4], [0, 4]], wide=2.0, high=0.5)
    assert len({x for x, _ in found.centres}) == 1
    assert all(abs(x - found.centres[0][0]) > 1.0 for x, _ in found.routes[4][1:-1])


def test_one_drawing_is_the_same_as_png_and_as_svg():
    scene = Scene(2.0, 1.0, "a <title>")
    scene.parts += [
        Box(0.5, 0.25, 1.0, 0.5, "#ff0000", "#ff0000"),
        Line([(0.1, 0.1), (0.1, 0.9)], "#0000ff", 3.0),
        Words(1.0, 0.5, "a & b", 8, bold=True, anchor="middle"),
    ]
    with Image.open(io.BytesIO(scene.png())) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (DPI, 2 * DPI, 3)
    assert pixels[int(0.3 * DPI), DPI].tolist() == [255, 0, 0]
    assert pixels[DPI // 2, int(0.1 * DPI)].tolist() == [0, 0, 255]
    root = ET.fromstring(scene.svg())
    assert (root.get("width"), root.get("height")) == ("192", "96")
    assert [one.text for one in root.iter(f"{SVG}text")] == ["a & b"]
    assert root.find(f"{SVG}title").text == "a <title>"
    assert len(list(root.iter(f"{SVG}polygon"))) == 1, "the arrow"


def box(title: str, **more: Any) -> dict[str, Any]:
    usual = {"kind": "ReLU", "shape": "1×2", "parameters": 0, "group": "", "block": False, "field": None}
    return {"title": title} | usual | more


def of_graph(**more: Any) -> Figure:
    boxes = [box("picture", kind="input"), box("conv<1>", kind="convolution", group="stem"), box("act", group="stem")]
    boxes += [box("add", kind="add", parameters=7, field="3×3")]
    data = {
        "network": "n", "backward": False, "loss": None, "loss_of": "", "picture": "", "boxes": boxes,
        "edges": [[0, 1], [1, 2], [2, 3], [0, 3]], "details": [],
    } | more  # fmt: skip
    return Figure("graph", "graph", data, title="a graph", note="Noted.")


def test_a_graph_says_what_its_boxes_do():
    root = ET.fromstring(graph.svg(of_graph()))
    said = [one.text for one in root.iter(f"{SVG}text")]
    assert {"a graph", "Noted.", "picture · input", "conv<1> · convolution", "add", "stem"} <= set(said)
    assert "1×2, 7 parameters, sees 3×3" in said
    assert len(list(root.iter(f"{SVG}polyline"))) == 4
    assert ends_white(drawn(of_graph()))


def test_a_block_that_stands_for_several_has_its_name_in_full():
    name = "layers.3.blocks.0 to 1 · 2 × SwinTransformerBlock"
    title, _, kind = name.partition(" · ")
    root = ET.fromstring(graph.svg(of_graph(boxes=[box(title, kind=kind, block=True)], edges=[])))
    assert name in [one.text for one in root.iter(f"{SVG}text")]
    assert "white-space: pre" in root.get("style"), "a browser would make one blank of two"


def test_gradients_go_upwards_in_red():
    gradient = {"function": "AddBackward0", "output": 0.25, "parameters": 0.5}
    figure = of_graph(backward=True)
    figure.data["boxes"][3]["gradient"] = gradient
    root = ET.fromstring(graph.svg(figure))
    assert "AddBackward0  ∂out 0.25  ∂W 0.5" in [one.text for one in root.iter(f"{SVG}text")]
    line = next(root.iter(f"{SVG}polyline"))
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert heights[0] > heights[-1]


def test_blocks_have_their_details_beside_them_and_long_graphs_several_columns():
    many = [box(f"b{i}", group="all") for i in range(70)]
    detail = {"title": "Block, as in b1", "boxes": [box("x"), box("y")], "edges": [[0, 1]]}
    figure = of_graph(boxes=many, edges=[[i, i + 1] for i in range(69)] + [[0, 69]], details=[detail, detail, detail])
    root = ET.fromstring(graph.svg(figure))
    assert [one.text for one in root.iter(f"{SVG}text")].count("Block, as in b1") == 3
    assert float(root.get("width")) > 96 * 6


def test_a_map_lies_over_its_picture():
    picture = np.full((8, 8), 20, np.uint8)
    values = np.zeros((8, 8))
    values[0, 0], values[7, 7] = 1.0, -1.0
    shown = colours.over(picture, values).astype(int)
    assert shown[0, 0, 0] > shown[0, 0, 2] + 50
    assert shown[7, 7, 2] > shown[7, 7, 0] + 50
    assert len(set(shown[3, 3].tolist())) == 1, "grey where the map says nothing"
    photo = colours.over(np.full((9, 9, 3), 200, np.uint8), np.ones((3, 3)))
    assert photo.shape == (9, 9, 3)
    assert (colours.over(picture, np.zeros((8, 8))) == colours.over(picture, np.zeros((8, 8)))[0, 0]).all()


def of_reasons(near: bool, alike: float | None = 0.1) -> Figure:
    rng = np.random.default_rng(0)
    method = {
        "method": "Occlusion", "maps": [rng.normal(size=(8, 8)).tolist() for _ in range(3)], "deletion": 0.1,
        "insertion": 0.9, "better": [True, False], "rank_correlation": alike,
    }  # fmt: skip
    cell = {"png": encoded(np.full((8, 8), 60, np.uint8)), "id": "a", "label": "one", "predicted": "one", "cosine": 0.9}
    data = {
        "network": "n", "about": "one", "rival": "seven", "methods": [method] * 3,
        "picture": {"png": encoded(np.full((8, 8), 60, np.uint8)), "id": "p", "label": "seven", "size": [8, 8]},
        "probabilities": [["one", 0.6], ["seven", 0.4]], "noise": {"deletion": 0.5, "insertion": 0.5},
        "neighbours": {"among": "40 pictures.", "counts": [["one", 8]], "cells": [cell] * 8} if near else None,
    }  # fmt: skip
    return Figure("explanation", "explanation", data, title="why", note="")


def test_reasons_are_drawn_with_and_without_neighbours():
    without, within = drawn(of_reasons(near=False)), drawn(of_reasons(near=True))
    assert ends_white(without)
    assert ends_white(within)
    assert within.shape[0] > without.shape[0] + DPI
    failed = drawn(of_reasons(near=False, alike=0.9))

    def red(image: np.ndarray) -> int:
        lower = image[int(0.85 * len(image)) :].astype(int)
        return int(((lower[..., 0] - lower[..., 1] > 90) & (lower[..., 0] > 150)).sum())

    assert red(failed) > red(without), "a map that stays when the weights are shuffled is marked"
    assert red(drawn(of_reasons(near=False, alike=None))) > red(without), "and so is one that is empty"


def test_reasons_say_among_which_pictures_the_nearest_are(monkeypatch):
    assert "among 40 pictures." in words_of(of_reasons(near=True), monkeypatch)


def test_names_in_a_long_title_are_shortened_only_where_small_letters_have_no_room(monkeypatch):
    figure = of_reasons(near=False)
    name = "timm:swin_tiny_patch4_window7_224"
    title = f"Why {name} calls hymenoptera val/ants/1119630822_cd325ea21a.jpg 'ants'"
    figure.data["network"] = name
    assert title in words_of(replace(figure, title=title), monkeypatch)
    figure.data["picture"]["id"] = name * 4
    said = words_of(replace(figure, title=f"Why {name} calls {name * 4} 'ants'"), monkeypatch)
    assert next(one for one in said if one.startswith("Why")).endswith("'ants'")


def of_points(labelled: bool, grey: bool, many: int = 30) -> Figure:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (8, 8) if grey else (8, 8, 3), dtype=np.uint8)
    points = [
        {"x": float(rng.normal()), "y": float(rng.normal()), "png": encoded(pixels), "id": str(i),
         "label": "a" if labelled else None, "predicted": "b" if i == 0 else "a"}
        for i in range(many)
    ]  # fmt: skip
    data = {
        "network": "n", "method": "pca", "explained": 0.5 if grey else None, "kept": 0.4, "near": 10,
        "classes": ["a", "b"], "labelled": labelled, "points": points,
    }  # fmt: skip
    return Figure("embedding", "embedding", data, title="a map", note="30 pictures.")


@pytest.mark.parametrize("grey", [True, False])
def test_errors_are_ringed_where_they_are_known(grey):
    def red(image: np.ndarray) -> int:
        ring = np.array([0xB3, 0x26, 0x1E])
        return int((np.abs(image.astype(int) - ring).max(axis=2) < 12).sum())

    known, unknown = drawn(of_points(True, grey)), drawn(of_points(False, grey))
    assert red(known) > red(unknown) + 100
    assert ends_white(known)


@pytest.mark.parametrize(("grey", "many", "where"), [(True, 30, "beside"), (False, 30, "in"), (False, 500, "beside")])
def test_what_the_model_said_stands_in_a_photo_that_has_room(grey, many, where, monkeypatch):
    said = " ".join(words_of(of_points(True, grey, many), monkeypatch))
    assert f"Ringed: 1 error; {where} the ring the prediction." in said


def test_pictures_that_would_hide_each_other_are_moved_apart():
    places = np.repeat([[1.0, 1.0], [5.0, 5.0]], 9, axis=0)
    moved = embedding._apart(places, 0.2, 0.2, square=False)
    distances = np.sqrt(((moved[:, None] - moved) ** 2).sum(axis=2)) + np.eye(len(moved)) * 9
    assert distances.min() > 0.15
    assert np.abs(moved - places).max() < 1.0
    # Photos are squares: none lies upon another, also where there are many, and none leaves the frame.
    many = np.random.default_rng(0).normal(4.6, 1.5, (600, 2)).clip(0, 9)

    def hidden(places: np.ndarray) -> int:
        return int((np.abs(places[:, None] - places).max(axis=2) + np.eye(len(places)) * 9 < 0.2).sum())

    moved = embedding._apart(many, 0.26, 0.23, square=True)
    assert hidden(moved) < 0.1 * hidden(many)
    assert 0 < moved.min() < moved.max() < 9.2 - 0.23


def test_many_errors_have_dots_rather_than_words():
    def ink(image: np.ndarray) -> int:
        ring = np.array([0xB3, 0x26, 0x1E])
        return int((np.abs(image.astype(int) - ring).max(axis=2) < 40).sum())

    shown = {}
    for many in (40, 41):
        figure = of_points(True, True, many)
        for point in figure.data["points"]:
            point["predicted"] = "b"  # all are given as 'a'
        shown[many] = drawn(figure)
        assert ends_white(shown[many])
    assert ink(shown[41]) < 0.8 * ink(shown[40]), "no words, and thinner rings"


def test_separation_marks_the_first_layer_that_is_good():
    layer = {"kind": "ReLU", "low": 0.7, "high": 0.95, "counts": [[0, 3, 1], [1, 2, 4]]}
    layers = [layer | {"layer": "pixels", "accuracy": 0.8}, layer | {"layer": "c3", "accuracy": 0.9}]
    data = {
        "network": "n",
        "classes": ["4", "9"],
        "n": 20,
        "layers": layers,
        "good": [False, True],
        "first": 1,
        "best": 1,
    }
    image = drawn(Figure("linear-probe", "linear-probe", data, title="where", note="c3."))
    assert ends_white(image)
    marked = (np.abs(image.astype(int) - [0xFD, 0xF3, 0xDC]).max(axis=2) < 6).sum(axis=1)
    rows = np.flatnonzero(marked > image.shape[1] / 3)
    assert rows.min() > image.shape[0] / 2, "the second row, and not the first"
    low = data | {"layers": [layers[0] | {"low": 0.2}, layers[1]]}
    assert ends_white(drawn(Figure("linear-probe", "linear-probe", low, title="where")))


def test_the_scale_of_separation_has_whole_numbers(monkeypatch):
    layer = {"layer": "c", "kind": "ReLU", "accuracy": 0.25, "high": 0.7, "counts": [[0, 3, 1], [1, 2, 4]]}
    data = {"network": "n", "classes": ["4", "9"], "n": 4, "good": [False], "first": None, "best": 0}
    for low, marks in ((0.04, ["100 %", "80 %", "60 %", "40 %", "20 %", "0 %"]), (0.75, ["100 %", "90 %"])):
        figure = Figure("linear-probe", "linear-probe", data | {"layers": [layer | {"low": low}]}, title="where")
        said = words_of(figure, monkeypatch)
        assert [one for one in said if one.endswith("0 %")][: len(marks)] == marks


def test_the_column_of_layers_is_as_wide_as_their_names():
    name, kind = "blocks.11.depthwise.convolution", "depthwise convolution 5×5, stride 2"
    wide = column(["c1", name], ["ReLU", kind], 2.0)
    assert column(["c1"], ["ReLU"], 2.0) == 2.0 < wide < 3.8 == column(["x" * 99], [], 2.0)
    assert short(name, fitting(name, 9, wide - 0.1)) == name
    assert short(kind, fitting(kind, 7.5, wide - 0.1)) == kind


def test_many_layers_are_drawn_at_most_so_many_the_dead_ones_first():
    layer = {
        "kind": "ReLU", "units": 4, "zeros": 0.5, "dead": 0, "silent": 1, "mean": 0.1, "std": 1.0,
        "edges": [-1.0, 1.0], "counts": [0, 3, 1, 0], "outside": 0.0,
    }  # fmt: skip
    layers = [layer | {"layer": f"l{i}", "dead": int(i == 97)} for i in range(120)]
    kept = [one["layer"] for one in activations._chosen(layers)]
    assert len(kept) == activations.MOST
    assert (kept[0], kept[-1], "l97" in kept) == ("l0", "l119", True)
    figure = Figure("activations", "activations", {"network": "n", "layers": layers, "n": 5}, title="t", note="")
    assert ends_white(drawn(figure))


def test_what_is_below_zero_has_a_true_minus(monkeypatch):
    layer = {
        "layer": "l", "kind": "ReLU", "units": 4, "zeros": 0.5, "dead": 0, "silent": 1, "mean": 0.1, "std": 1.0,
        "edges": [-1.5, 1.0], "counts": [0, 3, 1, 0], "outside": 0.0,
    }  # fmt: skip
    figure = Figure("activations", "activations", {"network": "n", "layers": [layer], "n": 5}, title="t", note="")
    assert {"−1.5", "1"} <= set(words_of(figure, monkeypatch))
    cell = {"png": encoded(np.zeros((8, 8), np.uint8)), "id": "a", "label": "x", "value": -0.25, "size": [8, 8]}
    row = {
        "unit": 1,
        "label": "",
        "highest": -0.25,
        "dead": False,
        "most_common": None,
        "cells": [cell | {"frame": None}],
    }
    data = {"network": "n", "layer": "c", "kind": "k", "units": 1, "n": 5, "sees": [3, 3], "rows": [row]}
    assert "−0.25" in words_of(Figure("top-activations", "top-activations", data, title="t", note=""), monkeypatch)
    assert "(rank correlation −0.10)" in words_of(of_reasons(near=False, alike=-0.1), monkeypatch)


def test_units_that_say_nothing_are_called_dead():
    cell = {"png": encoded(np.zeros((8, 8), np.uint8)), "id": "a", "label": "x", "value": 1.0, "size": [8, 8]}
    alive = {"unit": 1, "label": "", "highest": 1.0, "dead": False, "most_common": ["x", 2]}
    rows = [
        alive | {"cells": [cell | {"frame": [0, 0, 3, 3]}, cell | {"frame": None, "label": None}]},
        alive | {"dead": True, "label": "a name", "most_common": None, "cells": [cell | {"frame": None}]},
    ]
    data = {"network": "n", "layer": "c", "kind": "k", "units": 2, "n": 5, "sees": [3, 3], "rows": rows}
    image = drawn(Figure("top-activations", "top-activations", data, title="t", note="Among 5."))
    assert ends_white(image)
    assert (np.abs(image.astype(int) - [0xE8, 0x59, 0x0C]).max(axis=2) < 20).any(), "the frame of what it sees"


def test_units_without_a_frame_are_said_to_see_the_whole_picture(monkeypatch):
    cell = {"png": encoded(np.zeros((8, 8), np.uint8)), "id": "a", "label": "x", "value": 1.0, "size": [8, 8]}
    for frame, whole in (([0, 0, 8, 8], True), ([0, 0, 3, 3], False), (None, False)):
        row = {"unit": 1, "label": "", "highest": 1.0, "dead": False, "most_common": None}
        row["cells"] = [cell | {"frame": frame}]
        data = {"network": "n", "layer": "c", "kind": "k", "units": 1, "n": 5, "sees": [3, 3], "rows": [row]}
        said = words_of(Figure("top-activations", "top-activations", data, title="t", note=""), monkeypatch)
        assert ("Each unit sees the whole picture." in said) == whole
        assert "Without a frame, the unit sees the whole picture." not in said
    row["cells"] = [cell | {"frame": [0, 0, 8, 8]}, cell | {"frame": [0, 0, 3, 3]}]
    said = words_of(Figure("top-activations", "top-activations", data, title="t", note=""), monkeypatch)
    assert "Without a frame, the unit sees the whole picture." in said


def test_a_long_number_leaves_the_name_of_its_class_less_room(monkeypatch):
    cell = {"png": encoded(np.zeros((8, 8), np.uint8)), "id": "a", "label": "automobile", "size": [8, 8], "frame": None}
    row = {"unit": 1, "label": "", "highest": 1.0, "dead": False, "most_common": None}
    row["cells"] = [cell | {"value": 1.0}, cell | {"value": -2.17e-7}]
    data = {"network": "n", "layer": "c", "kind": "k", "units": 1, "n": 5, "sees": [3, 3], "rows": [row]}
    said = words_of(Figure("top-activations", "top-activations", data, title="t", note=""), monkeypatch)
    names = [one for one in said if one.startswith("a")]
    assert len(names[0]) > len(names[1]) >= 3


def test_attention_lights_the_picture_where_it_looks():
    weights = np.zeros((4, 4))
    weights[0, 0] = 1.0
    row = {"layer": 1, "mean": weights.tolist(), "heads": [weights.tolist()] * 3, "many": 3, "reach": 1.5}
    picture = {
        "png": encoded(np.full((16, 16, 3), 200, np.uint8)),
        "id": "p",
        "label": None,
        "predicted": "a",
        "probability": 0.5,
    }
    data = {"network": "n", "layers": 1, "token": True, "side": 4, "rows": [row], "picture": picture}
    assert ends_white(drawn(Figure("attention", "attention", data, title="t", note="n.")))
    from pellucid.report.pictures import attention

    lit = attention._lit(np.full((16, 16), 200, np.uint8), weights)
    assert lit[0, 0, 0] > 150 > 60 > lit[-1, -1, 0]
    assert (attention._stretched(np.ones((2, 2))) == 0).all()


def of_film(maps: bool, epochs: int = 4, known: bool = True) -> Figure:
    rng = np.random.default_rng(0)
    frames = [
        {"epoch": i, "kernels": rng.normal(size=(2, 1, 3, 3)).tolist(),
         "maps": rng.normal(size=(2, 5, 5)).tolist() if maps else None, "probabilities": [0.25, 0.75],
         "accuracy": 0.5 + i / 20 if i and known else None}
        for i in range(epochs)
    ]  # fmt: skip
    data = {
        "network": "n", "layer": "c", "classes": ["a", "b"], "shown": [0, 1], "mean_kernels": not maps,
        "picture": {"png": encoded(np.zeros((8, 8), np.uint8)), "id": "p", "label": "b" if known else None},
        "largest_weight": 2.0, "largest_map": 2.0, "frames": frames,
    }  # fmt: skip
    return Figure("film", "film", data, title="How it learned")


@pytest.mark.parametrize("ending", [".webp", ".gif"])
def test_a_film_has_a_frame_for_every_epoch_and_the_last_one_stays(tmp_path, ending):
    path = pictures.draw(of_film(maps=True), tmp_path / f"film{ending}")
    with Image.open(path) as image:
        assert image.n_frames == 4
        assert image.format == ending[1:].upper()
        image.seek(3)
        image.load()
        assert image.info["duration"] >= 2000


def test_a_film_as_gif_keeps_the_colours_of_its_scales(tmp_path):
    figure = of_film(maps=True)
    leaves = np.random.default_rng(0).integers(0, 200, (64, 64, 3)) * [0.4, 1, 0.3]
    figure.data["picture"]["png"] = encoded(leaves.astype(np.uint8))
    with Image.open(pictures.draw(figure, tmp_path / "film.gif")) as image:
        for number in (0, 3):
            image.seek(number)
            shown = np.asarray(image.convert("RGB")).astype(int).reshape(-1, 3)
            for end in colours.colours(np.array([[-0.9, -0.5, 0.5, 0.9]]), 1.0)[0].astype(int):
                assert np.abs(shown - end).max(axis=1).min() < 24


def test_a_film_of_colours_says_all_of_what_they_mean(monkeypatch):
    figure = of_film(maps=True)
    figure.data["picture"] |= {"id": "p" * 30, "label": "b" * 16}
    for frame in figure.data["frames"]:
        frame["kernels"] = np.zeros((2, 3, 3, 3)).tolist()
    said = words_of(lambda: film._frame(figure, 0), monkeypatch)
    assert "Kernels in colour, grey is 0; maps: white is 0, red above, blue below; one scale over all epochs." in said
    assert f"The picture: {'p' * 30}, label '{'b' * 16}'." in said


def test_a_film_is_a_strip_too(tmp_path):
    long, short = drawn(of_film(maps=True, epochs=30)), drawn(of_film(maps=False, known=False))
    assert ends_white(long)
    assert ends_white(short)
    assert pictures.formats(of_film(maps=True)) == [".png", ".webp", ".gif"]
    assert pictures.draw(of_film(maps=False, known=False), tmp_path / "f.webp").stat().st_size > 500


def test_the_end_of_a_name_says_what_is_written(tmp_path):
    assert pictures.draw(of_graph(), tmp_path / "g.svg").read_text(encoding="utf-8").startswith("<svg")
    with Image.open(pictures.draw(of_graph(), tmp_path / "g.other")) as image:
        assert image.format == "PNG"
    with pytest.raises(UnknownNameError, match="There is no kind of figure named 'grph'"):
        pictures.formats(Figure("x", "grph", {}))


@pytest.mark.parametrize("frame", [(0, 0, 3, 3), (285, 285, 288, 288), (100, 7, 103, 10)])
def test_the_place_around_a_small_frame_lies_in_the_picture_and_holds_it(frame):
    from pellucid.report.pictures import top_activations

    cell = {"frame": frame, "size": (288, 200) if frame[3] < 200 else (288, 288)}
    assert top_activations._small(cell)
    top, left, side = top_activations._around(cell)
    assert 0 <= top <= frame[0]
    assert 0 <= left <= frame[1]
    assert frame[2] <= top + side <= cell["size"][0]
    assert frame[3] <= left + side <= cell["size"][1]
    assert side == 12
