from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.records import Predictions
from pellucid.statistics.comparison import mcnemar, tango


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, Path]:
    """Two runs on digits, the second of a better network."""
    import pellucid
    from pellucid.workflows.train import run

    folder = tmp_path_factory.mktemp("runs")
    data = pellucid.load("digits")
    weak = run(data, "logistic-regression", epochs=2, out=folder / "weak", report=False, progress=False)
    strong = run(data, "mlp", epochs=3, out=folder / "strong", report=False, progress=False)
    return weak.folder.path, strong.folder.path


def counts(two: tuple[Path, Path]) -> tuple[int, int]:
    """On how many pictures only the first is right, and only the second, counted by hand from the two files."""
    a, b = (Predictions.load(path / "predictions.parquet") for path in two)
    right_a = {name: p == label for name, p, label in zip(a.ids, a.predicted, a.labels, strict=True)}
    right_b = {name: p == label for name, p, label in zip(b.ids, b.predicted, b.labels, strict=True)}
    return sum(right_a[n] and not right_b[n] for n in right_a), sum(right_b[n] and not right_a[n] for n in right_a)


def test_the_better_one_is_named_first_of_all(pellucid, two):
    only_a, only_b = counts(two)
    done = pellucid("compare", *two)
    assert (done.code, done.err) == (0, "")
    verdict = " ".join(done.out.split())
    assert f"B is right on {only_b} pictures that A gets wrong, A on {only_a} that B gets wrong; B is better" in verdict
    assert "accuracy" in done.out.lower()
    assert "difference" in done.out.lower()
    assert "n = 360" in done.out


def test_json_has_everything(pellucid, two):
    only_a, only_b = counts(two)
    found = pellucid("compare", *two, "--json").findings
    assert (found["difference"]["low"], found["difference"]["high"]) == tango(only_a, only_b, 360)
    assert found["p_value"]["value"] == mcnemar(only_a, only_b)
    assert [row[1] for row in found["compared"]["rows"]] == [str(path) for path in two]
    assert len(found["disagreements"]["rows"]) >= only_a + only_b
    assert [row[-1] for row in found["disagreements"]["rows"]].count("A") == only_a


def test_files_of_predictions_will_do(pellucid, two):
    files = [path / "predictions.parquet" for path in two]
    assert pellucid("compare", *files).out.splitlines()[0] == pellucid("compare", *two).out.splitlines()[0]


def test_a_run_beside_itself(pellucid, two):
    done = pellucid("compare", two[0], two[0])
    assert "no difference can be shown with n = 360" in " ".join(done.out.split())
    found = pellucid("compare", two[0], two[0], "--json").findings
    assert found["compared"]["note"] == "A and B are the same model."


def changed(path: Path, to: Path, **changes: object) -> Path:
    """A copy of a run whose predictions are others."""
    shutil.copytree(path, to)
    predictions = Predictions.load(path / "predictions.parquet")
    replace(predictions, **changes).save(to / "predictions.parquet")
    return to


def test_data_of_another_name_but_the_same_content_is_the_same(pellucid, two, tmp_path):
    other = changed(two[1], tmp_path / "other", dataset="renamed")
    assert pellucid("compare", two[0], other).code == 0
    (other / "run.json").unlink()
    done = pellucid("compare", two[0], other)
    assert done.code == 1
    assert done.sentence.startswith("A was scored on 'digits', B on 'renamed'; a comparison needs the same pictures.")


def test_data_that_changed_in_between_is_said(pellucid, two, tmp_path):
    other = changed(two[1], tmp_path / "other")
    run = other / "run.json"
    text = run.read_text(encoding="utf-8")
    run.write_text(text.replace('"fingerprint": "', '"fingerprint": "0'), encoding="utf-8")
    done = pellucid("compare", two[0], other)
    assert done.code == 0
    assert done.err.startswith("Note: the two runs were trained on different pictures or splits")


def test_a_damaged_description_leaves_the_predictions(pellucid, two, tmp_path):
    other = changed(two[1], tmp_path / "other")
    for content in ("[]", '{"data": 3}'):
        (other / "run.json").write_text(content, encoding="utf-8")
        assert pellucid("compare", two[0], other).code == 0


@pytest.mark.parametrize("what", ["nothing", "empty folder", "no predictions", "half", "text"])
def test_what_cannot_be_compared(pellucid, two, tmp_path, what):
    place = tmp_path / "it"
    if what == "empty folder":
        place.mkdir()
    elif what == "no predictions":
        shutil.copytree(two[1], place)
        (place / "predictions.parquet").unlink()
    elif what == "half":
        content = (two[1] / "predictions.parquet").read_bytes()
        place.write_bytes(content[: len(content) // 2])
    elif what == "text":
        place.write_text("id,label", encoding="utf-8")
    done = pellucid("compare", two[0], place)
    assert done.code == 1
    expected = {
        "nothing": "does not exist.",
        "empty folder": "has neither a model nor predictions.parquet: it is no run folder, or its training is not over",
        "no predictions": f"pellucid evaluate {place} DATA --out FOLDER",
    }
    assert expected.get(what, "is not a predictions file of Pellucid") in done.sentence
    assert str(place) in done.sentence


def test_a_table_for_other_programs_is_not_compared(pellucid, two, tmp_path):
    (tmp_path / "p.csv").write_text("id,rank,class,probability", encoding="utf-8")
    done = pellucid("compare", two[0], tmp_path / "p.csv")
    assert done.code == 2
    assert "p.csv is a table for other programs, but predictions are compared as Parquet." in done.sentence
    assert "pellucid evaluate MODEL DATA --out FOLDER" in done.sentence
