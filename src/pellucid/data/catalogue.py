"""Registries of the named data sets and of the folder formats: name -> module path. Imports neither NumPy nor torch.

To add a named set: write a module with `load(name) -> Dataset`, add a line to `DATASETS`, and add a fixture. To add a
folder format: write a module with `recognises(path) -> bool` and `read(path, *, test_fraction, seed) -> Dataset`, and
add a line to `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.data.location import data_root

if TYPE_CHECKING:
    from pellucid.records import Dataset

__all__ = ["DATASETS", "FORMATS", "Description", "Entry", "describe", "is_published", "lookup"]

_IDX_FILES = tuple(
    (f"{split}-{what}-ubyte", f"{split}-{what}-ubyte.gz", f"{split}-{what.replace('-', '.')}-ubyte")
    for split in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)


@dataclass(frozen=True)
class Entry:
    """One named set.

    Attributes:
        module: module that reads it, with `load(name) -> Dataset`.
        summary: what the pictures show, in one line.
        pictures: number of pictures in each split.
        shape: (C, H, W).
        classes: number of classes.
        licence: licence of the data.
        source: web page with more information.
        folder: folder in the data root; empty if the set comes with an installed package.
        needs: groups of file names; the folder must have one file of each group.
        download: approximate size of the download, in megabytes.
    """

    module: str
    summary: str
    pictures: tuple[tuple[str, int], ...]
    shape: tuple[int, int, int]
    classes: int
    licence: str
    source: str
    folder: str = ""
    needs: tuple[tuple[str, ...], ...] = ()
    download: int = 0

    def root(self) -> Path:
        """Its folder in the data root, which may not exist."""
        return data_root() / self.folder

    def found(self) -> Path | None:
        """Its folder in the data root; None if a file is missing."""
        folder = self.root()
        try:
            complete = all(any((folder / name).exists() for name in group) for group in self.needs)
        except OSError:
            # This user may not read the data root.
            return None
        return folder if self.folder and complete else None


DATASETS: dict[str, Entry] = {
    "digits": Entry(
        module="pellucid.data.digits",
        summary="Handwritten digits, very small; comes with scikit-learn",
        pictures=(("train", 1437), ("test", 360)),
        shape=(1, 8, 8),
        classes=10,
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80",
    ),
    "mnist": Entry(
        module="pellucid.data.named_idx",
        summary="Handwritten digits",
        pictures=(("train", 60_000), ("test", 10_000)),
        shape=(1, 28, 28),
        classes=10,
        licence="CC BY-SA 3.0",
        source="http://yann.lecun.com/exdb/mnist/",
        folder="mnist",
        needs=_IDX_FILES,
        download=12,
    ),
    "fashion-mnist": Entry(
        module="pellucid.data.named_idx",
        summary="Clothes from a web shop, as small grey pictures",
        pictures=(("train", 60_000), ("test", 10_000)),
        shape=(1, 28, 28),
        classes=10,
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        folder="fashion-mnist",
        needs=_IDX_FILES,
        download=31,
    ),
    "kmnist": Entry(
        module="pellucid.data.named_idx",
        summary="Handwritten cursive Japanese characters",
        pictures=(("train", 60_000), ("test", 10_000)),
        shape=(1, 28, 28),
        classes=10,
        licence="CC BY-SA 4.0",
        source="https://codh.rois.ac.jp/kmnist/",
        folder="kmnist",
        needs=_IDX_FILES,
        download=21,
    ),
    "cifar10": Entry(
        module="pellucid.data.cifar",
        summary="Animals and vehicles, small colour pictures",
        pictures=(("train", 50_000), ("test", 10_000)),
        shape=(3, 32, 32),
        classes=10,
        licence="none stated",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        folder="cifar-10",
        needs=(("cifar-10-binary.tar.gz", "cifar-10-batches-bin"),),
        download=170,
    ),
    "cifar100": Entry(
        module="pellucid.data.cifar",
        summary="Animals, plants, things and people, small colour pictures",
        pictures=(("train", 50_000), ("test", 10_000)),
        shape=(3, 32, 32),
        classes=100,
        licence="none stated",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        folder="cifar-100",
        needs=(("cifar-100-binary.tar.gz", "cifar-100-binary"),),
        download=169,
    ),
}
"""The registry of named sets."""

FORMATS: dict[str, str] = {
    "idx": "pellucid.data.named_idx",
    "parquet": "pellucid.data.parquet",
    "table": "pellucid.data.manifest",
    "tar": "pellucid.data.tar_shards",
    "cifar": "pellucid.data.cifar",
}
"""Format name -> module that recognises and reads a folder or file of this format. The first match is used.
`pellucid.data.folder` reads every other folder as class folders."""


@dataclass(frozen=True)
class Description:
    """One row of the listing of named sets."""

    name: str
    summary: str
    pictures: str
    size: str
    classes: int
    where: str
    licence: str
    source: str


def describe() -> list[Description]:
    """One row for each named set, without reading the data: the listing of `pellucid datasets`."""
    return list(_rows())


def lookup(name: str) -> Entry:
    """The entry of a named set.

    Raises:
        UnknownNameError: the name is unknown; the message suggests similar names.
    """
    from pellucid.errors import UnknownNameError

    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS, "Or give the path of a folder.")
    return DATASETS[name]


def is_published(data: Dataset) -> bool:
    """Whether this is an unchanged named set in memory. Published sets are not searched for near-duplicates."""
    return data.name in DATASETS and all(split.shape is not None for split in data)


def _rows() -> Iterator[Description]:
    for name, entry in DATASETS.items():
        channels, height, width = entry.shape
        on_disk = entry.found()
        if not entry.folder:
            where = "comes with scikit-learn"
        elif on_disk is not None:
            where = str(on_disk)
        else:
            where = f"downloaded on first use ({entry.download} MB)"
        yield Description(
            name=name,
            summary=entry.summary,
            pictures=" + ".join(f"{n:,} {split}" for split, n in entry.pictures),
            size=f"{width}×{height} {'grey' if channels == 1 else 'colour'}",
            classes=entry.classes,
            where=where,
            licence=entry.licence,
            source=entry.source,
        )
