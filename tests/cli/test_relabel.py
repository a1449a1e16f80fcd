"""`pellucid relabel`, and the commands that take its table."""

from __future__ import annotations


def test_train_evaluate_and_check_take_the_new_table(pellucid, class_folders, tmp_path):
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("id,decision\nbright/00.png,dark\ndark/00.png,remove\n", encoding="utf-8")
    table, run = tmp_path / "corrected.csv", tmp_path / "run"
    done = pellucid("relabel", class_folders, decisions, "--out", table)
    assert done.code == 0, done.err
    assert done.out.startswith("1 labels changed, 1 pictures removed")
    trained = pellucid("train", table, "--network", "logistic-regression", "--size", 16, "--epochs", 1, "--out", run)
    assert trained.code == 0, trained.err
    assert pellucid("evaluate", run, table, "--json").findings["accuracy"]["n"] > 0
    assert "23" in pellucid("check", table).out


def test_a_missing_table_is_a_sentence(pellucid, class_folders, tmp_path):
    assert "There is no table of decisions" in pellucid("relabel", class_folders, tmp_path / "none.csv").sentence
