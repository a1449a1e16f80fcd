"""Small real files, made of scikit-learn's digits: IDX pairs, CIFAR records, and pictures in every format."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.digits import load as load_digits
from pellucid.errors import DataError
from pellucid.records import Dataset


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_digits()


@pytest.fixture
def idx_folder(tmp_path, digits) -> Callable[..., Path]:
    """Writes digits as the four files of MNIST: 100 training and 40 test pictures."""
    from pellucid.data.idx import write_idx  # here, so that the IDX source can be deleted with its own tests alone

    def write(name: str = "somewhere", *, suffix: str = "", prefixes: tuple[str, ...] = ("train", "t10k")) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for prefix, split, n in zip(prefixes, digits, (100, 40), strict=False):
            write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", split.pictures[:n, 0])
            write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", split.labels[:n].astype(np.uint8))
        return folder

    return write


@pytest.fixture(scope="session")
def cifar_files(digits) -> dict[str, bytes]:
    """The files of CIFAR-10 and of CIFAR-100, of 20 digits each in three different channels."""

    def records(start: int, coarse: bool) -> bytes:
        part = digits.train.take(np.arange(start, start + 20))
        colour = np.concatenate([part.pictures, 255 - part.pictures, part.pictures // 2], axis=1)
        large = np.repeat(np.repeat(colour, 4, axis=2), 4, axis=3).reshape(20, -1)
        heads = [part.labels[:, np.newaxis].astype(np.uint8)]
        return np.concatenate([*(heads * (2 if coarse else 1)), large], axis=1).tobytes()

    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "train.bin", "test.bin"]
    return {name: records(20 * i, name in ("train.bin", "test.bin")) for i, name in enumerate(names)}


def tar(members: dict[str, bytes], *, packed: bool = True) -> bytes:
    """A tar archive of files; the same ones give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0) if packed else buffer.getvalue()


@pytest.fixture(scope="session")
def make_tar() -> Callable[..., bytes]:
    return tar


@pytest.fixture(scope="session")
def cifar10_archive(cifar_files) -> bytes:
    ten = {f"cifar-10-batches-bin/{name}": content for name, content in cifar_files.items() if "batch" in name}
    return tar({"cifar-10-batches-bin/readme.html": b"hello", **ten})


@pytest.fixture
def photo() -> Callable[..., Image.Image]:
    """A colour picture in which no two corners are alike."""

    def draw(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
        y, x = np.mgrid[0:height, 0:width]
        red, green = 255 * x // max(width - 1, 1), 255 * y // max(height - 1, 1)
        blue = np.full_like(red, 40 + 17 * (seed % 12))
        return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))

    return draw


@pytest.fixture
def class_folders(tmp_path, photo) -> Callable[..., Path]:
    """Writes a folder of class folders: {"ants": 4, "bees": 3}, or with `train/ants`."""

    def write(counts: dict[str, int], name: str = "insects") -> Path:
        folder, seed = tmp_path / name, 0
        folder.mkdir(exist_ok=True)
        for label, n in counts.items():
            (folder / label).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                # All of them differ in size and in what they show: none is a copy of another.
                spots = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(spots).resize((20 + seed, 16)).save(folder / label / f"{i:02}.png")
                seed += 1
        return folder

    return write


_SIZES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
Reader = Callable[[bytes], object]


def mutated(content: bytes, dice: random.Random) -> bytes:
    """One to four small damages, most of them near the start, where headers lie."""
    found = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        if not found:
            break
        place = dice.randrange(min(len(found), 32)) if dice.random() < 0.5 else dice.randrange(len(found))
        kind = dice.randrange(6)
        if kind == 0:
            found[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            found[place] = dice.randrange(256)
        elif kind == 2:
            del found[place:]
        elif kind == 3:
            del found[place : place + dice.randint(1, 64)]
        elif kind == 4:
            found[place:place] = dice.randbytes(dice.randint(1, 64))
        else:
            found[place : place + 4] = struct.pack(">I", dice.choice(_SIZES))
    return bytes(found)


@pytest.fixture(scope="session")
def mutate() -> Callable[..., Counter[tuple[str, bool]]]:
    """Reads mutations of real files in turn, and counts by name which were read (True) and which refused."""

    def run(sources: Mapping[str, tuple[bytes, Reader]], count: int) -> Counter[tuple[str, bool]]:
        dice = random.Random(20261121)
        outcomes: Counter[tuple[str, bool]] = Counter()
        for number in range(count):
            name = list(sources)[number % len(sources)]
            content, read = sources[name]
            damaged = mutated(content, dice)
            try:
                read(damaged)
            except DataError as error:
                assert str(error).endswith("."), error  # noqa: PT017 (to refuse is one of two right answers)
                outcomes[name, False] += 1
            except Exception as error:  # noqa: BLE001 (whatever else comes is what this looks for)
                pytest.fail(f"mutation {number} of {name} ended in {error!r}")
            else:
                outcomes[name, True] += 1
        return outcomes

    return run


@pytest.fixture
def bounded() -> Callable[[Callable[[], object], int], None]:
    """Runs something, and asserts how many bytes Python and NumPy held for it at most."""

    def run(something: Callable[[], object], most: int) -> None:
        something()
        tracemalloc.start()
        try:
            something()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < most, f"{peak:,} bytes"

    return run
