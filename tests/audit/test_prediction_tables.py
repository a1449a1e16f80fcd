"""Predictions of other tools, and columns for groups."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.audit.prediction_tables import read_columns, read_predictions
from pellucid.errors import DataError, FormatError
from pellucid.records import Predictions


def csv(tmp_path, text):
    path = tmp_path / "other tool.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_of_classes_probabilities_and_groups_are_recognised(tmp_path):
    found = read_predictions(csv(tmp_path, "id,label,cat,dog,sex\na,cat,0.9,0.1,f\nb,dog,0.3,0.7,m\n"))
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 1]
    assert found.probabilities[1].tolist() == pytest.approx([0.3, 0.7])
    assert found.columns["sex"].tolist() == ["f", "m"]
    assert found.ids.tolist() == ["a", "b"]


def test_a_class_without_pictures_is_still_a_class(tmp_path):
    found = read_predictions(csv(tmp_path, "id;label;cat;dog;eel;age\na;cat;0.9;0.05;0.05;30\nb;dog;0.3;0.6;0.1;41\n"))
    assert found.classes == ("cat", "dog", "eel")
    assert set(found.columns) == {"age"}


def test_prefixes_mark_probabilities(tmp_path):
    found = read_predictions(csv(tmp_path, "file,y,p:1,p:2\na,1,0.9,0.1\n"))
    assert found.classes == ("1", "2")


def test_files_of_pellucid_and_plain_parquet_are_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    own = Predictions(np.array(["a"]), np.array([[0.25, 0.75]], np.float32), ("x", "y"), np.array([1]))
    own.save(tmp_path / "own.parquet")
    assert read_predictions(tmp_path / "own.parquet").classes == ("x", "y")
    table = pa.table({"id": ["a"], "label": ["y"], "x": [0.25], "y": [0.75]})
    parquet.write_table(table, tmp_path / "plain.parquet")
    assert read_predictions(tmp_path / "plain.parquet").labels.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,cat,dog\na,0.9,0.1\n", "no column 'label'"),
        ("id,label,cat\na,dog,0.9\n", "probability of the class 'dog'"),
        ("id,label,cat,dog\na,cat,0.9,0.9\nb,dog,0.1,0.9\n", "sum to 1.800"),
        ("id,label,cat,dog\na,cat,lots,0.9\n", "is 'lots'"),
        ("id,label,cat,dog\na,,0.1,0.9\n", "1 of 1 rows have no label"),
        ("id,label,cat,dog\n", "no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, says):
    with pytest.raises(FormatError, match=says):
        read_predictions(csv(tmp_path, text))


def test_columns_are_matched_by_id(tmp_path):
    path = csv(tmp_path, "path,label,sex\nb.png,cat,f\na.png,cat,m\nz.png,cat,f\n")
    assert read_columns(path, np.array(["a.png", "b.png", "c.png"]))["sex"].tolist() == ["m", "f", ""]
    with pytest.raises(DataError, match="no row for any"):
        read_columns(path, np.array(["test/1"]))
    with pytest.raises(FormatError, match="two rows"):
        read_columns(csv(tmp_path, "id,sex\na,f\na,m\n"), np.array(["a"]))
    with pytest.raises(FormatError, match="no column 'id'"):
        read_columns(csv(tmp_path, "who,sex\na,f\n"), np.array(["a"]))
