import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import named_idx
from pellucid.data.idx import read_idx, write_idx
from pellucid.data.loading import load
from pellucid.data.preprocessing import measure
from pellucid.errors import DataError, DownloadError, FormatError, MissingDataError


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_of_idx_pairs(idx_folder, digits, suffix):
    data = load(idx_folder(suffix=suffix))
    assert data.name == "somewhere"
    assert list(data.splits) == ["train", "test"]
    np.testing.assert_array_equal(data.train.pictures, digits.train.pictures[:100])
    np.testing.assert_array_equal(data.train.labels, digits.train.labels[:100])
    np.testing.assert_array_equal(data.test.pictures, digits.test.pictures[:40])
    assert data.classes == digits.classes
    assert data.notes == ()
    assert data.train.ids[3] == "train/3"


@pytest.mark.parametrize(
    ("prefixes", "splits"),
    [
        (("train", "test"), ["train", "test"]),
        (("train", "validation"), ["train", "validation"]),
        (("Train", "val"), ["train", "validation"]),
        (("emnist-letters-train", "emnist-letters-test"), ["train", "test"]),
        (("test",), ["test"]),
        (("train",), ["train"]),
    ],
)
def test_prefixes_say_the_split(idx_folder, prefixes, splits):
    assert list(load(idx_folder(prefixes=prefixes)).splits) == splits


@pytest.mark.parametrize(
    "pattern",
    ["train-{}.idx{}-ubyte", "train_{}.idx{}", "{}-idx{}-ubyte.gz", "train {}.gz", "{}"],
)
def test_names_in_use(tmp_path, digits, pattern):
    folder = tmp_path / "names"
    folder.mkdir()
    write_idx(folder / pattern.format("images", 3), digits.train.pictures[:50, 0])
    write_idx(folder / pattern.format("labels", 1), digits.train.labels[:50].astype(np.uint8))
    assert named_idx.recognises(folder)
    assert sum(len(split) for split in load(folder)) == 50


def test_without_a_split_a_test_part_is_carved(idx_folder):
    folder = idx_folder(prefixes=("all",))
    data = load(folder, test_fraction=0.3, seed=2)
    assert [len(split) for split in data] == [70, 30]
    assert data.notes == ("the data have no test split: 30 pictures (30 % of each class) were split off with seed 2",)
    assert list(load(folder, test_fraction=0).splits) == ["train"]


def test_colour_and_other_types(tmp_path):
    pictures = np.arange(6 * 3 * 4 * 5).reshape(6, 3, 4, 5) % 256
    write_idx(tmp_path / "train-images-idx4-short", pictures.astype(np.int16))
    write_idx(tmp_path / "images.idx4", pictures.astype(np.int16))
    write_idx(tmp_path / "labels.idx1", np.array([0, 1, 2] * 2, dtype=np.int32))
    data = load(tmp_path, test_fraction=0)
    np.testing.assert_array_equal(data.train.pictures, pictures)


def test_both_forms_of_a_file_are_said(idx_folder):
    folder = idx_folder()
    idx_folder(suffix=".gz")
    assert load(folder).notes == (
        "train-images-idx3-ubyte.gz was not read: train-images-idx3-ubyte has the same content",
        "train-labels-idx1-ubyte.gz was not read: train-labels-idx1-ubyte has the same content",
        "t10k-images-idx3-ubyte.gz was not read: t10k-images-idx3-ubyte has the same content",
        "t10k-labels-idx1-ubyte.gz was not read: t10k-labels-idx1-ubyte has the same content",
    )


def column(*values: int, dtype: type = np.uint8) -> np.ndarray:
    return np.array(values, dtype=dtype)


PICTURES = np.zeros((3, 4, 4), dtype=np.uint8)
REFUSED = {
    "unequal": (PICTURES, column(0, 1), "-images-idx3-ubyte has 3 pictures, but "),
    "negative": (PICTURES, column(0, -1, 1, dtype=np.int8), "has a label out of range: -1; labels must be between 0"),
    "huge": (PICTURES, column(0, 1, 2**30, dtype=np.int32), "has a label out of range: 1073741824;"),
    "fractions": (
        PICTURES,
        column(0, 1, 2, dtype=np.float32),
        "has float32 values in 1 dimensions; labels must be whole",
    ),
    "two ranks": (PICTURES, column(0, 1, 2)[:, None], "has uint8 values in 2 dimensions; labels must be whole numbers"),
    "flat": (PICTURES[0], column(0, 1, 2, 3), "has 2 dimensions; pictures need three (number, height, width) or four."),
    "channels": (PICTURES[:, :, :, None].repeat(2, 3), column(0, 1, 2), "this array has shape (3, 4, 4, 2)."),
    "nothing": (PICTURES[:0], column(), "train-images-idx3-ubyte has no pictures."),
    "no pixels": (PICTURES[:, :0], column(0, 1, 2), "train-images-idx3-ubyte has no pictures."),
    "values": (PICTURES.astype(np.int16) - 5, column(0, 1, 2), "these range from -5 to -5."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_has_its_own_sentence(tmp_path, case):
    pictures, values, sentence = REFUSED[case]
    write_idx(tmp_path / "train-images-idx3-ubyte", pictures)
    write_idx(tmp_path / "train-labels-idx1-ubyte", values)
    with pytest.raises(DataError) as error:
        load(tmp_path)
    assert sentence in str(error.value)


def test_a_lonely_file(idx_folder):
    folder = idx_folder()
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingDataError) as error:
        load(folder)
    assert str(error.value) == (
        f"The labels of {folder / 't10k-images-idx3-ubyte'} are missing; put the file with the labels in the "
        f"same folder."
    )


def test_several_sets_in_one_folder(idx_folder):
    folder = idx_folder(prefixes=("letters-train", "letters-test"))
    idx_folder(prefixes=("digits-train", "digits-test"))
    with pytest.raises(
        FormatError, match=r"has several sets of IDX files, 'digits' and 'letters'\. Put each set in its own folder"
    ):
        load(folder)


def test_train_beside_unnamed(idx_folder):
    folder = idx_folder(prefixes=("train", ""))
    with pytest.raises(FormatError, match="IDX files of the split 'train' and others without a split in their names"):
        load(folder)


def test_class_folders_are_not_idx(class_folders):
    folder = class_folders({"images": 2, "labels": 2})
    (folder / "labels").joinpath("labels.txt").write_text("x")
    assert not named_idx.recognises(folder)
    assert not named_idx.recognises(folder / "images" / "00.png")
    assert load(folder).classes == ("images", "labels")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_named_sets_are_found_in_the_data_root(idx_folder, monkeypatch, tmp_path, name):
    idx_folder(name, suffix=".gz")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    data = load(name)
    assert (data.name, len(data.classes), len(data.train)) == (name, 10, 100)
    assert data.notes == (
        "train has 100 pictures; the published set has 60,000",
        "test has 40 pictures; the published set has 10,000",
    )


def test_a_named_set_with_labels_out_of_range(idx_folder, monkeypatch, tmp_path):
    folder = idx_folder("mnist")
    write_idx(folder / "t10k-labels-idx1-ubyte", np.full(40, 10, dtype=np.uint8))
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    with pytest.raises(FormatError) as error:
        load("mnist")
    assert str(error.value) == (
        "The highest label in the test split of mnist is 10, but its 10 classes are numbered 0 to 9."
    )


def test_offline_says_which_file_to_put_where(monkeypatch, tmp_path, idx_folder):
    folder = idx_folder("mnist")
    (folder / "t10k-images-idx3-ubyte").unlink()
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    # The tests' own network refuses every address but this machine's.
    with pytest.raises(DownloadError) as error:
        load("mnist")
    text = str(error.value)
    assert text.startswith(
        "t10k-images-idx3-ubyte.gz could not be downloaded (ossci-datasets.s3.amazonaws.com could not"
    )
    assert "Download it from https://ossci" in text
    assert f" and save it as {folder / 't10k-images-idx3-ubyte.gz'}, or set PELLUCID_DATA" in text
    assert text.endswith("or set PELLUCID_DATA to the folder that has mnist/t10k-images-idx3-ubyte.gz.")
    assert sorted(path.name for path in folder.iterdir()) == [
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]


def test_published_sums_are_torchvisions():
    datasets = pytest.importorskip("torchvision.datasets")
    for name, theirs in (("fashion-mnist", datasets.FashionMNIST), ("kmnist", datasets.KMNIST)):
        ours = [(remote.file, remote.md5) for remote in named_idx.REMOTES[name]]
        assert ours == [tuple(resource) for resource in theirs.resources]
    assert [remote.file for remote in named_idx.REMOTES["mnist"]] == [name for name, _ in datasets.MNIST.resources]


def test_published_sums_of_mnist_are_those_of_the_real_files(data_root):
    import hashlib

    for remote in named_idx.REMOTES["mnist"]:
        content = gzip.decompress((data_root / "mnist" / remote.file).read_bytes())
        assert hashlib.md5(content).hexdigest() == remote.md5


def test_the_same_classes_as_torchvision():
    datasets = pytest.importorskip("torchvision.datasets")
    assert list(named_idx._CLASSES["fashion-mnist"]) == datasets.FashionMNIST.classes
    assert list(named_idx._CLASSES["kmnist"]) == datasets.KMNIST.classes


@settings(max_examples=150, deadline=None)
@given(images=st.binary(max_size=60), values=st.binary(max_size=20), head=st.booleans())
def test_any_pair_is_read_or_refused(tmp_path_factory, images, values, head):
    folder = tmp_path_factory.getbasetemp() / "fuzz-pair"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = (b"\0\0\x08\x03\0\0\0\2\0\0\0\2\0\0\0\2", b"\0\0\x08\x01\0\0\0\2") if head else (b"", b"")
    (folder / "images-idx3").write_bytes(start[0] + images)
    (folder / "labels-idx1").write_bytes(start[1] + values)
    try:
        data = load(folder)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 (to refuse is one of two right answers)
    else:
        assert all(len(split.labels) == len(split) for split in data)


def test_mnist_has_its_known_moments(data_root):
    found = measure(load(data_root / "mnist").train.pictures)
    np.testing.assert_allclose([*found.mean, *found.std], [0.1307, 0.3081], atol=5e-5)


@pytest.fixture
def sources(tmp_path, idx_folder):
    """Real files, and what reads a mutation of each."""
    folder = idx_folder("mutated", prefixes=("train",))
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    whole = {images: images.read_bytes(), labels: labels.read_bytes()}

    def pair(path: Path, other: Path):
        def read(content: bytes) -> object:
            path.write_bytes(content)
            other.write_bytes(whole[other])
            return load(folder)

        return read

    def alone(content: bytes) -> object:
        (tmp_path / "alone").write_bytes(content)
        return read_idx(tmp_path / "alone")

    write_idx(tmp_path / "floats", np.linspace(0, 1, 200).reshape(2, 10, 10))
    return {
        "images": (whole[images], pair(images, labels)),
        "images, packed": (gzip.compress(whole[images], mtime=0), pair(images, labels)),
        "labels": (whole[labels], pair(labels, images)),
        "labels, packed": (gzip.compress(whole[labels], mtime=0), pair(labels, images)),
        "floats": ((tmp_path / "floats").read_bytes(), alone),
    }


def test_mutations_cost_little_memory(sources, mutate, bounded):
    # The files hold a few kilobytes, and are read in pieces of 1 MiB, whatever their headers say.
    bounded(lambda: mutate(sources, 250), 8 << 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_mutations(sources, mutate):
    outcomes = mutate(sources, 10_000)
    assert outcomes.total() == 10_000
    assert {name for name, read in outcomes if not read} == set(sources), "damaged headers are refused"
    assert outcomes["images", True] > 100, "damaged pixels are pixels"


def test_twelve_numbers_are_twelve_classes_in_their_order(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((24, 8, 8), dtype=np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.repeat(np.arange(12, dtype=np.uint8), 2))
    assert load(tmp_path, test_fraction=0).classes == tuple(map(str, range(12))), "as tests/data/test_labels.py has it"


def test_all_of_a_set_without_splits_is_the_test(tmp_path):
    write_idx(tmp_path / "images-idx3-ubyte", np.zeros((6, 8, 8), dtype=np.uint8))
    write_idx(tmp_path / "labels-idx1-ubyte", np.arange(6, dtype=np.uint8) % 2)
    data = load(tmp_path, test_fraction=1)
    assert {name: len(split) for name, split in data.splits.items()} == {"test": 6}
