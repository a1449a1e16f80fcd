"""`pellucid audit`."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

GATE = "accuracy>=0.9 by sex,skin"


@pytest.fixture
def shades(tmp_path):
    """Predictions of another tool: 99 % right on three groups, 65 % on the fourth."""

    def write(right: int, n: int):
        random = np.random.default_rng(0)
        path = tmp_path / "predictions.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["id", "label", "no", "yes", "sex", "skin"])
            groups = [("m", "l", 495, 500), ("m", "d", 396, 400), ("f", "l", 396, 400), ("f", "d", right, n)]
            for sex, skin, hits, size in groups:
                for i in range(size):
                    label = int(random.integers(2))
                    yes = 0.9 if (label == 1) == (i < hits) else 0.1
                    out.writerow([f"{sex}{skin}{i}", ["no", "yes"][label], 1 - yes, yes, sex, skin])
        return path

    return write


def test_a_hidden_group_is_named_and_fails_the_build(pellucid, shades):
    done = pellucid("audit", shades(52, 80), "--require", GATE)
    assert done.code == 1
    assert "sex=f, skin=d is below: 52 of 80, 65.0 % (54.1 to 74.5)" in done.out
    assert "Worst group: sex=f, skin=d" in done.out
    assert len(done.out.splitlines()) <= 24, "one screen"


def test_too_few_to_say_fails_too(pellucid, shades):
    done = pellucid("audit", shades(10, 12), "--require", GATE)
    assert done.code == 1
    assert "too few to say" in done.out


def test_without_a_requirement_an_alarm_is_no_failure(pellucid, shades):
    done = pellucid("audit", shades(52, 80), "--json")
    assert done.code == 0
    assert done.findings["groups"]["level"] == "error"


def test_a_model_is_audited_on_its_data(pellucid, model_file, tmp_path):
    out = tmp_path / "audit"
    done = pellucid("audit", model_file, "digits", "--out", out)
    assert done.code == 0, done.err
    assert "Audit: digits, test" in done.out
    assert json.loads((out / "findings.json").read_text(encoding="utf-8"))["version"] == 2


def test_mistakes_in_the_command_are_sentences(pellucid, model_file, tmp_path):
    assert "Give the data" in pellucid("audit", model_file).sentence
    assert "There is no file" in pellucid("audit", tmp_path / "none.csv").sentence
    assert "Did you mean 'groups'" in pellucid("audit", model_file, "digits", "--check", "group").sentence
    assert "no column 'sex'" in pellucid("audit", model_file, "digits", "--require", GATE).sentence
