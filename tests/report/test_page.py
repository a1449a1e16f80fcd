import base64
import html
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from pellucid.errors import StorageError
from pellucid.evaluation import evaluate
from pellucid.records import Figure, Findings, Metric, Predictions, Table
from pellucid.report import page
from pellucid.report.page import history_figure

VOID = {"meta", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """What a machine sees of the page: that its tags close, its headings, its ids, what it would load."""

    def __init__(self, text) -> None:
        super().__init__()
        self.open, self.tags, self.headings, self.ids, self.loads, self.images = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "img":
            self.images.append(attributes)
        self.loads += [attributes[key] for key in ("src", "href", "action", "srcset") if attributes.get(key)]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def full(findings, rows_of, about):
    return page.render(Findings((*findings, history_figure(rows_of(12), 9)), findings.title), about=about)


def words(text):
    text = re.sub(r"<(style|script)>.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_is_whole_self_contained_and_well_ordered(full):
    outline = Outline(full)
    assert {"header", "nav", "main", "footer", "h1", "title"} <= set(outline.tags)
    assert '<html lang="en">' in full
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(outline.ids) == len(set(outline.ids))
    for place in outline.loads:
        assert place.startswith(("data:", "#"))
        if place.startswith("#"):
            assert place[1:] in outline.ids
    assert "http:" not in full
    assert "https:" not in full
    assert "url(" not in full


def test_every_picture_opens_and_has_words_for_who_cannot_see_it(full):
    images = Outline(full).images
    assert len(images) == 24 + 24 + 3
    for image in images:
        assert len(image["alt"]) > 10
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))))
        picture.load()
    matrix = next(image for image in images if "diagonal" in image["alt"])
    assert matrix["alt"].endswith("a table of 10 by 10 classes with 333 of 360 on its diagonal.")


def test_the_main_number_comes_with_its_interval_n_and_base_rate(full):
    text = words(full)
    assert "92.5 %" in text
    assert "Right on 333 of 360 test pictures" in text
    assert "between 89.3 and 94.8 % (95 % Wilson interval, n = 360)" in text
    assert "always predicting &#39;3&#39; would be right 10.3 % of the time" in text


def test_says_what_was_trained_and_how_to_repeat_and_use_it(full, about):
    text = words(full)
    for expected in (
        "convnet on digits",
        "29,034",
        "pellucid train digits --network convnet --epochs 12 --seed 0",
        about["data"]["fingerprint"],
        "torch 2.14.1",
        "Optimizer: weight decay",
        "144 pictures of the training split were set aside for validation.",
        "here epoch 9 of 12",
        "pellucid predict model.safetensors PICTURES/",
        "The 24 most confident of 27 mistakes among 360 pictures.",
    ):
        assert expected in text


def test_a_run_without_a_test_split_says_what_is_shown_instead(predictions, digits, about):
    fields = {name: getattr(predictions, name) for name in ("ids", "probabilities", "classes", "labels", "dataset")}
    text = words(page.render(evaluate(Predictions(**fields, split="validation"), digits.test), about=about))
    assert (
        "There are no test pictures. The numbers are from the validation pictures, which also chose the best epoch"
        in text
    )
    assert "Right on 333 of 360 validation pictures" in text
    text = words(page.render(evaluate(Predictions(**fields, split="train")), about=about))
    assert "which the model learned from, so they are too good" in text


def test_an_interrupted_training_says_so(findings, about):
    assert "This training was interrupted" in page.render(findings, about=about | {"interrupted": True})
    assert "was interrupted" not in page.render(findings, about=about)


def test_a_model_no_better_than_guessing_is_told_so():
    base = Metric("base_rate", 0.5, 10, unit="fraction", note="always saying 'ant'")
    poor = Findings((Metric("accuracy", 0.6, 10, 0.31, 0.83, unit="fraction", note="2 are not counted"), base))
    text = words(page.render(poor))
    assert "The model is not clearly better than that." in text
    assert "2 are not counted." in text
    bare = words(page.render(Findings((Metric("accuracy", 0.6, 10, unit="fraction"),))))
    assert "Right on 6 of 10 pictures" in bare
    assert "interval" not in bare


def test_unknown_findings_are_shown_too(rows_of):
    table = Table("near_duplicates", ("left", "right", "alike %"), (("a", "b", 0.991), ("c", "d", None)), "Two pairs.")
    figures = [Figure("curve", "history", {"rows": rows_of(3)}), Figure("odd", "hologram", {})]
    text = page.render(
        Findings((table, *figures, Metric("seconds", 1.5, 3, unit="seconds"), Table("none", ("a",), ())))
    )
    for expected in (
        "Near duplicates",
        "99.1",
        "Two pairs.",
        "cannot draw a &#39;hologram&#39;",
        "1.5 seconds",
        "None.",
    ):
        assert expected in text


def test_names_are_text_and_never_markup(about):
    evil = '<img src=x onerror="alert(1)">\u202e\n'
    cell = {"id": evil, "label": evil, "predicted": "b", "probability": 0.5}
    found = Findings(
        (
            Table("per_class", ("class", "n"), ((evil, 1),), evil),
            Figure("mistakes", "pictures", {"cells": [cell]}, evil, evil),
            Metric("accuracy", 0.5, 2, 0.1, 0.9, unit="fraction", note=evil),
        ),
        title=evil,
    )
    about = {"data": {"name": evil, "notes": [evil], "classes": [evil]}, "network": {"name": evil}, "command": evil}
    text = page.render(found, about=about)
    assert "<img" not in text
    assert "\u202e" not in text
    assert "&lt;img src=x" in text
    Outline(text)


def test_settings_are_read_as_words():
    recipe = {
        "clip": None,
        "loss": None,
        "nested": {"on": True, "off": False},
        "betas": [0.9, 0.999],
        "empty": [],
        "rate": 1 / 3,
    }
    text = words(
        page.render(Findings(), about={"loss": "hinge", "recipe": recipe, "network": {"notes": ["28×28 is padded."]}})
    )
    for expected in (
        "Clip none",
        "Loss hinge",
        "Nested: on yes",
        "Nested: off no",
        "Betas 0.9, 0.999",
        "Empty none",
        "Rate 0.333333",
    ):
        assert expected in text
    assert "28×28 is padded." in text


def test_many_classes_are_counted(about):
    about = {"data": {"classes": [f"c{i}" for i in range(100)], "sizes": {"train": "many"}}}
    assert "and 60 more" in page.render(Findings(), about=about)


def test_is_written_whole_or_not_at_all(tmp_path, findings):
    path = page.write(findings, tmp_path / "page.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(StorageError):
        page.write(findings, tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("pellucid train digits --out run --seed 1", "pellucid train digits --seed 1 --threads 2"),
        ("pellucid train digits --out=run", "pellucid train digits --threads 2"),
        ("pellucid train 'my photos' --threads 1", "pellucid train 'my photos' --threads 1"),
        ("pellucid train digits --threads=4 --out --out", "pellucid train digits --threads=4"),
        ("python mine.py --out run", "python mine.py --out run"),
        ("pellucid train 'no end", "pellucid train 'no end"),
    ],
)
def test_the_command_to_repeat_it_does_so_beside_the_run_that_is_there(command, again):
    content = html.unescape(page.render(Findings(), about={"command": command, "threads": 2}))
    assert f"<code>{again}</code>" in content


def test_threads_that_are_not_known_are_left_out():
    assert "--threads" not in page.render(Findings(), about={"command": "pellucid train digits"})


def test_fine_tuning_that_did_no_good_says_what_is_kept(findings, rows_of, about):
    given = Findings((*findings, history_figure(rows_of(1), 0)), findings.title)
    text = words(page.render(given, about={**about, "chosen_epoch": 0}))
    assert "None was better than the model at the start, which is kept." in text
    assert "epoch 0" not in text
