"""The same pictures and labels give the same dataset, however they are stored."""

from __future__ import annotations

import io
import json
import math
import tarfile
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pellucid
from pellucid.data.labels import clean_column, clean_label, clean_name, ordered_classes
from pellucid.errors import DataError, FormatError
from pellucid.inference.runner import _labels_for

DECOMPOSED = unicodedata.normalize("NFD", "Übung")


def png(number: int) -> bytes:
    """A picture that no other number gives."""
    pixels = np.random.default_rng(number).integers(0, 256, (12, 12), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def as_folder(root: Path, labels: list[Any]) -> Path:
    for number, label in enumerate(labels):
        (root / "set" / str(label)).mkdir(parents=True, exist_ok=True)
        (root / "set" / str(label) / f"{number:03}.png").write_bytes(png(number))
    return root / "set"


def files_of(root: Path, count: int) -> list[str]:
    (root / "files").mkdir()
    for number in range(count):
        (root / "files" / f"{number:03}.png").write_bytes(png(number))
    return [f"files/{number:03}.png" for number in range(count)]


def as_csv(root: Path, labels: list[Any]) -> Path:
    lines = [
        f"{path},{'' if label is None else label}"
        for path, label in zip(files_of(root, len(labels)), labels, strict=True)
    ]
    (root / "set.csv").write_text("\n".join(["path,label", *lines]) + "\n", encoding="utf-8")
    return root / "set.csv"


def as_parquet_of_paths(root: Path, labels: list[Any]) -> Path:
    pq.write_table(pa.table({"path": files_of(root, len(labels)), "label": labels}), root / "set.parquet")
    return root / "set.parquet"


def as_parquet_of_pictures(root: Path, labels: list[Any]) -> Path:
    pq.write_table(pa.table({"image": [png(i) for i in range(len(labels))], "label": labels}), root / "set.parquet")
    return root / "set.parquet"


def as_tar(root: Path, labels: list[Any]) -> Path:
    with tarfile.open(root / "set-000000.tar", "w") as archive:
        for number, label in enumerate(labels):
            content = {"png": png(number), "json": json.dumps({"label": label}).encode()}
            for suffix, data in content.items():
                member = tarfile.TarInfo(f"{number:03}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return root / "set-000000.tar"


WRITERS = [as_folder, as_csv, as_parquet_of_paths, as_parquet_of_pictures, as_tar]
"""Every format whose labels are names."""


def labels_by_content(data: pellucid.Dataset) -> dict[bytes, str]:
    """The class of each picture, by its pixels."""
    found = {}
    for split in data:
        for index in range(len(split)):
            pixels = np.asarray(Image.open(io.BytesIO(_bytes(split, index))))
            found[pixels.tobytes()] = split.classes[int(split.labels[index])]
    return found


def _bytes(split: Any, index: int) -> bytes:
    return split.pictures.paths[index].read_bytes()


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([str(n) for n in range(12) for _ in range(3)], tuple(map(str, range(12)))),
        ([name for name in ("b", DECOMPOSED, "a") for _ in range(4)], ("a", "b", "Übung")),
        ([name for name in ("cat ", " dog") for _ in range(4)], ("cat", "dog")),
        ([name for name in ("-1", "0", "10", "9") for _ in range(3)], ("-1", "0", "9", "10")),
    ],
    ids=["numbers", "decomposed", "spaces", "negative"],
)
def test_every_source_gives_the_same_classes_and_labels(write, labels, classes, tmp_path):
    data = pellucid.load(write(tmp_path, labels))
    assert data.classes == classes
    expected = {np.asarray(Image.open(io.BytesIO(png(i)))).tobytes(): clean_name(x) for i, x in enumerate(labels)}
    assert labels_by_content(data) == expected
    assert not any("without a label" in note for note in data.notes)


@pytest.mark.parametrize("write", WRITERS[1:], ids=lambda write: write.__name__)
@pytest.mark.parametrize("value", [0, 0.0, True, "0"], ids=repr)
@pytest.mark.parametrize("missing", [None, math.nan], ids=["null", "nan"])
def test_every_source_leaves_out_what_has_no_label_and_says_so(write, value, missing, tmp_path):
    if missing is not None and (write in (as_csv, as_tar) or isinstance(value, (str, bool))):
        pytest.skip("this format has no NaN there")
    other = not value if isinstance(value, bool) else type(value)(1)
    data = pellucid.load(write(tmp_path, [value] * 5 + [other] * 5 + [missing]))
    assert data.classes == (("False", "True") if value is True else ("0", "1"))
    assert sum(len(split) for split in data) == 10
    (note,) = [note for note in data.notes if "without a label" in note]
    assert note.startswith("1 file without a label left out")


def test_folders_in_two_unicode_forms_are_one_class_with_a_note(tmp_path):
    as_folder(tmp_path, ["Übung", "Übung", DECOMPOSED, "b", "b"])
    data = pellucid.load(tmp_path / "set", test_fraction=0)
    assert data.classes == ("b", "Übung")
    assert len(data.train) == 5
    assert any(note.startswith("2 folders were read as the class 'Übung'") for note in data.notes)


def test_a_model_knows_a_class_in_either_unicode_form(tmp_path):
    model = pellucid.train(
        pellucid.from_arrays(np.random.default_rng(0).random((12, 8, 8)), [DECOMPOSED, "b"] * 6),
        "logistic-regression", epochs=1, progress=False,
    )  # fmt: skip
    assert model.classes == ("b", "Übung")
    test = pellucid.from_arrays(np.zeros((2, 8, 8)), ["Übung", "b"], classes=["Übung", "b"]).train
    assert _labels_for(model.classes, test).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, None), ("", None), ("  ", None), (math.nan, None), (np.float32("nan"), None), (1.0, "1"), ("1.5", "1.5"),
        (np.int64(3), "3"), (True, "True"), (np.bool_(False), "False"), (Decimal("2.0"), "2"), (" é ", "é"),
        ("1.0", "1.0"), (-1, "-1"),
    ],
)  # fmt: skip
def test_a_label_is_cleaned(value, label):
    assert clean_label(value) == label


def test_what_is_no_label_is_refused():
    with pytest.raises(ValueError, match="a label is a number or a name, not bytes"):
        clean_label(b"cat")


@pytest.mark.parametrize("value", [0.5, math.inf, Decimal("0.1")])
def test_a_fraction_is_no_label(value):
    with pytest.raises(ValueError, match="is neither a whole number nor a name"):
        clean_label(value)


@pytest.mark.parametrize("write", [as_parquet_of_paths, as_parquet_of_pictures])
def test_a_column_of_fractions_is_refused(write, tmp_path):
    with pytest.raises(FormatError, match="a whole number"):
        pellucid.load(write(tmp_path, [0.5, 1.5]))


@given(st.one_of(st.none(), st.integers(), st.booleans(), st.text(), st.integers().map(float)))
def test_cleaning_a_label_twice_changes_nothing(value):
    once = clean_label(value)
    assert once is None or clean_label(once) == once


@settings(max_examples=50)
@given(st.lists(st.integers(min_value=-50, max_value=50), min_size=1))
def test_numbers_that_were_written_as_floats_are_whole(numbers):
    assert clean_column([f"{number}.0" for number in numbers]) == [str(number) for number in numbers]
    assert clean_column([*[f"{number}.0" for number in numbers], "1.5"])[-1] == "1.5"


@given(st.lists(st.integers(), min_size=1))
def test_numbers_are_in_their_order(numbers):
    assert [int(name) for name in ordered_classes(map(str, numbers))] == sorted(set(numbers))


@pytest.mark.parametrize(
    "text",
    [
        'path,label\n{0}, "one, two"\n{1},three\n',
        'path;label\n{0};"one, two"\n{1};three\n',
        'sep=;\npath;label\n{0};one, two\n{1};three\n',
        'path\tlabel\n{0}\tone, two\n{1}\tthree\n',
        '\ufeffpath|label\r\n{0}|one, two\r\n{1}|three\r\n',
    ],
    ids=["space before a quote", "semicolon", "sep=", "tab", "bar"],
)  # fmt: skip
def test_a_table_is_read_in_every_dialect(text, tmp_path):
    paths = files_of(tmp_path, 2)
    (tmp_path / "set.csv").write_text(text.format(*paths), encoding="utf-8", newline="")
    assert pellucid.load(tmp_path / "set.csv", test_fraction=0).classes == ("one, two", "three")


def test_commas_in_names_do_not_hide_the_separator(tmp_path):
    paths = files_of(tmp_path, 4)
    rows = [f"{path};{'a, b, c, d' if i % 2 else 'e, f, g'}" for i, path in enumerate(paths)]
    (tmp_path / "set.csv").write_text("\n".join(["path;label", *rows]), encoding="utf-8")
    assert pellucid.load(tmp_path / "set.csv", test_fraction=0).classes == ("a, b, c, d", "e, f, g")


def test_backslashes_of_windows_are_read_with_a_note(tmp_path):
    paths = [path.replace("/", "\\") for path in files_of(tmp_path, 2)]
    (tmp_path / "set.csv").write_text(f"path,label\n{paths[0]},a\n{paths[1]},b\n", encoding="utf-8")
    data = pellucid.load(tmp_path / "set.csv", test_fraction=0)
    assert len(data.train) == 2
    if Path("a\\b").name == "a\\b":  # not on Windows, where they are separators anyway
        assert "2 files with \\ in the path (the Windows separator), read with / instead" in data.notes


def test_class_names_that_are_one_name_are_refused(tmp_path):
    as_tar(tmp_path, [0, 1])
    (tmp_path / "classes.txt").write_text(f"Übung\n{DECOMPOSED}\n", encoding="utf-8")
    with pytest.raises(DataError, match="has the class name 'Übung' twice"):
        pellucid.load(tmp_path / "set-000000.tar")
