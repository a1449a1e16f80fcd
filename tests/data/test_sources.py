"""What holds for every format of encoded pictures; a new one gets these tests by being registered, and by a writer."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pellucid.data import hashing, manifest, parquet, shards, tar_shards, write_parquet
from pellucid.data.catalogue import FORMATS
from pellucid.data.loading import load
from pellucid.data.preprocessing import prepare
from pellucid.errors import DataError, FormatError, MissingDataError, UsageError
from pellucid.records import Dataset, Preprocessing, Split

ARRAYS = {"idx", "cifar"}
"""Formats that hold decoded pictures of one size, with test files of their own."""
COLOUR = Preprocessing(channels=3, height=8, width=8)
Row = tuple[str, str, str, bytes]  # split, class, name, content
Writer = Callable[[Path, list[Row], bool], Path]


def png(number: int, size: int = 12) -> bytes:
    stream = io.BytesIO()
    values = np.random.default_rng(number).integers(0, 256, (size, size + number % 5, 3), dtype=np.uint8)
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def rows(counts: dict[str, int], split: str = "train", first: int = 0) -> list[Row]:
    labels = [label for label, n in counts.items() for _ in range(n)]
    return [(split, label, f"{first + i:03}.png", png(first + i)) for i, label in enumerate(labels)]


def as_folder(top: Path, given: list[Row], splits: bool) -> Path:
    for split, label, name, content in given:
        file = (top / split if splits else top) / label / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return top


def as_table(top: Path, given: list[Row], splits: bool) -> Path:
    (top / "files").mkdir(parents=True)
    with (top / "photos.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file_name", "label", *(["split"] if splits else [])])
        for split, label, name, content in given:
            (top / "files" / name).write_bytes(content)
            writer.writerow([f"files/{name}", label, *([split] if splits else [])])
    return top / "photos.csv"


def as_parquet(top: Path, given: list[Row], splits: bool) -> Path:
    top.mkdir(parents=True)
    for split in {row[0] for row in given}:
        mine = [row for row in given if row[0] == split]
        table = pa.table(
            {
                "image": [{"bytes": content, "path": name} for *_, name, content in mine],
                "label": [label for _, label, *_ in mine],
            }
        )
        pq.write_table(table, top / f"{split if splits else 'part'}-00000-of-00001.parquet", row_group_size=3)
    return top


def archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as held:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            held.addfile(member, io.BytesIO(content))
    return path


def as_tar(top: Path, given: list[Row], splits: bool) -> Path:
    for split in {row[0] for row in given}:
        members = []
        for _, label, name, content in (row for row in given if row[0] == split):
            members += [(name, content), (f"{Path(name).stem}.cls", label.encode())]
        archive(top / f"{split if splits else 'shard'}-000000.tar", members)
    return top


WRITERS: dict[str, Writer] = {"folder": as_folder, "table": as_table, "parquet": as_parquet, "tar": as_tar}


@pytest.fixture(params=sorted(WRITERS))
def write(request, tmp_path) -> Callable[..., Path]:
    def run(given: list[Row], *, splits: bool = False, name: str = "set") -> Path:
        return WRITERS[request.param](tmp_path / name, given, splits)

    return run


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pixels(data: Dataset) -> dict[bytes, tuple[str, str]]:
    """From the pixels of each picture to its split and class."""
    found = {}
    for split in data:
        for picture, label in zip(prepare(split, COLOUR), split.known_labels(), strict=True):
            found[picture.tobytes()] = (split.name, split.classes[label])
    return found


def truth(given: list[Row]) -> dict[bytes, tuple[str, str]]:
    image = (
        np.asarray(Image.open(io.BytesIO(content)).resize((8, 8), Image.Resampling.BILINEAR)) for *_, content in given
    )
    keys = [one.transpose(2, 0, 1).tobytes() for one in image]
    return {key: (split, label) for key, (split, label, *_) in zip(keys, given, strict=True)}


def test_every_format_has_a_writer():
    assert set(WRITERS) - {"folder"} == set(FORMATS) - ARRAYS


def test_splits_labels_and_pixels(write):
    given = [*rows({"bee": 7, "ant": 5}), *rows({"bee": 2, "ant": 2}, "validation", 20), *rows({"ant": 3}, "test", 40)]
    data = load(write(given, splits=True))
    assert pixels(data) == truth(given)
    assert data.classes == ("ant", "bee")
    assert [note for note in data.notes if "columns:" not in note] == ["test lacks the class 'bee'"]
    ids = np.concatenate([split.ids for split in data])
    assert len(set(ids.tolist())) == len(given)


def test_without_splits_a_test_split_is_carved(write):
    given = rows({"ant": 10, "bee": 10})
    path = write(given)
    data = load(path)
    assert {split.name: split.counts() for split in data} == {
        "train": {"ant": 8, "bee": 8},
        "test": {"ant": 2, "bee": 2},
    }
    assert {label for _, label in pixels(data).values()} == {"ant", "bee"}
    assert load(path).test.ids.tolist() == data.test.ids.tolist()
    assert list(load(path, test_fraction=0).splits) == ["train"]


def test_what_is_no_picture_is_named_and_left_out(write):
    given = [
        *rows({"ant": 4, "bee": 4}),
        ("train", "bee", "broken.png", b"no picture"),
        ("train", "ant", "no.png", b""),
    ]
    data = load(write(given), test_fraction=0)
    assert len(data.train) == 8
    assert data.notes[0] == "2 files could not be read and left out, each named below"
    assert sum("is not a supported picture" in note for note in data.notes) == 1
    assert sum("is empty: it has 0 bytes." in note for note in data.notes) == 1
    assert [(split, reason in " ".join(data.notes)) for split, _, reason in data.left_out] == [("train", True)] * 2
    assert any("broken.png" in note for note in data.notes)


def test_copies_stay_together(write):
    same = png(99)
    given = [*rows({"ant": 6, "bee": 6}), *(("train", "ant", f"copy{i}.png", same) for i in range(5))]
    data = load(write(given))
    assert any("4 files with the same bytes as another file" in note for note in data.notes)
    homes = {split.name for split in data for one in range(len(split)) if split.ids[one].count("copy")}
    assert len(homes) == 1


def test_nothing_to_read(write):
    given = [("train", label, f"{label}.png", b"no picture") for label in ("ant", "bee")]
    with pytest.raises(MissingDataError, match="has no readable picture"):
        load(write(given))


def test_one_class_is_refused(write):
    with pytest.raises(DataError, match="has pictures of one class only, 'ant'"):
        load(write(rows({"ant": 3})))


def test_the_same_pictures_have_one_fingerprint_wherever_they_lie(tmp_path):
    given = [*rows({"ant": 3, "bee": 3}), *rows({"ant": 1, "bee": 1}, "test", 20)]
    found = {name: load(writer(tmp_path / name, given, True)) for name, writer in WRITERS.items()}
    assert len({data.fingerprint for data in found.values()}) == 1


def test_a_shard_is_looked_at_once(tmp_path, monkeypatch):
    for name, writer in (("parquet", as_parquet), ("tar", as_tar)):
        path = writer(tmp_path / name, [*rows({"ant": 4, "bee": 4}), ("train", "ant", "x.png", b"no")], False)
        for file in path.iterdir():
            os.utime(file, (1000, 1000))
        first = load(path)
        with monkeypatch.context() as patch:
            patch.setattr(shards, "probe", lambda *_, **__: pytest.fail("it was looked at before"))
            again = load(path)
        assert again.notes == first.notes
        assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize("name", ["parquet", "tar"])
def test_mutated_shards_are_refused_or_read(tmp_path, name, mutate, monkeypatch):
    monkeypatch.setattr(hashing, "remember", lambda *_, **__: None)
    path = WRITERS[name](tmp_path / name, rows({"ant": 3, "bee": 3}), False)
    (file,) = path.iterdir()

    def read(content: bytes) -> None:
        file.write_bytes(content)
        module = parquet if name == "parquet" else tar_shards
        data = module.read(file, test_fraction=0)
        prepare(data.train, COLOUR)

    outcomes = mutate({name: (file.read_bytes(), read)}, 250)
    assert outcomes[name, False] > 20


def test_mutated_tables_are_refused_or_read(tmp_path, mutate):
    path = as_table(tmp_path / "set", rows({"ant": 3, "bee": 3}), True)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        manifest.read(path)

    assert mutate({"csv": (path.read_bytes(), read)}, 250)["csv", False] > 20


# Tables


@pytest.fixture
def table(tmp_path) -> Callable[[str], Path]:
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(png(i))

    def write(text: str, name: str = "photos.csv") -> Path:
        (tmp_path / name).write_bytes(text.encode("utf-8"))
        return tmp_path / name

    return write


LINES = "".join(f"{i}.png,{'ab'[i % 2]},{i // 2}\n" for i in range(6))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_columns_are_known_by_their_names(table, separator, end):
    text = ("\ufeffImage_Path,Species,Patient_ID\n" + LINES + "\n").replace(",", separator).replace("\n", end)
    data = load(table(text), test_fraction=0.4)
    assert data.classes == ("a", "b")
    groups = {split.name: set(split.columns["groups"].tolist()) for split in data}
    assert groups["train"] | groups["test"] == {"0", "1", "2"}
    assert not groups["train"] & groups["test"]
    assert data.notes[0] == "columns: path from 'Image_Path', label from 'Species', groups from 'Patient_ID'"


def test_columns_can_be_said(table):
    path = table("where,what,label\n" + LINES)
    for found in (
        load(path, columns={"path": "where", "groups": "what"}, test_fraction=0),
        load(f"{path}?path=where&groups=what", test_fraction=0),
    ):
        assert found.classes == ("0", "1", "2")
        assert found.train.columns["groups"].tolist() == list("ababab")
    with pytest.raises(FormatError) as error:
        load(path)
    assert str(error.value) == (
        f"{path} has no column for the path of each picture; it has 'where', 'what', 'label'. Name the column: "
        f"columns={{'path': NAME}} in Python, or ?path=NAME after the path."
    )
    with pytest.raises(UsageError, match="has no column 'file'; it has 'where', 'what', 'label'"):
        load(f"{path}?path=file")
    with pytest.raises(
        UsageError, match="'patient' is not a role of a column here; the roles are path, label, split, groups"
    ):
        load(f"{path}?patient=what")
    with pytest.raises(UsageError, match=r"After the \? name columns, as in .*; given: 'path'"):
        load(f"{path}?path")
    with pytest.raises(UsageError, match="is not a table, so it has no columns to name: path"):
        load(path.parent, columns={"path": "where"})


def test_numbers_are_ordered_as_numbers(table):
    data = load(table("path,label\n0.png,10\n1.png,9\n2.png,2\n"), test_fraction=0)
    assert data.classes == ("2", "9", "10")


def test_groups_and_copies_are_joined(table, tmp_path):
    shutil.copy(tmp_path / "0.png", tmp_path / "5.png")
    text = "path,label,group\n0.png,a,x\n1.png,b,x\n2.png,a,y\n3.png,b,y\n4.png,a,z\n5.png,b,z\n"
    groups = load(table(text), test_fraction=0).train.columns["groups"].tolist()
    assert groups[0] == groups[1] == groups[4] == groups[5] != groups[2] == groups[3]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty. Its first line names the columns, for example path,label."),
        ("path,label\n0.png\n", "row 2, has 1 value where 2 are expected: '0.png'."),
        ("path,path,label\n", "has two columns named 'path'. Rename one of them."),
        ("path,label\n,a\n", "row 2, has no path. Remove the line, or fill it in."),
        (
            "path,label,split\n0.png,a,later\n",
            "row 2, has the split 'later'; expected: train, validation (or val) or",
        ),
        (
            "path,label\n0.png,a\n0.png,b\n",
            "row 3, names '0.png' again, with the class 'b' and not 'a' as before. Keep one of them.",
        ),
        ("path,label,split\n0.png,a,test\n0.png,a,val\n", "with the split 'validation' and not 'test' as before"),
        ("path,label,group\n0.png,a,x\n0.png,a,y\n", "with the group 'y' and not 'x' as before"),
        ('path,label\n"0.png,a\n', "cannot be read as CSV"),
    ],
)
def test_mistakes_in_tables(table, text, sentence):
    with pytest.raises(FormatError) as error:
        load(table(text))
    assert sentence in str(error.value)
    assert "photos.csv" in str(error.value)


def test_a_table_that_is_not_utf_8(table, tmp_path):
    path = table("")
    path.write_bytes("path,label\n0.png,Käfer\n".encode("latin-1"))
    with pytest.raises(FormatError, match=r"is not text in UTF-8\. Save it as CSV in UTF-8"):
        load(path)


def test_what_is_twice_or_without_a_label_is_said(table):
    data = load(table("path,label\n0.png,a\n0.png,a\n1.png,b\n2.png,\n3.png,b\nnowhere.png,a\n"), test_fraction=0)
    assert len(data.train) == 3
    assert "1 file without a label left out: '2.png'" in data.notes
    assert "1 file named twice, used once: '0.png'" in data.notes
    assert "left out: There is no picture at nowhere.png." in data.notes


def test_a_table_in_parquet(tmp_path, table):
    table("")
    path = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"file": [f"{i}.png" for i in range(4)], "label": [1, 0, 1, 0], "x": [[1]] * 4}), path)
    data = load(path, test_fraction=0)
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match=r"photos\.parquet is damaged or not a Parquet file"):
        load(path)


# Parquet


def hub(path: Path, labels: list, names: object = None, first: int = 0, **columns: list) -> Path:
    """A file as hubs write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {"image": [{"bytes": png(first + i), "path": None} for i in range(len(labels))], "label": labels} | columns
    feature = {"label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({key: value for key, value in held.items() if value is not None})
    if names is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("names", [["cat", "dog", "owl"], {"0": "cat", "1": "dog", "2": "owl"}])
def test_numbers_are_called_as_the_metadata_says(tmp_path, names):
    data = load(hub(tmp_path / "a.parquet", [1, 0, 1, -1, None], names), test_fraction=0)
    assert data.classes == ("cat", "dog", "owl"), "also the one without a picture, in the order given"
    assert data.train.labels.tolist() == [1, 0, 1]
    assert data.notes == (
        "2 files without a label left out: 'a.parquet/3', 'a.parquet/4'",
        "train lacks the class 'owl'",
    )


def test_bytes_without_a_struct_groups_and_several_columns(tmp_path):
    path = hub(tmp_path / "a.parquet", [0, 1, 0], image=[png(i) for i in range(3)], patient=["x", None, "y"])
    data = load(path, test_fraction=0)
    assert data.train.columns["groups"].tolist() == ["x", "a.parquet/1", "y"]
    path = hub(tmp_path / "b.parquet", [0, 1, 0], thumb=[png(i) for i in range(3)])
    assert load(path, test_fraction=0).classes == ("0", "1")
    path = hub(tmp_path / "c.parquet", [0, 1, 0], image=None, one=[b"1"] * 3, two=[png(i) for i in range(3)])
    with pytest.raises(FormatError, match="has no column for the image of each picture"):
        load(path)
    assert len(load(path, columns={"image": "two"}, test_fraction=0).train) == 3
    with pytest.raises(FormatError, match="the column 'label' does not contain pictures as bytes"):
        load(path, columns={"image": "label", "label": "two"})


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
    ],
)
def test_splits_come_from_names_of_files_and_folders(tmp_path, names):
    for place, name in enumerate(names):
        hub(tmp_path / "hub" / name, [0, 1], first=10 * place)
    hub(tmp_path / "hub" / "data" / "unsupervised-00000-of-00001.parquet", [0, 1])
    data = load(tmp_path / "hub")
    assert list(data.splits) == ["train", "test"]
    assert data.train.ids.tolist() == [f"{names[0]}/0", f"{names[0]}/1"]
    assert data.notes == ("1 file without a split in the name left out: 'data/unsupervised-00000-of-00001.parquet'",)


def test_a_missing_shard_is_named(tmp_path):
    for number in (0, 1, 3):
        hub(tmp_path / "hub" / f"train-{number:05}-of-00004.parquet", [0, 1])
    with pytest.raises(MissingDataError) as error:
        load(tmp_path / "hub")
    assert str(error.value) == (
        f"{tmp_path / 'hub'} has 3 of 4 shards of 'train': number 00002 is missing. Copy it too."
    )


def test_mistakes_in_parquet(tmp_path):
    with pytest.raises(FormatError, match="row 1: the label 7 is not one of the 2 classes"):
        load(hub(tmp_path / "a.parquet", [0, 7], ["x", "y"]))
    with pytest.raises(FormatError, match=r"row 0: the label 0\.5 is neither a whole number nor a name"):
        load(hub(tmp_path / "b.parquet", [0.5, 1]))
    with pytest.raises(FormatError, match="the metadata of 'label' must have distinct class names"):
        load(hub(tmp_path / "c.parquet", [0, 1], ["x", "x"]))
    hub(tmp_path / "hub" / "1.parquet", [0, 1], ["x", "y"])
    hub(tmp_path / "hub" / "2.parquet", [0, 1], ["y", "x"])
    with pytest.raises(
        FormatError,
        match=r"2\.parquet and .*1\.parquet have different columns or classes\. Put them in separate folders",
    ):
        load(tmp_path / "hub")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "hub" / "2.parquet")
    with pytest.raises(FormatError, match=r"2\.parquet has no column with pictures, unlike the other files"):
        load(tmp_path / "hub")


def test_metadata_of_another_kind_is_no_metadata(tmp_path):
    for names in (None, 5, {"a": "b"}):
        if names != 5:
            assert load(hub(tmp_path / "a.parquet", [0, 1], names), test_fraction=0).classes == ("0", "1")
    table = pq.read_table(tmp_path / "a.parquet").replace_schema_metadata({"huggingface": "[]"})
    pq.write_table(table, tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", test_fraction=0).classes == ("0", "1")


def test_row_groups_are_read_one_by_one(tmp_path, monkeypatch):
    path = as_parquet(tmp_path / "set", rows({"ant": 10, "bee": 10}), False)
    data = load(path, test_fraction=0)
    monkeypatch.setattr(hashing, "threads", lambda: 1)  # several may overtake each other in groups of three rows
    loaded = []
    real = parquet.ParquetShard.load
    monkeypatch.setattr(parquet.ParquetShard, "load", lambda self, group: loaded.append(group) or real(self, group))
    prepare(data.train, COLOUR)
    assert sorted(loaded) == list(range(7)), "each of them once"


def test_what_is_written_is_read_again(tmp_path, digits):
    groups = np.array([f"g{i % 7}" for i in range(len(digits.test))])
    given = Dataset(
        "digits",
        {
            "train": digits.train.take(np.arange(25)),
            "test": Split("test", digits.test.pictures, digits.test.labels, digits.classes, columns={"groups": groups}),
        },
    )
    paths = write_parquet(given, tmp_path / "out", per_shard=10)
    assert [path.name for path in paths[:3]] == [f"train-{i:05}-of-00003.parquet" for i in range(3)]
    with pytest.raises(UsageError, match="already has Parquet files"):
        write_parquet(given, tmp_path / "out")
    with pytest.raises(UsageError, match="per_shard=0"):
        write_parquet(given, tmp_path / "other", per_shard=0)
    for path in paths[:3]:
        path.unlink()
    found = load(tmp_path / "out", test_fraction=0).train
    how = Preprocessing(channels=1, height=8, width=8)
    np.testing.assert_array_equal(prepare(found, how), digits.test.pictures)
    np.testing.assert_array_equal(found.labels, digits.test.labels)
    assert found.classes == digits.classes
    assert found.columns["groups"].tolist() == groups.tolist()
    assert found.ids.tolist() == [f"test/{i}" for i in range(len(digits.test))]


def test_files_keep_their_bytes(tmp_path):
    data = load(as_folder(tmp_path / "a", rows({"ant": 3, "bee": 3}), False), test_fraction=0)
    write_parquet(data, tmp_path / "b")
    again = load(tmp_path / "b")
    assert again.train.fingerprint() == data.train.fingerprint()
    assert [path.name for path in again.train.pictures.paths] == data.train.ids.tolist()


# Tar


def test_labels_in_json_and_names_in_classes_txt(tmp_path):
    members = [("a/1.png", png(1)), ("a/1.json", b'{"label": 1}'), ("a/2.png", png(2)), ("a/2.json", b'{"cls": "cat"}')]
    members += [("3.seg.png", png(3)), ("3.cls", b"0\n"), ("4.png", png(4)), ("5.png", png(5)), ("5.json", b"{}")]
    archive(tmp_path / "set" / "shard-0.tar", members)
    (tmp_path / "set" / "classes.txt").write_text("cat\ndog\nowl\n")
    data = load(tmp_path / "set", test_fraction=0)
    assert data.classes == ("cat", "dog", "owl")
    assert data.train.labels.tolist() == [1, 0, 0]
    assert "2 files without a label left out: 'shard-0.tar/4.png', 'shard-0.tar/5.png'" in data.notes
    (tmp_path / "set" / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"the label '1' of 'a/1\.png' is not one of the 1 classes in classes\.txt"):
        load(tmp_path / "set")
    (tmp_path / "set" / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="is not text in UTF-8"):
        load(tmp_path / "set")


def test_hostile_names_and_links_are_harmless(tmp_path):
    path = archive(tmp_path / "in" / "shard.tar", [("../../evil.png", png(1)), ("../../evil.cls", b"a")])
    with tarfile.open(path, "a") as held:
        for name, kind in (
            ("/etc/link.png", tarfile.SYMTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
            ("dir", tarfile.DIRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            held.addfile(member)
        for name, content in (("/abs.png", png(2)), ("/abs.cls", b"b")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            held.addfile(member, io.BytesIO(content))
    before = sorted(tmp_path.rglob("*"))
    data = load(path, test_fraction=0)
    assert sorted(one for one in tmp_path.rglob("*") if "cache" not in one.parts) == before
    assert len(data.train) == 2
    assert data.notes == (
        (
            "2 files in the archives ignored (neither pictures nor labels): 'shard.tar//etc/link.png', "
            "'shard.tar/pipe.png'"
        ),
    )


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (("1.cls", b"\xff"), "is not a label: it is not text"),
        (("1.json", b"{"), "is not a label: it is not JSON"),
        (("1.json", b'{"label": [1]}'), "a label is a number or a name, not list"),
        (("1.json", b'{"label": 0.5}'), "the label 0.5 is neither a whole number nor a name"),
        (("1.cls", b"a\nb"), "is not a label: expected a number or a name"),
        (("1.cls", b"x" * 1_000_001), "is not a label: it has 1,000,001 bytes"),
    ],
)
def test_mistakes_in_labels(tmp_path, label, sentence):
    path = archive(tmp_path / "shard.tar", [("0.png", png(0)), ("0.cls", b"a"), ("1.png", png(1)), label])
    with pytest.raises(FormatError) as error:
        load(path)
    assert sentence in str(error.value)
    assert f"'{label[0]}'" in str(error.value)


def test_two_pictures_of_one_name(tmp_path):
    path = archive(tmp_path / "shard.tar", [("0.png", png(0)), ("0.cls", b"a"), ("0.png", png(1))])
    with pytest.raises(FormatError, match="has two pictures with the same name"):
        load(path)


def test_a_tar_cut_off(tmp_path):
    path = as_tar(tmp_path / "set", rows({"ant": 3, "bee": 3}), False) / "shard-000000.tar"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=r"is cut off within|is damaged or not a tar archive"):
        load(path)
    path.write_bytes(content)
    data = load(path, test_fraction=0)
    path.write_bytes(content[:700])
    with pytest.raises(DataError, match=r"is cut off\. Copy it again|changed while it was read"):
        prepare(data.train, COLOUR, memory=0)
