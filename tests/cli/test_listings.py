from __future__ import annotations

from datetime import datetime

import pytest

from pellucid.cli import console, info
from pellucid.data.catalogue import DATASETS
from pellucid.networks.catalogue import NETWORKS
from pellucid.records import Findings, Metric, Model, Table, display
from pellucid.statistics.intervals import wilson


def test_datasets_lists_all_of_them_with_their_source(pellucid):
    done = pellucid("datasets")
    assert done.code == 0
    for name, entry in DATASETS.items():
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"{name} ")]
        assert entry.source in line
    rows = pellucid("datasets", "--json").findings["datasets"]["rows"]
    assert [row[0] for row in rows] == list(DATASETS)


def test_networks_lists_all_of_them_with_their_parameters(pellucid):
    done = pellucid("networks")
    for name, entry in NETWORKS.items():
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"{name} ")]
        assert str(entry.year) in line
        assert entry.good_for in line
    found = pellucid("networks", "--json").findings["networks"]
    assert [row[found["columns"].index("parameters")] for row in found["rows"]] == [
        entry.parameters for entry in NETWORKS.values()
    ]


def test_info_is_a_screenful(pellucid, model_file):
    done = pellucid("info", model_file)
    lines = done.out.splitlines()
    assert done.code == 0
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 200
    rows = {line[:13].strip(): line[13:] for line in lines}
    assert rows["Tells apart"] == "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    metric = Model.load(model_file).specification.metrics["validation_accuracy"]
    low, high = wilson(round(metric["value"] * 144), 144)
    numbers = f"{100 * metric['value']:.1f} % ({100 * low:.1f} to {100 * high:.1f}, n = 144)"
    assert rows["Accuracy"] == f"{numbers} on the validation pictures"
    date = datetime.fromtimestamp(model_file.stat().st_mtime).astimezone().strftime("%Y-%m-%d")
    assert rows["Trained"] == f"{date}, on 1,293 pictures of digits, 3 epochs, seed 0"
    assert rows["Network"] == "logistic-regression, 650 numbers"
    assert rows["Predict"] == f"pellucid predict {model_file} PICTURES"
    assert "sha256" not in done.out


def test_info_of_a_model_that_says_little_of_its_training(pellucid, model_file, tmp_path):
    model = Model.load(model_file)
    classes = tuple(f"class {i}" for i in range(10))
    bare = {
        "training": {"data": 3, "recipe": {"epochs": "many"}},
        "metrics": {},
        "classes": classes,
        "abstain_below": 0.5,
    }
    model = Model(model.specification.model_copy(update=bare), model.weights)
    done = pellucid("info", model.save(tmp_path / "bare.safetensors"))
    assert "Accuracy     not measured" in done.out
    assert "Not sure     if the probability is below 50.0 %" in done.out


def test_info_knows_the_backbone(pellucid):
    done = pellucid("info", "lite0")
    assert "1,000 classes: tench, goldfish" in done.out
    assert "and 980 more" in done.out


def test_info_all_prints_everything(pellucid, model_file):
    done = pellucid("info", model_file, "--all")
    assert done.code == 0
    lines = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in done.out.splitlines()}
    assert lines["network"] == "logistic-regression"
    assert lines["classes"] == "10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert lines["numbers"] == "650"
    assert lines["training recipe epochs"] == "3"
    assert lines["sha256"] == Model.load(model_file).sha256
    assert lines["measured validation accuracy"].endswith("(n = 144)")
    rows = dict(pellucid("info", model_file, "--json").findings["model"]["rows"])
    assert rows["preprocessing height"] == "8"


def test_info_names_the_class_that_a_model_needs(model_file):
    model = Model.load(model_file)
    named = model.specification.network.model_copy(
        update={"name": "custom", "source": "mynet.py:Net", "settings": {"width": 10_000}}
    )
    changed = Model(model.specification.model_copy(update={"network": named, "abstain_below": 0.5}), model.weights)
    rows = dict(info.describe(changed).rows)
    assert rows["needs the class"] == "mynet.py:Net"
    assert rows["setting width"] == "10,000"
    assert rows["abstains below"] == "0.5"


def test_a_table_lines_up(capsys):
    found = Table("t", ("name", "n", "share"), (("a", 5, None), ("long\nname", 12_345, 0.5)), "That is all.")
    console.table(found, as_json=False)
    assert capsys.readouterr().out == (
        "name             n  share\na                5\nlong\\nname  12,345  0.5\n\nThat is all.\n"
    )


def test_findings_without_anything_to_lay_them_out_are_plain_lines(capsys, monkeypatch):
    monkeypatch.delitem(display.VIEWS, "terminal", raising=False)
    console.emit(Findings((Metric("accuracy", 0.5, 2, unit="fraction"),), "digits"), as_json=False)
    assert capsys.readouterr().out == "digits\naccuracy 50.0 % (n = 2)\n"


def test_notes_go_to_standard_error(capsys):
    console.notes(["3 files left out"])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Note: 3 files left out\n")


def test_networks_with_a_name_prints_its_page(pellucid):
    assert "C1   6 kernels 5×5" in pellucid("networks", "lenet5").out
    assert pellucid("networks", "lenet5", "--json").findings["page"]["rows"][0][0] == "lenet5"
    done = pellucid("networks", "lenet")
    assert done.code == 2
    assert "Did you mean 'lenet5'" in done.sentence


def test_info_keeps_a_metric_with_its_interval_on_one_line(model_file):
    model = Model.load(model_file)
    metrics = {
        "test_accuracy": {"value": 0.9806, "low": 0.9602, "high": 0.9906, "n": 360},
        "test_base_rate": {"value": 0.1, "n": 360},
        "test_loss": {"value": 0.0612, "n": 360},
        "foreign": {"value": "much", "n": 3},
        "foreign too": {"deeper": {"value": 1}},
    }
    changed = Model(model.specification.model_copy(update={"metrics": metrics}), model.weights)
    assert [row for row in info.describe(changed).rows if row[0].startswith("measured")] == [
        ("measured foreign n", "3"),
        ("measured foreign value", "much"),
        ("measured foreign too deeper value", "1"),
        ("measured test accuracy", "98.1 % (96.0 to 99.1, n = 360)"),
        ("measured test base rate", "10.0 % (n = 360)"),
        ("measured test loss", "0.0612 nats (n = 360)"),
    ]


@pytest.mark.parametrize("given", ["nonsense", "foo"])
def test_no_name_is_suggested_that_is_far_off(pellucid, given):
    assert "Did you mean" not in pellucid("networks", given).sentence


def test_numbers_of_a_model_are_short_and_nothing_is_said_as_none(pellucid, model_file):
    rows = dict(pellucid("info", model_file, "--json").findings["model"]["rows"])
    assert len(rows["preprocessing mean"]) <= len("[0.123456]")
    assert "null" not in rows.values()
    assert "none" in rows.values()


def test_what_may_be_left_out_has_one_pair_of_brackets(pellucid):
    for command in ("networks", "runs"):
        assert "[[" not in pellucid(command, "--help").out
    page = pellucid("networks", "mine.py:Net").out
    assert "mine.py:Net is your own network, so it has no page; to check it: pellucid lint mine.py:Net" in page
