"""Folders as people have them. What the walk meets and what the folder makes of it are shown together."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pellucid.data.folder import read
from pellucid.data.loading import load
from pellucid.data.splitting import with_validation
from pellucid.data.walk import on_one_line
from pellucid.errors import DataError, MissingDataError
from pellucid.records import PictureFiles

posix = pytest.mark.skipif(os.name == "nt", reason="Windows does not allow this name, or links without a privilege")


def test_classes_without_splits(class_folders):
    data = load(class_folders({"bees": 5, "ants": 10}))
    assert data.name == "insects"
    assert data.classes == ("ants", "bees")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 12, "test": 3}
    assert data.notes == ("the data have no test split: 3 pictures (20 % of each class) were split off with seed 0",)
    assert set(data.test.ids) < {f"ants/{i:02}.png" for i in range(10)} | {f"bees/{i:02}.png" for i in range(5)}
    assert isinstance(data.train.pictures, PictureFiles)
    for split in data:
        for identity, path, label in zip(split.ids, split.pictures.paths, split.labels, strict=True):
            assert path.parent.name == data.classes[label]
            assert path.as_posix().endswith(identity)


def test_carving_follows_its_settings(class_folders):
    folder = class_folders({"bees": 10, "ants": 10})
    assert len(load(folder, test_fraction=0.4).test) == 8
    assert list(load(folder, test_fraction=0).splits) == ["train"]
    assert load(folder, seed=1).test.ids.tolist() != load(folder).test.ids.tolist()
    assert load(folder, seed=1).fingerprint == load(folder, seed=1).fingerprint


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_splits(class_folders, validation):
    folder = class_folders({"train/bees": 3, "train/ants": 3, f"{validation}/ants": 2, "test/bees": 1, "test/ants": 1})
    data = load(folder)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "validation": 2, "test": 2}
    assert data.notes == ("validation lacks the class 'bees'",)
    assert data.train.ids.tolist()[0] == "train/ants/00.png"


def test_no_test_split_is_invented_beside_train(class_folders):
    assert list(load(class_folders({"train/a": 2, "train/b": 2})).splits) == ["train"]
    assert list(load(class_folders({"test/a": 2, "test/b": 2}, "only")).splits) == ["test"]


def test_a_class_may_be_called_test(class_folders):
    data = load(class_folders({"test": 3, "other": 3}))
    assert data.classes == ("other", "test")
    assert data.notes[0] == "the folder 'test' was read as a class, because there is no folder 'train' next to it"


def test_two_folders_for_one_split(class_folders):
    folder = class_folders({"train/a": 1, "val/a": 1, "valid/a": 1})
    with pytest.raises(
        DataError, match=r"has two folders for the same split: 'train' and 'val' and 'valid'\. Keep one of them"
    ):
        load(folder)


def test_nested_class_folders_count_for_the_class(class_folders):
    data = load(class_folders({"ants/garden/wet": 2, "ants": 1, "bees": 2}), test_fraction=0)
    assert data.train.ids.tolist() == [
        "ants/00.png",
        "ants/garden/wet/00.png",
        "ants/garden/wet/01.png",
        "bees/00.png",
        "bees/01.png",
    ]
    assert data.train.counts() == {"ants": 3, "bees": 2}


@posix
@pytest.mark.slow
def test_folders_nested_deeper_than_pythons_calls(class_folders):
    folder = class_folders({"ants": 1, "bees": 1})
    chain = [folder / "ants" / "d"]
    chain[0].mkdir()
    while len(chain) < sys.getrecursionlimit() + 50:
        chain.append(chain[-1] / "d")
        chain[-1].mkdir()
    picture = chain[-1] / "x.png"
    shutil.copy(folder / "bees" / "00.png", picture)
    assert len(load(folder, test_fraction=0).train) == 3
    # Python's own way of removing folders calls itself for each level.
    picture.unlink()
    for level in reversed(chain):
        level.rmdir()


def test_hidden_and_system_files_are_ignored_and_counted(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    for name in (".DS_Store", "ants/.DS_Store", "ants/Thumbs.db", "bees/desktop.ini", "ants/._00.png"):
        (folder / name).write_bytes(b"x")
    (folder / "__MACOSX" / "ants").mkdir(parents=True)
    (folder / ".git").mkdir()
    data = load(folder, test_fraction=0)
    assert len(data.train) == 4
    assert data.notes == (
        "7 hidden or system files ignored: '.DS_Store', '._00.png', '.git', 'Thumbs.db', '__MACOSX', 'desktop.ini'",
    )


def test_what_is_no_picture_is_named(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    (folder / "ants" / "readme.txt").write_text("hello")
    (folder / "bees" / "noextension").write_text("hello")
    (folder / "labels.csv").write_text("hello")
    (folder / "empty").mkdir()
    assert load(folder, test_fraction=0).notes == (
        "1 file outside the class folders left out: 'labels.csv'",
        "2 files not named as PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF left out: 'ants/readme.txt', 'bees/noextension'",
        "1 class folder without a picture left out: 'empty'",
    )


def test_many_names_are_cut_short(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    for i in range(25):
        (folder / "ants" / f"{i:02}.txt").write_text("hello")
    note = load(folder, test_fraction=0).notes[0]
    assert note.startswith("25 files not named as")
    assert note.endswith("'ants/19.txt' and 5 more")


def test_folders_beside_train(class_folders):
    data = load(class_folders({"train/a": 1, "train/b": 1, "others/c": 1}))
    assert data.classes == ("a", "b")
    assert data.notes == ("the folder 'others' with 1 picture was left out: it is next to the splits",)


def test_unreadable_pictures_are_each_named(class_folders):
    folder = class_folders({"ants": 3, "bees": 2})
    (folder / "ants" / "text.jpg").write_text("I am a text.")
    (folder / "bees" / "empty.png").write_bytes(b"")
    data = load(folder, test_fraction=0)
    assert len(data.train) == 5
    unreadable = "is not a supported picture: its content is not PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF"
    assert data.notes == (
        "2 files could not be read and left out, each named below",
        f"left out: ants/text.jpg {unreadable}.",
        "left out: bees/empty.png is empty: it has 0 bytes.",
    )


def test_another_format_than_the_name_says(class_folders, photo):
    folder = class_folders({"ants": 2, "bees": 2})
    photo(33, 33).save(folder / "ants" / "really.jpg", "png")
    data = load(folder, test_fraction=0)
    assert len(data.train) == 5
    assert data.notes == ("1 file whose format differs from the suffix: 'ants/really.jpg (is PNG)'",)


def test_every_format_and_upper_case(class_folders, photo):
    folder = class_folders({"ants": 1, "bees": 1})
    for i, name in enumerate(["A.JPG", "b.Jpeg", "c.PNG", "d.webp", "e.BMP", "f.GIF"]):
        photo(40 + i, 40).save(folder / "ants" / name)
    data = load(folder, test_fraction=0)
    assert data.train.counts() == {"ants": 7, "bees": 1}
    assert data.notes == ()


@posix
def test_names_of_every_kind(class_folders, photo):
    folder = class_folders({"ants": 1, "bees": 1})
    names = ["two words", "🐝", "line\nend", "quo'te\"", "déjà vu", "tab\t", "{brace}", "100%"]
    for i, name in enumerate(names):
        (folder / f"class {name}").mkdir()
        photo(50 + i, 40).save(folder / f"class {name}" / f"{name}.png")
    (folder / "class 🐝" / "line\nend.txt").write_text("x")
    data = load(folder, test_fraction=0)
    assert set(data.classes) == {"ants", "bees", *(f"class {name}".strip() for name in names)}
    assert "class 🐝/🐝.png" in data.train.ids
    assert len({*data.train.ids}) == 10
    assert data.notes == (
        "1 file not named as PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF left out: 'class 🐝/line\\nend.txt'",
    ), "a note stays on one line"


@posix
def test_names_that_are_not_unicode(class_folders, photo):
    folder = class_folders({"ants": 1, "bees": 1})
    try:
        photo().save(os.fsdecode(os.fsencode(folder / "ants") + b"/\xff.png"), "png")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    data = load(folder, test_fraction=0)
    assert len(data.train) == 2
    assert data.notes == ("1 file left out, as the name is not Unicode: 'ants/\\udcff.png'",)
    data.notes[0].encode("utf-8")


def test_the_same_file_twice(class_folders):
    folder = class_folders({"train/ants": 3, "train/bees": 2, "test/ants": 1, "test/bees": 1})
    shutil.copy(folder / "train/ants/00.png", folder / "train/ants/copy.png")
    os.link(folder / "train/ants/00.png", folder / "test/ants/same.png")
    shutil.copy(folder / "train/ants/01.png", folder / "train/bees/ant.png")
    # Of equal size, but not equal.
    content = (folder / "train/ants/02.png").read_bytes()
    (folder / "train/ants/02b.png").write_bytes(content[:-1] + b"\0")
    data = load(folder)
    assert len(data.train) == 8
    (note,) = data.notes
    assert note == (
        "3 files with the same bytes as another file; all are kept, and a split made here keeps copies together; 1 "
        "such picture in more than one split; 1 such picture in more than one class: 'test/ants/same.png = "
        "train/ants/00.png = train/ants/copy.png', 'train/ants/01.png = train/bees/ant.png'"
    )


def test_copies_stay_on_one_side_of_what_is_carved(class_folders):
    folder = class_folders({"ants": 12, "bees": 12})
    for label in ("ants", "bees"):
        for i in range(12):
            shutil.copy(folder / label / f"{i:02}.png", folder / label / f"copy {i:02}.png")
    shutil.copy(folder / "ants" / "03.png", folder / "bees" / "really an ant.png")
    for seed in range(5):
        data = with_validation(load(folder, seed=seed), 0.2, seed)
        assert sum(len(split) for split in data) == 49
        contents = [{path.read_bytes() for path in split.pictures.paths} for split in data]
        assert sum(map(len, contents)) == 24, "no content is in two splits"
        assert all(len(split) >= 6 for split in data)
    # Where nothing is a copy, nothing is grouped.
    assert load(class_folders({"a": 3, "b": 3}, "others")).train.columns == {}


def test_a_class_of_copies_alone_is_missing_on_one_side_and_that_is_said(class_folders):
    folder = class_folders({"ants": 10, "bees": 1})
    shutil.copy(folder / "bees" / "00.png", folder / "bees" / "01.png")
    data = load(folder)
    assert data.test.counts() == {"ants": 2, "bees": 0}
    assert data.notes[1:] == (
        "the data have no test split: 2 pictures (20 % of each class) were split off with seed 0",
        "test lacks the class 'bees'",
    )


def link(at: Path, to: Path | str, *, folder: bool = False) -> None:
    try:
        at.symlink_to(to, target_is_directory=folder)
    except OSError:
        pytest.skip("this user may not make links")


def test_links_within_the_folder_are_followed(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    link(folder / "ants" / "also.png", folder / "ants" / "00.png")
    link(folder / "wasps", folder / "bees", folder=True)
    data = load(folder, test_fraction=0)
    assert data.train.counts() == {"ants": 3, "bees": 2, "wasps": 2}
    assert "3 files with the same bytes as another file" in data.notes[0]


@pytest.mark.parametrize("where", ["ants/file.png", "ants/folder", "class", "labels.txt"])
def test_links_out_of_the_folder_are_refused(class_folders, tmp_path, where):
    folder = class_folders({"ants": 2, "bees": 2})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes((folder / "ants/00.png").read_bytes())
    link(folder / where, outside if "." not in where else outside / "x.png", folder="." not in where)
    with pytest.raises(DataError) as error:
        load(folder)
    assert str(error.value).startswith(f"The link {folder / where} leads out of the folder, to {outside}")
    assert str(error.value).endswith("Copy its target, or remove the link.")


def test_links_in_circles_are_refused(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    link(folder / "ants" / "up", folder, folder=True)
    with pytest.raises(DataError) as error:
        load(folder)
    assert (
        str(error.value)
        == f"The link {folder / 'ants' / 'up'} leads in a circle, back to {folder.resolve()}. Remove it."
    )
    (folder / "ants" / "up").unlink()
    # Two that lead to each other.
    (folder / "ants" / "inner").mkdir()
    link(folder / "ants" / "inner" / "a", folder / "bees", folder=True)
    link(folder / "bees" / "b", folder / "ants" / "inner", folder=True)
    with pytest.raises(DataError, match="leads in a circle, back to"):
        load(folder)


def test_links_to_themselves_and_to_nothing(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    link(folder / "ants" / "self.png", folder / "ants" / "self.png")
    with pytest.raises(DataError, match=r"self\.png leads in a circle. Remove it"):
        load(folder)
    (folder / "ants" / "self.png").unlink()
    link(folder / "bees" / "gone.png", folder / "nothing.png")
    with pytest.raises(DataError, match=r"gone\.png leads to nothing. Remove it"):
        load(folder)


def test_a_link_to_the_folder_itself_is_fine(class_folders, tmp_path):
    link(tmp_path / "linked", class_folders({"ants": 2, "bees": 2}), folder=True)
    assert len(load(tmp_path / "linked").classes) == 2


@posix
def test_a_pipe_does_not_hang(class_folders):
    folder = class_folders({"ants": 2, "bees": 2})
    os.mkfifo(folder / "ants" / "pipe.png")
    assert load(folder, test_fraction=0).notes[0].endswith("left out: 'ants/pipe.png'")


def test_folders_of_nothing(tmp_path, class_folders, photo):
    with pytest.raises(MissingDataError) as error:
        load(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} has no pictures (PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF). Give a folder that has one folder of "
        f"pictures per class."
    )
    photo().save(tmp_path / "loose.png")
    with pytest.raises(MissingDataError) as error:
        load(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} has 1 picture, but no class folders. Make one folder per class in it, and put the pictures there."
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "text.jpg").write_text("hello")
    with pytest.raises(MissingDataError) as error:
        load(tmp_path)
    assert str(error.value).startswith(
        f"{tmp_path} has no readable picture among 1 file. The first: a/text.jpg is not a supported picture: "
    )


def test_one_class_only(class_folders):
    folder = class_folders({"ants": 3})
    with pytest.raises(DataError) as error:
        load(folder)
    assert str(error.value) == (
        f"{folder} has pictures of one class only, 'ants'; a classifier needs two or more. Make one folder of pictures "
        f"per class."
    )


def test_too_few_for_a_test_split(class_folders):
    data = load(class_folders({"ants": 1, "bees": 1}))
    assert list(data.splits) == ["train"]
    assert data.notes == ("there are too few pictures for a test split, so all are in train",)


def test_the_order_is_that_of_the_names(class_folders, photo):
    folder = class_folders({"Zebra": 1, "ant": 1, "Ant2": 1})
    data = read(folder, test_fraction=0)
    assert data.classes == ("Ant2", "Zebra", "ant"), "upper case first, on every platform"
    assert data.train.ids.tolist() == sorted(data.train.ids.tolist())


@posix
def test_a_folder_that_may_not_be_read(class_folders, monkeypatch):
    folder = class_folders({"ants": 2, "bees": 2})
    truly = Path.iterdir

    def refuse(self: Path) -> object:
        if self.name == "bees":
            raise PermissionError(13, "Permission denied", str(self))
        return truly(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"bees cannot be read: permission denied\. Change its permissions, or copy it"):
        load(folder)


def test_the_real_photos(data_root):
    folder = data_root / "hymenoptera"
    if not folder.is_dir():
        pytest.skip("there is no hymenoptera in PELLUCID_DATA: this test is not run")
    data = load(folder)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 245, "validation": 153}
    assert data.notes[0] == "2 hidden or system files ignored: '.DS_Store'"
    assert data.notes[1].endswith(": 'train/ants/imageNotFound.gif'"), "a web page's placeholder among the ants"
    assert len(data.notes) == 2
    from pellucid.data.preprocessing import prepare
    from pellucid.records import Preprocessing

    pictures = prepare(data.validation, Preprocessing(channels=3, height=32, width=32, fit="crop"))
    assert pictures.shape == (153, 3, 32, 32)
    assert 50 < np.mean(pictures) < 200


def test_names_on_one_line():
    assert on_one_line("a\nb\r\x1b[31m🐝 é") == "a\\nb\\r\\x1b[31m🐝 é"


def test_a_placeholder_among_photographs_is_named(class_folders, photo):
    folder = class_folders({"ants": 30, "bees": 30})
    photo(300, 300).save(folder / "ants" / "imageNotFound.gif")
    data = load(folder, test_fraction=0)
    note = "1 file in another format than the others (PNG); kept, but check that it belongs there"
    assert data.notes == (f"{note}: 'ants/imageNotFound.gif'",)
    for i in range(5):
        photo(310 + i, 300).save(folder / "bees" / f"{i}.gif")
    assert load(folder, test_fraction=0).notes == (), "this many are no accident"
