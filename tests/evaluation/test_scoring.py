import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import DataError
from pellucid.evaluation import evaluate
from pellucid.records import Findings, Metric, PictureFiles, Predictions, Split
from pellucid.statistics.intervals import f1, wilson

CLASSES = ("ant", "bee", "moth")


def predictions(probabilities, labels, classes=CLASSES, dataset="", split="", unreadable=()):
    probabilities = np.array(probabilities, dtype=np.float32)
    ids = np.array([f"test/{i}" for i in range(len(probabilities))])
    return Predictions(
        ids,
        probabilities,
        classes,
        None if labels is None else np.array(labels),
        dataset=dataset,
        split=split,
        unreadable=dict.fromkeys(unreadable, "cut off"),
    )


@pytest.fixture
def four():
    """Two right, one wrong at 0.9, one wrong at 0.6; 'moth' is never given."""
    rows = [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [0.05, 0.05, 0.9]]
    return predictions(rows, [0, 1, 0, 0], dataset="insects", split="test")


@pytest.fixture
def pictures():
    shades = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * 60
    return Split("test", np.broadcast_to(shades, (4, 1, 8, 6)).copy(), np.array([0, 1, 0, 0]), CLASSES)


def test_findings_come_in_their_order_and_say_their_n(four):
    found = evaluate(four)
    assert [item.name for item in found] == [
        *("accuracy", "balanced_accuracy", "base_rate", "loss", "brier", "sample_size"),
        *("per_class", "confusions", "confusion_matrix", "reliability", "mistakes", "predictions"),
    ]
    assert found.title == "insects, test split"
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.n, accuracy.unit) == (0.5, 4, "fraction")
    assert (accuracy.low, accuracy.high) == (pytest.approx(0.150, abs=1e-3), pytest.approx(0.850, abs=1e-3))
    assert str(found["base_rate"]) == "base rate 75.0 % (n = 4): always predicting 'ant'"
    assert found["loss"].value == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.05]).mean())
    assert found["loss"].unit == "nats"
    assert found["confusions"].rows == (("ant", "bee", 1), ("ant", "moth", 1))
    assert found["confusion_matrix"].data == {
        "classes": list(CLASSES),
        "counts": [[1, 1, 1], [0, 1, 0], [0, 0, 0]],
        "dataset": "insects",
        "split": "test",
    }


def test_undefined_scores_are_none_and_are_said(four):
    table = evaluate(four)["per_class"]
    assert table.columns[:6] == ("class", "precision %", "recall %", "F1 %", "n", "predicted")
    assert table.columns[6:8] == ("precision low %", "precision high %")
    assert table.rows[0][:6] == ("ant", 1.0, pytest.approx(1 / 3), pytest.approx(0.5), 3, 1)
    assert table.rows[0][8:10] == pytest.approx(wilson(1, 3))
    assert table.rows[0][10:] == pytest.approx(f1(1, 3, 1))
    assert table.rows[2][:6] == ("moth", 0.0, None, 0.0, 0, 1)
    assert table.rows[2][8:10] == (None, None)
    assert "No pictures, so no recall: 'moth'." in table.note
    never = evaluate(predictions([[1, 0, 0], [1, 0, 0]], [0, 1]))["per_class"]
    assert never.rows[2] == ("moth", None, None, None, 0, 0, *[None] * 6)
    assert "Never predicted, so no precision: 'bee', 'moth'." in never.note


def test_long_lists_of_absent_classes_are_counted():
    names = tuple(f"c{i}" for i in range(30))
    rows = np.eye(30)[:2]
    assert "'c10', 'c11' and 18 more" in evaluate(predictions(rows, [0, 1], names))["per_class"].note


def test_top_5_appears_only_with_more_than_five_classes():
    for count, expected in ((5, False), (6, True)):
        names = tuple(f"c{i}" for i in range(count))
        rows = np.tile(np.arange(count, 0, -1) / (count * (count + 1) / 2), (2, 1))
        found = evaluate(predictions(rows, [0, count - 1], names))
        assert ("top_5_accuracy" in found) is expected
    assert found["top_5_accuracy"].value == 0.5  # the sixth of six is not among five
    assert found["top_5_accuracy"].low == pytest.approx(found["accuracy"].low)


def test_mistakes_are_the_most_confident_first_with_their_pictures(four, pictures):
    found = evaluate(four, pictures)
    cells = found["mistakes"].data["cells"]
    assert [cell["id"] for cell in cells] == ["test/3", "test/2"]
    assert cells[0]["label"] == "ant"
    assert cells[0]["predicted"] == "moth"
    assert cells[0]["probability"] == pytest.approx(0.9)
    picture = Image.open(io.BytesIO(base64.b64decode(cells[0]["png"])))
    assert picture.size == (6, 8)
    assert np.unique(np.asarray(picture)).tolist() == [180]
    assert found["mistakes"].note == "Both mistakes among 4 pictures, the most confident first."
    fewer = evaluate(four, pictures, mistakes=1)["mistakes"]
    assert len(fewer.data["cells"]) == 1
    assert fewer.note == "The most confident of 2 mistakes among 4 pictures."


def test_pictures_are_found_by_id_and_not_by_place(four, pictures):
    turned = evaluate(four, pictures.take([3, 1, 0, 2]))
    assert turned == evaluate(four, pictures)


def test_without_pictures_the_cells_have_none(four):
    assert all("png" not in cell for cell in evaluate(four)["mistakes"].data["cells"])


def test_what_could_not_be_read_is_said_beside_the_accuracy():
    for names, said in (
        (["a"], "without 1 unreadable picture"),
        (["a", "b"], "without 2 unreadable pictures"),
    ):
        assert said in str(evaluate(predictions([[1, 0, 0]], [0], unreadable=names)))


def test_one_mistake_is_not_one_mistakes():
    assert evaluate(predictions([[1, 0, 0]] * 2, [0, 1]))["mistakes"].note == "The only mistake among 2 pictures."


def test_no_mistakes_is_said():
    assert evaluate(predictions([[1, 0, 0]], [0]))["mistakes"].note == "No mistake among 1 picture."


def test_the_sample_is_the_same_every_time_and_says_what_it_is():
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 200)
    rows = np.eye(3)[np.where(random.random(200) < 0.9, labels, (labels + 1) % 3)]
    once, again = (evaluate(predictions(rows, labels))["predictions"] for _ in range(2))
    assert once == again
    assert once.note == "Drawn at random: 16 right, 8 wrong; not in their true proportion."
    ids = [cell["id"] for cell in once.data["cells"]]
    assert len(set(ids)) == 24
    assert sum(cell["label"] != cell["predicted"] for cell in once.data["cells"]) == 8


def test_large_pictures_are_reduced_and_colour_stays(tmp_path):
    image = np.zeros((1, 3, 100, 200), dtype=np.uint8)
    image[:, 0] = 200
    split = Split("test", image, np.array([0]), CLASSES)
    cell = evaluate(predictions([[0.2, 0.8, 0]], [0]), split)["mistakes"].data["cells"][0]
    picture = Image.open(io.BytesIO(base64.b64decode(cell["png"])))
    assert picture.size == (96, 48)
    assert picture.getpixel((40, 20)) == (200, 0, 0)


def test_pictures_in_files_are_decoded(tmp_path):
    Image.new("RGB", (20, 10), (0, 0, 250)).save(tmp_path / "a.png")
    files = PictureFiles((tmp_path / "a.png",), tmp_path)
    split = Split("test", files, np.array([0]), CLASSES)
    cell = evaluate(predictions([[0.2, 0.8, 0]], [0]), split)["mistakes"].data["cells"][0]
    assert Image.open(io.BytesIO(base64.b64decode(cell["png"]))).getpixel((3, 3)) == (0, 0, 250)


def test_many_kinds_of_confusion_are_cut_with_a_note():
    names = tuple(f"c{i:02}" for i in range(60))
    table = evaluate(predictions(np.roll(np.eye(60), 1, axis=1), np.arange(60), names))["confusions"]
    assert len(table.rows) == 50
    assert table.note == "The 50 most frequent; 10 more kinds (10 mistakes) not listed."


def test_json_holds_all_and_no_nan(four, pictures):
    found = evaluate(four, pictures)
    assert Findings.from_json(json.loads(found.dumps())) == found
    assert json.loads(found.dumps())["findings"][0] == {
        "name": "accuracy",
        "value": 0.5,
        "n": 4,
        "low": found["accuracy"].low,
        "high": found["accuracy"].high,
        "unit": "fraction",
        "method": "Wilson",
    }


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (
            lambda: predictions([[1, 0, 0]], None, dataset="scans"),
            "The labels of 1 picture of 'scans' are unknown",
        ),
        (lambda: predictions(np.zeros((0, 3)), []), "There is nothing to score"),
        (
            lambda: predictions([[1, 0, 0], [np.nan] * 3], [0, 1]),
            "The probabilities are infinite or NaN for 1 of 2 pictures",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(case, sentence):
    with pytest.raises(DataError, match=f"^{sentence}"):
        evaluate(case())


def test_pictures_of_something_else_are_refused(four, pictures):
    with pytest.raises(DataError, match=r"'test/0' is not among the 2 pictures of 'test'"):
        evaluate(four, pictures.take([1, 2]))


def test_is_public():
    assert pellucid.evaluate is evaluate


def test_the_balanced_accuracy_is_said_for_two_or_more_classes(four):
    balanced = evaluate(four)["balanced_accuracy"]
    assert balanced.value == pytest.approx((1 / 3 + 1) / 2), "of the two classes that are given"
    assert balanced.low < balanced.value < balanced.high <= 1
    assert "the mean recall of 2 classes" in balanced.note
    even = predictions([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], [0, 1])
    assert evaluate(even)["balanced_accuracy"].value == 1
    alone = predictions([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], [0, 0])
    assert "balanced_accuracy" not in evaluate(alone)


def test_every_number_but_the_base_rate_has_its_interval_and_method(four):
    for item in evaluate(four):
        if isinstance(item, Metric) and item.name != "base_rate":
            assert item.low is not None and item.low <= item.value <= item.high, item
            assert item.method and item.n == 4


def test_a_bare_answer_has_no_loss():
    found = evaluate(predictions([[1, 0, 0], [0, 1, 0]], [0, 1]))
    assert "loss" not in found and "brier" not in found


def test_few_pictures_are_put_in_words_and_how_many_more_would_help():
    rows = [[0.8, 0.2, 0.0]] * 9 + [[0.2, 0.8, 0.0]] * 11
    remark = evaluate(predictions(rows, [0] * 10 + [1] * 9 + [0]))["sample_size"]
    assert remark.text == "18 of 20 right: anywhere between 70 % and 97 %."
    assert remark.advice == "To know it to within 5 points, collect about 130 more test pictures."
    unclear = evaluate(predictions(rows, [0] * 14 + [1] * 6))["sample_size"]
    assert "not shown to be better than always predicting the most frequent class" in unclear.text
    many = predictions(rows * 100, ([0] * 10 + [1] * 9 + [0]) * 100)
    assert "sample_size" not in evaluate(many)
