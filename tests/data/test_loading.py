import subprocess
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.data import loading
from pellucid.data.catalogue import DATASETS
from pellucid.data.loading import load
from pellucid.errors import DataError, FormatError, MissingDataError, UnknownNameError, UsageError


def test_the_public_name():
    assert pellucid.load is load


def test_an_unknown_name_says_what_was_meant():
    with pytest.raises(UnknownNameError) as error:
        load("digitz")
    assert str(error.value) == (
        f"There is no data set named 'digitz'. Did you mean 'digits'? Known: {', '.join(sorted(DATASETS))}. "
        f"Or give the path of a folder."
    )
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "source", ["nofolder/", "./nofolder", "~/no-folder-of-this-name", Path("nofolder"), "no\\folder"]
)
def test_a_missing_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError) as error:
        load(source)
    assert str(error.value) == (
        f"There is no folder at {source}. Give the path of a folder of pictures, or one of the names "
        f"{', '.join(DATASETS)}."
    )


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_name_is_not_the_folder_one_stands_in(source, class_folders, monkeypatch):
    monkeypatch.chdir(class_folders({"a": 2, "b": 2}))
    with pytest.raises(UsageError) as error:
        load(source)
    assert str(error.value) == (
        f"The data set has no name: '{source}' was given. Give the path of a folder ('.' is this one), or one "
        f"of the names {', '.join(DATASETS)}."
    )
    assert load(".").classes == ("a", "b")


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"x")
    with pytest.raises(FormatError) as error:
        load(str(path))
    assert str(error.value).startswith(
        f"{path} is a file; data is a folder with one folder of pictures per class, a table of pictures "
        "(.csv, .parquet), an archive (.tar), or one of the names"
    )


def test_a_name_too_long_for_any_folder():
    # Systems say differently what is wrong with it.
    with pytest.raises(DataError, match=r"xxx/? could not be read: .*\.$|There is no folder at xxx"):
        load("x" * 5000 + "/")


def test_a_name_wins_over_a_folder_of_that_name(class_folders, monkeypatch):
    folder = class_folders({"a": 1, "b": 1}, "digits")
    monkeypatch.chdir(folder.parent)
    assert load("digits").classes == tuple("0123456789")
    assert load("./digits").classes == ("a", "b")
    assert load(Path("digits")).classes == ("a", "b")


def test_the_home_folder_is_known(class_folders, monkeypatch):
    folder = class_folders({"a": 1, "b": 1})
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert load("~/insects").name == "insects"


@pytest.mark.parametrize("fraction", [-0.1, 1.5, 3])
def test_fractions_that_are_none(fraction):
    with pytest.raises(UsageError) as error:
        load("digits", test_fraction=fraction)
    assert str(error.value) == f"test_fraction is {fraction}; it must be between 0 and 1, for example 0.2 for a fifth."


def test_formats_are_asked_in_turn(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "FORMATS", {})
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(FormatError, match="is a file"):
        load(tmp_path / "a.tar.gz")


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from pellucid import data; rows = data.describe(); assert rows; "
        "heavy = {'torch', 'numpy', 'PIL', 'sklearn', 'scipy', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_unknown_attribute_of_the_package():
    from pellucid import data

    with pytest.raises(AttributeError, match=r"module 'pellucid\.data' has no attribute 'nonsense'"):
        _ = data.nonsense
    assert {"load", "describe", "from_arrays"} <= set(dir(data))
