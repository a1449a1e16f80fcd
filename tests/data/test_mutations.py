"""20,000 mutations of real files: each is read or refused with a sentence, in bounded memory and time."""

from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid.data.idx import read_idx, write_idx
from pellucid.data.loading import load
from pellucid.errors import DataError

MUTATIONS = 20_000
BOUND = 16 << 20
"""Bytes that reading may take: the files hold some 100 kB, and pieces of 1 MiB are read."""
_SIZES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


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


@pytest.fixture
def sources(tmp_path, digits, cifar_files, make_tar) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """Real files, and what reads a mutation of each."""
    folder = tmp_path / "work"
    folder.mkdir()
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    write_idx(images, digits.train.pictures[:60, 0])
    write_idx(labels, digits.train.labels[:60].astype(np.uint8))
    whole = {"images": images.read_bytes(), "labels": labels.read_bytes()}

    def pair(path: Path, other: Path, kept: bytes) -> Callable[[bytes], object]:
        def read(content: bytes) -> object:
            path.write_bytes(content)
            other.write_bytes(kept)
            return load(folder)

        return read

    def alone(content: bytes) -> object:
        (tmp_path / "alone").write_bytes(content)
        return read_idx(tmp_path / "alone")

    batches = tmp_path / "cifar"
    batches.mkdir()
    for name, content in cifar_files.items():
        if "batch" in name:
            (batches / name).write_bytes(content[: 3073 * 2])
    small = {f"cifar-10-batches-bin/{path.name}": path.read_bytes() for path in sorted(batches.iterdir())}

    def batch(content: bytes) -> object:
        (batches / "test_batch.bin").write_bytes(content)
        return load(batches)

    def archive(content: bytes) -> object:
        (tmp_path / "cifar.tar.gz").write_bytes(content)
        return load(tmp_path / "cifar.tar.gz")

    floats = tmp_path / "floats"
    write_idx(floats, np.linspace(0, 1, 200).reshape(2, 10, 10))
    return {
        "images": (whole["images"], pair(images, labels, whole["labels"])),
        "images, packed": (gzip.compress(whole["images"], mtime=0), pair(images, labels, whole["labels"])),
        "labels": (whole["labels"], pair(labels, images, whole["images"])),
        "labels, packed": (gzip.compress(whole["labels"], mtime=0), pair(labels, images, whole["images"])),
        "floats": (floats.read_bytes(), alone),
        "batch": (small["cifar-10-batches-bin/test_batch.bin"], batch),
        "archive": (make_tar(small, packed=False), archive),
        "archive, packed": (make_tar(small), archive),
    }


def run(sources: dict[str, tuple[bytes, Callable[[bytes], object]]], count: int) -> Counter[tuple[str, bool]]:
    """Reads mutations in turn; counts which were read and which refused."""
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
        except Exception as error:  # noqa: BLE001 (whatever else comes is what this test looks for)
            pytest.fail(f"mutation {number} of {name} ended in {error!r}")
        else:
            outcomes[name, True] += 1
    return outcomes


def test_some_mutations_in_bounded_memory(sources):
    for content, read in sources.values():
        read(content)
    tracemalloc.start()
    try:
        outcomes = run(sources, 800)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < BOUND
    assert outcomes.total() == 800
    # Damaged headers are refused; damaged pixels are pixels.
    assert outcomes["images", False] > 20
    assert outcomes["images", True] > 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_thousand_mutations(sources):
    outcomes = run(sources, MUTATIONS)
    assert outcomes.total() == MUTATIONS
    assert {name for name, read in outcomes if not read} == set(sources)
