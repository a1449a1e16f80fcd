"""Reader of the binary versions of CIFAR-10 and CIFAR-100: the tar.gz or its folder. Never opens their pickle files.

    CIFAR-10    a record is 1 label byte and 3,072 bytes of pixels: 32×32 red, then green, then blue, row by row
    CIFAR-100   the same, with two label bytes: one of 20 coarse classes, then one of 100 fine ones

Source: https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny
Images", 2009).

An archive is read as a stream; nothing is extracted to disk. To bound memory, at most 256 MiB and 1,000 members of an
archive are unpacked, and a file is read only if its size is right.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from pellucid.data.catalogue import DATASETS
from pellucid.data.download import Remote, obtain
from pellucid.data.files import is_gzip, read_errors
from pellucid.data.splitting import lacking
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset, Split
from pellucid.records.names import counted, on_one_line

__all__ = ["REMOTES", "load", "read", "recognises"]

_PIXELS = 3 * 32 * 32
_MOST_UNPACKED = 256 << 20
_MOST_MEMBERS = 1000
_PIECE = 1 << 20

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
_COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""


@dataclass(frozen=True)
class _Kind:
    """One of the two sets: its file names and record format.

    `labels` maps each label byte of a record, in order, to its names; the last one is the class.
    """

    name: str
    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    title: str

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels["class"]

    @property
    def record(self) -> int:
        """Size of one picture with its labels, in bytes."""
        return len(self.labels) + _PIXELS


_KINDS = {
    "cifar10": _Kind(
        name="cifar10",
        archive="cifar-10-binary.tar.gz",
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test=("test_batch.bin",),
        labels={"class": _CLASSES},
        title="CIFAR-10: colour pictures of 32×32 pixels in 10 classes (Krizhevsky, 2009).",
    ),
    "cifar100": _Kind(
        name="cifar100",
        archive="cifar-100-binary.tar.gz",
        folder="cifar-100-binary",
        train=("train.bin",),
        test=("test.bin",),
        labels={"coarse": tuple(_COARSE.split()), "class": tuple(_FINE.split())},
        title="CIFAR-100: colour pictures of 32×32 pixels in 100 classes (Krizhevsky, 2009).",
    ),
}

REMOTES: dict[str, Remote] = {
    "cifar10": Remote(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        "c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "cifar100": Remote(
        "cifar-100-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
        "03b5dce01913d631647c71ecec9e9cb8",
    ),
}
"""Download address of each set, and the MD5 sum that its web page gives."""


def load(name: str) -> Dataset:
    """Read a named set from the data root; download it first if necessary.

    Raises:
        DownloadError: the download failed; the message says where to put which file.
        FormatError: a file is damaged or has another format.
    """
    kind, entry = _KINDS[name], DATASETS[name]
    folder = entry.found() or obtain(REMOTES[name], entry.root()).parent
    contents = _find(folder, kind)
    dataset = _dataset(kind, contents)
    notes = [
        f"{split} has {counted(len(dataset.split(split)), 'picture')}; the published set has {expected:,}"
        for split, expected in entry.pictures
        if len(dataset.split(split)) != expected
    ]
    return Dataset(dataset.name, dataset.splits, dataset.description, (*dataset.notes, *notes))


def recognises(path: Path) -> bool:
    """Whether a path is a tar archive, by its name, or a folder with the files of CIFAR."""
    if path.is_file():
        return path.name.lower().endswith((".tar.gz", ".tgz", ".tar"))
    return any(
        (path / kind.archive).is_file()
        or (path / kind.folder / kind.test[0]).is_file()
        or all((path / file).is_file() for file in (kind.train[0], kind.test[0]))
        for kind in _KINDS.values()
    )


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:  # noqa: ARG001 (CIFAR has its own test)
    """Read a binary CIFAR archive, or a folder that has the archive or its files.

    Raises:
        FormatError: a file has a wrong size or a label out of range; an archive is damaged, has other content, or has
            paths that lead outside it.
        MissingDataError: a file is missing.
    """
    if path.is_file():
        contents = _read_archive(path)
        for kind in _KINDS.values():
            if kind.test[0] in contents:
                return _dataset(kind, {file: (f"{path}: {file}", data) for file, data in contents.items()})
        raise FormatError(
            f"{path} is not a binary CIFAR archive: it has neither test_batch.bin nor test.bin. If it holds pictures, "
            f"unpack it and give its folder."
        )
    for kind in _KINDS.values():
        inner = path / kind.folder
        if (path / kind.archive).is_file() or inner.is_dir() or (path / kind.test[0]).is_file():
            return _dataset(kind, _find(path, kind))
    raise MissingDataError(f"{path} has no CIFAR files.")


_Contents = dict[str, tuple[str, bytearray]]
"""File name -> (its name in error messages, content)."""


def _find(folder: Path, kind: _Kind) -> _Contents:
    """The files of a set in a folder: unpacked files, or else the archive."""
    for candidate in (folder / kind.folder, folder):
        if (candidate / kind.test[0]).is_file():
            return {
                file: (str(candidate / file), _read_file(candidate / file, kind)) for file in kind.train + kind.test
            }
    archive = folder / kind.archive
    return {file: (f"{archive}: {file}", data) for file, data in _read_archive(archive).items()}


def _read_file(path: Path, kind: _Kind) -> bytearray:
    with read_errors(path), path.open("rb") as stream:
        size = path.stat().st_size
        _check_size(str(path), size, kind)
        return _read_at_most(stream, size)


def _check_size(name: str, size: int, kind: _Kind) -> None:
    if size <= 0 or size % kind.record or size > _MOST_UNPACKED:
        raise FormatError(
            f"{name} has a wrong size: {size:,} bytes are too many, or not a whole number of records of "
            f"{kind.record:,} bytes. Copy or download it again."
        )


class _Bounded:
    """A stream that raises FormatError once more bytes were read than a CIFAR archive has."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.stream, self.path, self.total = stream, path, 0

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        self.total += len(piece)
        if self.total > _MOST_UNPACKED:
            raise FormatError(f"{self.path} unpacks to more than {_MOST_UNPACKED:,} bytes; no CIFAR archive does.")
        return piece


def _read_archive(path: Path) -> dict[str, bytearray]:
    """The CIFAR files of an archive, by their names without folders."""
    kind_of_file = {file: kind for kind in _KINDS.values() for file in kind.train + kind.test}
    contents: dict[str, bytearray] = {}
    with read_errors(path), gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as stream:
        bounded = _Bounded(stream, path)  # pyrefly: ignore
        try:
            # Stream mode: reads from start to end, without seeking. Nothing is extracted.
            with tarfile.open(fileobj=bounded, mode="r|", bufsize=_PIECE) as archive:  # pyrefly: ignore
                for number, member in enumerate(archive):
                    _check_member(path, member, number)
                    file = PurePosixPath(member.name).name
                    if not member.isfile() or file not in kind_of_file:
                        continue
                    if file in contents:
                        raise FormatError(f"{path} has {file} twice; a binary CIFAR archive has each file once.")
                    _check_size(f"{path}: {file}", member.size, kind_of_file[file])
                    source = archive.extractfile(member)
                    assert source is not None
                    contents[file] = _read_at_most(source, member.size)
            while bounded.read(_PIECE):
                # Read to the end, where gzip stores its checksum.
                pass
        except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise FormatError(f"{path} is damaged or no tar archive ({error}). Copy or download it again.") from error
    return contents


def _check_member(path: Path, member: tarfile.TarInfo, number: int) -> None:
    # Check before tarfile looks for the next member: with a wrong huge size, it would read on for years.
    if member.size < 0:
        raise FormatError(
            f"{path} is damaged: the header of '{on_one_line(member.name)}' declares a wrong size. Copy it again."
        )
    if member.size > _MOST_UNPACKED or number >= _MOST_MEMBERS:
        raise FormatError(
            f"{path} has more or larger files than a CIFAR archive, and is not a WebDataset shard; it is damaged or "
            f"something else."
        )
    parts = PurePosixPath(member.name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in member.name:
        raise FormatError(
            f"{path} has a path that leads outside it, {member.name!r}; no CIFAR archive does. Do not unpack it."
        )
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise FormatError(
            f"{path} has {member.name!r}, which is neither a file nor a folder; a CIFAR archive has nothing else."
        )


def _read_at_most(stream: BinaryIO, size: int) -> bytearray:
    """Up to `size` bytes, in a buffer that grows with the bytes read."""
    content = bytearray()
    while len(content) < size and (piece := stream.read(min(_PIECE, size - len(content)))):
        content += piece
    return content


def _dataset(kind: _Kind, contents: _Contents) -> Dataset:
    splits = {"train": _split("train", kind.train, kind, contents), "test": _split("test", kind.test, kind, contents)}
    return Dataset(kind.name, splits, kind.title, tuple(lacking(splits)))


def _split(name: str, files: tuple[str, ...], kind: _Kind, contents: _Contents) -> Split:
    pictures, labels = [], []
    for file in files:
        if file not in contents:
            raise MissingDataError(f"{kind.folder} lacks the file {file}. Copy or download it again.")
        full_name, data = contents[file]
        _check_size(full_name, len(data), kind)
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, kind.record)
        head = records[:, : len(kind.labels)]
        for column, names in enumerate(kind.labels.values()):
            highest = int(head[:, column].max())
            if highest >= len(names):
                first = int(np.argmax(head[:, column] >= len(names)))
                raise FormatError(
                    f"{full_name} has a label out of range: record {first:,} has label {head[first, column]}, but the "
                    f"{len(names)} classes are numbered 0 to {len(names) - 1}."
                )
        labels.append(head)
        pictures.append(records[:, len(kind.labels) :])
    heads = np.concatenate(labels)
    columns = {
        column: np.array(names)[heads[:, i]]
        for i, (column, names) in enumerate(kind.labels.items())
        if column != "class"
    }
    return Split(
        name,
        np.concatenate(pictures).reshape(-1, 3, 32, 32),
        heads[:, -1].astype(np.int64),
        kind.classes,
        columns=columns,
        dataset=kind.name,
    )
