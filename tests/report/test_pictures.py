import base64
import importlib
import io
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pellucid.data.thumbnails import png_base64, thumbnail
from pellucid.errors import DataError, FormatError, StorageError, UnknownNameError
from pellucid.records import Figure, Findings, PictureFiles, Split
from pellucid.report import pictures
from pellucid.report.pictures import canvas
from pellucid.report.pictures.history import points

WRONG = (179, 38, 30)


def opened(figure):
    content = pictures.png(figure)
    assert content.startswith(b"\x89PNG")
    return Image.open(io.BytesIO(content)).convert("RGB")


def share_near(image, colour, within=12):
    distance = np.abs(np.asarray(image).astype(int) - colour).max(axis=2)
    return (distance <= within).mean()


def confusion(classes, counts):
    return Figure("confusion_matrix", "confusion-matrix", {"classes": classes, "counts": np.asarray(counts).tolist()})


@pytest.mark.parametrize("many", [2, 3, 10, 20, 21, 100])
def test_a_confusion_matrix_has_room_for_its_classes(many, recwarn):
    counts = np.eye(many, dtype=int) * 9000 + 1
    image = opened(confusion([f"class {i}" for i in range(many)], counts))
    assert 600 < image.width < 2600
    assert image.height < 2600
    assert share_near(image, (22, 75, 117), 40) > 0.001  # the diagonal, in blue
    assert not recwarn.list


def test_errors_are_seen_in_a_confusion_matrix():
    right = np.diag([50] * 10)
    wrong = right.copy()
    wrong[3, 5] = 50
    clean, stained = (opened(confusion(list("0123456789"), counts)) for counts in (right, wrong))
    red = (211, 84, 59)  # half of the pictures of a class
    assert share_near(clean, red, 30) == 0
    assert share_near(stained, red, 30) > 0.003
    assert clean.size == stained.size


def test_no_letter_is_drawn_outside_the_sheet():
    """The outermost pixels are blank, whatever the names."""
    for names in (["a" * 80, "b\nc"], ["蜜蜂" * 20, "🐝"], ["$x$", "100 %_^"]):
        image = np.asarray(opened(confusion(names, [[120_000, 3], [4, 5]])))
        for edge in (image[:3], image[-3:], image[:, :3], image[:, -3:]):
            assert (edge == 255).all()


def test_an_empty_row_has_no_recall_and_no_warning(recwarn):
    opened(confusion(["a", "b"], [[3, 1], [0, 0]]))
    assert not recwarn.list


@pytest.mark.parametrize("epochs", [1, 2, 12, 200])
def test_a_history_shows_both_lines(epochs, rows_of):
    data = {"rows": rows_of(epochs), "chosen_epoch": max(1, epochs // 2)}
    image = opened(Figure("history", "history", data))
    assert share_near(image, (31, 96, 145)) > 0.0002
    assert share_near(image, (138, 90, 0)) > 0.0002


def test_one_epoch_is_a_point_and_not_nothing(rows_of):
    one = rows_of(1)
    without = [{**one[0], "validation_loss": None, "validation_accuracy": float("nan")}]
    seen, unseen = (opened(Figure("h", "history", {"rows": rows})) for rows in (one, without))
    blue = (31, 96, 145)
    assert share_near(seen, blue) > 2 * share_near(unseen, blue)


def test_a_history_of_nothing_says_so():
    assert opened(Figure("history", "history", {"rows": []})).width > 500


def test_what_was_not_measured_is_left_out():
    rows = [{"epoch": 1, "x": 0.5}, {"epoch": 2, "x": None}, {"epoch": 3, "x": float("inf")}, {"epoch": 4, "x": 0.75}]
    assert points(rows, "x") == ([1, 4], [0.5, 0.75])


def test_errors_have_a_red_frame_and_right_ones_have_none(findings):
    cells = findings["predictions"].data["cells"]
    right = [cell for cell in cells if cell["label"] == cell["predicted"]]
    wrong = [cell for cell in cells if cell["label"] != cell["predicted"]]
    assert share_near(opened(Figure("p", "pictures", {"cells": right[:5]})), WRONG) == 0
    assert share_near(opened(Figure("p", "pictures", {"cells": wrong[:5]})), WRONG) > 0.005


def test_the_symbol_tells_errors_without_colour(monkeypatch, findings):
    """The same cell, once right and once wrong, differs in its letters too."""
    cell = findings["mistakes"].data["cells"][0]
    said = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda self, x, y, s, **how: said.append(s))
    for given in (cell["label"], cell["predicted"], None):
        pictures.png(Figure("p", "pictures", {"cells": [{**cell, "label": given}]}))
    assert [text for text in said if text.endswith((" 1", "sure")) or text == "1"] == [
        *("✗ 1", "41 % sure"),
        *("✓ 1", "label: 1", "41 % sure"),
        *("1", "41 % sure"),
    ]


def test_cells_without_a_picture_and_no_cells_at_all():
    nothing = opened(Figure("mistakes", "pictures", {"cells": []}, note="No mistake among 9 pictures."))
    cell = {"id": "scans/some very long name.png", "label": None, "predicted": "ant"}
    assert opened(Figure("p", "pictures", {"cells": [cell] * 9})).height > nothing.height


def test_pixels_of_small_pictures_stay_squares(findings):
    image = np.asarray(opened(Figure("p", "pictures", {"cells": findings["predictions"].data["cells"][:1]})))
    edge = round(1.02 * 144)
    square = image[round(1.02 * 144) + 8 : round(1.02 * 144) + edge - 8, 44 : 36 + edge - 8, 0]
    assert len(np.unique(square)) <= 17 + 8  # the 17 shades of the digits, and the few where pixels meet


def test_a_class_grid_names_counts_and_shows(digits):
    figure = pictures.class_grid(digits.train, per_class=4)
    assert figure.title == "Pictures of digits, train split"
    assert [row["class"] for row in figure.data["rows"]] == list(digits.classes)
    assert [row["count"] for row in figure.data["rows"]] == list(digits.train.counts().values())
    assert all(len(row["pictures"]) == 4 for row in figure.data["rows"])
    assert figure == pictures.class_grid(digits.train, per_class=4)
    shown = {row["pictures"][0] for row in figure.data["rows"]}
    assert len(shown) == 10
    assert opened(figure).width > 600
    assert Findings.from_json(json.loads(Findings((figure,)).dumps()))["class_grid"] == figure


def test_a_class_grid_shows_pictures_of_the_class_that_it_names(digits):
    figure = pictures.class_grid(digits.train, per_class=2)
    seven = canvas.decoded(figure.data["rows"][7]["pictures"][1])
    places = [i for i, picture in enumerate(digits.train.pictures) if np.array_equal(picture[0], seven)]
    assert [int(digits.train.labels[i]) for i in places] == [7]


def test_many_classes_and_empty_ones_are_said():
    names = tuple(f"c{i}" for i in range(40))
    split = Split("train", np.zeros((3, 3, 9, 5), np.uint8), np.array([0, 0, 39]), names)
    figure = pictures.class_grid(split)
    assert len(figure.data["rows"]) == 30
    assert figure.note == "The first 30 of 40 classes."
    assert figure.data["rows"][1] == {"class": "c1", "count": 0, "pictures": []}
    assert figure.title == "Pictures of train split"
    opened(figure)


def test_a_class_grid_names_what_cannot_be_read_and_goes_on(tmp_path):
    Image.new("RGB", (300, 200), (9, 99, 9)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:-40])
    files = PictureFiles((tmp_path / "bad.png", tmp_path / "good.png"), tmp_path)
    split = Split("train", files, np.array([0, 0]), ("leaf", "root"), np.array(["bad.png", "good.png"]))
    figure = pictures.class_grid(split)
    assert figure.note == "1 picture could not be read: bad.png."
    [shown] = figure.data["rows"][0]["pictures"]
    assert canvas.decoded(shown).shape == (43, 64, 3)
    with pytest.raises(FormatError, match=r"bad\.png"):
        thumbnail(split, 0)


def test_labels_are_needed(digits):
    with pytest.raises(DataError, match="have no labels"):
        pictures.class_grid(Split("new", digits.test.pictures, None, digits.classes))


def test_unknown_letters_dollars_and_newlines_raise_nothing(recwarn, caplog):
    names = ["蜜蜂\nbee", "🐝", "$\\frac{1$", "עכביש", "x" * 300, "a\u202eb"]
    cells = [{"id": name, "label": names[0], "predicted": name, "probability": 0.5} for name in names]
    rows = [{"class": name, "count": 1, "pictures": []} for name in names]
    grid = {"rows": rows, "n": 6, "classes": 6}
    with caplog.at_level(logging.WARNING):
        opened(confusion(names, np.eye(6, dtype=int)))
        opened(Figure("p", "pictures", {"cells": cells}, title=names[2], note=names[0]))
        opened(Figure("g", "class-grid", grid, title=names[2]))
    assert not recwarn.list
    assert not caplog.records


def test_colour_pictures_keep_their_colours():
    red = np.zeros((3, 32, 32), np.uint8)
    red[0] = 250
    cells = [{"id": "a", "label": "x", "predicted": "x", "probability": 1.0, "png": png_base64(red)}]
    assert share_near(opened(Figure("p", "pictures", {"cells": cells})), (250, 0, 0)) > 0.03


def test_palettes_of_other_makers_can_be_drawn():
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, "PNG")
    assert canvas.decoded(base64.b64encode(stream.getvalue()).decode()).shape == (4, 4, 3)


def test_the_same_figure_is_the_same_file(findings, tmp_path):
    once, again = (pictures.draw(findings["confusion_matrix"], tmp_path / name) for name in ("a.png", "b.png"))
    assert once.read_bytes() == again.read_bytes()
    assert once.stat().st_size < 60_000


def test_nothing_is_shared_with_pyplot(findings):
    code = (
        "import sys, json; from pathlib import Path; from pellucid.records import Figure;"
        "import pellucid.report.pictures as pictures; assert 'matplotlib' not in sys.modules;"
        "pictures.png(Figure('h', 'history', {'rows': [{'epoch': 1, 'train_loss': 1.0}]}));"
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_kinds_and_folders_are_one_sentence(findings, tmp_path):
    with pytest.raises(UnknownNameError, match=r"no kind of figure named 'confusion-matrx'. Did you mean 'confusion-m"):
        pictures.png(Figure("x", "confusion-matrx", {}))
    with pytest.raises(StorageError, match="there is no folder"):
        pictures.draw(findings["mistakes"], tmp_path / "nowhere" / "x.png")


def test_every_kind_is_registered_under_a_module_that_draws():
    for module in pictures.PICTURES.values():
        assert callable(importlib.import_module(module).png)
