"""Predictions: what is written to Parquet comes back as it was, and damage is named."""

from __future__ import annotations

import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, FormatError
from pellucid.records import Predictions

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["a=b", "x,y", "p:q", "label", "id", "column:a", "猫", "🙂", "", " ", "a/b", "a\nb", "null"]
)


def predictions(classes: tuple[str, ...] = ("a", "b"), n: int = 4, **more: Any) -> Predictions:
    generator = np.random.default_rng(0)
    raw = generator.uniform(size=(n, len(classes))).astype(np.float32) + 0.01
    return Predictions(
        ids=np.array([f"test/{i}" for i in range(n)]),
        probabilities=raw / raw.sum(axis=1, keepdims=True),
        classes=classes,
        **more,
    )


def assert_same(found: Predictions, wanted: Predictions) -> None:
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
    assert found.probabilities.dtype == np.float32
    assert found.classes == wanted.classes
    assert (found.labels is None) == (wanted.labels is None)
    if wanted.labels is not None:
        np.testing.assert_array_equal(found.labels, wanted.labels)
        assert found.labels.dtype == np.int64
    assert found.columns.keys() == wanted.columns.keys()
    for name, values in wanted.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
        assert found.columns[name].dtype.kind == values.dtype.kind
    for name in ("dataset", "split", "model", "unreadable"):
        assert getattr(found, name) == getattr(wanted, name)


@settings(max_examples=40, deadline=None)
@given(classes=st.lists(NAMES, min_size=2, max_size=5, unique=True), n=st.integers(0, 4), labelled=st.booleans())
def test_any_class_names_come_back(classes, n, labelled):
    wanted = predictions(tuple(classes), n, labels=np.arange(n) % len(classes) if labelled else None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        wanted.save(path)
        assert_same(Predictions.load(path), wanted)


def test_everything_else_comes_back(tmp_path):
    wanted = predictions(
        columns={
            "patient": np.array(["p1", "p2", "p1", "ü"]),
            "age": np.array([1, 2, 3, 4]),
            "score": np.array([0.5, 1.5, 2.5, -1]),
            "known": np.array([True, False, True, True]),
        },
        dataset="digits",
        split="test",
        model="ab" * 32,
        unreadable={"broken.png": "it is cut off"},
    )
    path = tmp_path / "p.parquet"
    wanted.save(path)
    assert_same(Predictions.load(path), wanted)


def test_the_columns_can_be_read_by_others(tmp_path):
    wanted = predictions(("cat", "dog"), 3, labels=np.array([0, 1, 1]))
    wanted.save(tmp_path / "p.parquet")
    table = parquet.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["id", "predicted", "confidence", "label", "p:cat", "p:dog"]
    assert table["predicted"].to_pylist() == [wanted.classes[i] for i in wanted.predicted]
    assert table["label"].to_pylist() == ["cat", "dog", "dog"]
    np.testing.assert_array_equal(table["confidence"].to_numpy(), wanted.probabilities.max(axis=1))


def test_the_most_probable_come_first_and_ties_keep_the_order_of_the_classes():
    found = Predictions(np.array(["a", "b"]), np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]], np.float32), ("x", "y", "z"))
    assert found.top(2).tolist() == [[1, 2], [0, 2]]
    assert found.top(9).shape == (2, 3)
    assert found.predicted.tolist() == [1, 0]
    np.testing.assert_array_equal(found.confidence, np.array([0.5, 0.4], np.float32))
    assert len(found) == 2
    assert repr(found) == "Predictions(2 pictures, 3 classes, labels unknown)"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"probabilities": np.zeros((4, 3), np.float32)}, "(4, 2)"),
        ({"classes": ("a", "a")}, "'a' occurs twice"),
        ({"labels": np.zeros(3, np.int64)}, "4 predictions, but 3 labels"),
        ({"columns": {"age": np.zeros(5)}}, "4 predictions, but 5 age"),
    ],
)
def test_inconsistent_arrays_are_refused(change, part):
    good = predictions()
    values = {"ids": good.ids, "probabilities": good.probabilities, "classes": good.classes} | change
    with pytest.raises(DataError) as caught:
        Predictions(**values)
    assert part in str(caught.value)


def test_damage_is_named_and_never_gives_other_numbers(tmp_path):
    path = tmp_path / "p.parquet"
    wanted = predictions(tuple("abcdefgh"), 200, labels=np.arange(200) % 8, columns={"age": np.arange(200)})
    wanted.save(path)
    content = path.read_bytes()
    dice = random.Random(1)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        try:
            found = Predictions.load(path)
        except FormatError:
            refused += 1
        else:
            np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
            np.testing.assert_array_equal(found.labels, wanted.labels)
            np.testing.assert_array_equal(found.columns["age"], wanted.columns["age"])
    assert refused > 100


def test_cut_off(tmp_path):
    path = tmp_path / "p.parquet"
    predictions().save(path)
    content = path.read_bytes()
    for cut in range(0, len(content), 97):
        path.write_bytes(content[:cut])
        with pytest.raises(FormatError):
            Predictions.load(path)


def test_somebody_elses_parquet_and_nothing_at_all(tmp_path):
    path = tmp_path / "p.parquet"
    with pytest.raises(FormatError, match="There is no predictions file"):
        Predictions.load(path)
    parquet.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(FormatError, match="not a predictions file of Pellucid"):
        Predictions.load(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file names with colons")
@pytest.mark.parametrize("name", ["run:1", "~", "s3:"])
def test_a_folder_of_any_name_holds_them(tmp_path, monkeypatch, name):
    """Arrow would take `run:` for a kind of storage, and `~` for a folder of somebody's."""
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    wanted = predictions()
    wanted.save(Path(name, "found.parquet"))
    assert_same(Predictions.load(Path(name, "found.parquet")), wanted)


def test_names_that_are_no_valid_text_are_written_with_escapes(tmp_path):
    found = replace(
        predictions(n=1), ids=np.array(["bad\udcff.png"]), unreadable={"worse\udcfe.png": "worse\udcfe.png is cut off."}
    )
    found.save(tmp_path / "found.parquet")
    again = Predictions.load(tmp_path / "found.parquet")
    assert again.ids.tolist() == ["bad\\udcff.png"]
    assert again.unreadable == {"worse\\udcfe.png": "worse\\udcfe.png is cut off."}
