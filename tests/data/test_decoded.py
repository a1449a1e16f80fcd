"""The store of decoded pictures: by content, safe against kills, and against others at the same time."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.data import decoded, hashing
from pellucid.data import preprocessing as preparing
from pellucid.data.decoded import stored
from pellucid.data.preprocessing import measure, prepare, prepare_readable
from pellucid.errors import CacheWarning, DataError, FormatError, StorageError
from pellucid.records import MappedPictures, PictureFiles, Preprocessing, Split

HOW = Preprocessing(channels=1, height=4, width=5)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def digests(numbers) -> np.ndarray:
    return np.array([digest(number) for number in numbers], dtype="S32")


def picture(number: int) -> np.ndarray:
    return np.full(HOW.shape, number % 251, dtype=np.uint8)


class Maker:
    """Makes pictures, and remembers which; those of `broken` cannot be made."""

    def __init__(self, numbers, broken=()) -> None:
        self.numbers, self.broken, self.made = list(numbers), set(broken), []

    def __call__(self, index) -> np.ndarray | None:
        self.made.append(self.numbers[index])
        return None if self.numbers[index] in self.broken else picture(self.numbers[index])


def take(numbers, broken=()):
    maker = Maker(numbers, broken)
    found, known = stored(digests(numbers), HOW, maker)
    whole = np.asarray(found)
    np.testing.assert_array_equal(whole[:, 0, 0, 0], [n % 251 for n in numbers if n not in maker.broken])
    return sorted(maker.made), known.tolist()


def segments(root: Path) -> list[Path]:
    return sorted(root.rglob("*.pixels"))


def test_each_content_is_made_once(root, monkeypatch):
    monkeypatch.setattr(decoded, "_SEGMENT_ROWS", 4)
    assert take(range(10)) == (list(range(10)), [True] * 10)
    assert len(segments(root)) == 3
    assert take([7, 3, 3, 0, 9])[0] == []
    assert take([2, 11, 11, 5])[0] == [11], "what is new is added, a copy once"
    assert take([11, 9, 0])[0] == []
    assert take([])[0] == []


def test_only_what_is_looked_at_is_mapped(root, monkeypatch):
    monkeypatch.setattr(decoded, "_SEGMENT_ROWS", 2)
    take(range(6))
    found, _ = stored(digests([5]), HOW, Maker([5]))
    assert len(found.parts) == 1
    assert not found.parts[0].flags.writeable


def test_what_cannot_be_made_is_said_and_tried_again(root):
    assert take([1, 2, 3], broken={2}) == ([1, 2, 3], [True, False, True])
    before = segments(root)
    assert take([1, 2, 3], broken={2}) == ([2], [True, False, True])
    assert segments(root) == before, "a segment of nothing is not kept"
    assert take([1, 2, 3])[0] == [2]


def test_other_preprocessing_and_other_decoders_are_kept_apart(root, monkeypatch):
    take([1])
    other = HOW.model_copy(update={"fit": "crop"})
    stored(digests([1]), other, maker := Maker([1]))
    assert maker.made == [1]
    monkeypatch.setattr("pellucid.data.decoding.VERSION", "d99")
    assert take([1])[0] == [1]
    assert len({path.parent for path in segments(root)}) == 3


def test_what_is_no_segment_is_removed(root):
    take(range(3))
    (whole,) = segments(root)
    content = whole.read_bytes()
    for damage in (b"", b"hello", content[:-1], content + b"x", content.replace(b"pixels2", b"pixels9")):
        whole.write_bytes(damage)
        with pytest.warns(CacheWarning, match="Decoded pictures in the cache were damaged, and are decoded again"):
            assert take(range(3))[0] == [0, 1, 2]
        (whole,) = segments(root)


def test_a_changed_bit_anywhere_changes_no_picture(root):
    numbers = range(40)
    take(numbers)
    (segment,) = segments(root)
    content = segment.read_bytes()
    used = len(decoded._MAGIC) + 32 + 36 * 40 + 32
    start = decoded._start(40)
    draw = random.Random(5)
    places = [draw.randrange(used) for _ in range(20)] + [draw.randrange(start, len(content)) for _ in range(20)]
    for place in places:
        (segment,) = segments(root)
        changed = bytearray(segment.read_bytes())
        changed[place] ^= 1 << draw.randrange(8)
        segment.write_bytes(changed)
        with pytest.warns(CacheWarning, match=r"were damaged, and are decoded again\. .* check the disk of .*decoded"):
            made = take(numbers)[0]
        assert made == (list(numbers) if place < used else [(place - start) // 20])
        assert take(numbers)[0] == [], "it was written again"


def test_only_the_first_reading_verifies_and_only_what_is_read(root):
    take(range(8))
    (segment,) = segments(root)
    changed = bytearray(segment.read_bytes())
    changed[decoded._start(8) + 20 * 5] ^= 255
    segment.write_bytes(changed)
    mapped, _ = stored(digests(range(8)), HOW, maker := Maker(range(8)))
    np.testing.assert_array_equal(mapped[[0, 1, 7]], [picture(n) for n in (0, 1, 7)])
    part = mapped.take(np.array([5, 6]))
    with pytest.warns(CacheWarning):
        np.testing.assert_array_equal(part[:], [picture(5), picture(6)])
    np.testing.assert_array_equal(mapped[:], [picture(n) for n in range(8)])
    assert maker.made == [5]


def test_a_damaged_picture_that_cannot_be_written_again_is_right_all_the_same(root, monkeypatch):
    def read_only(*_: object) -> None:
        raise PermissionError

    take(range(3))
    (segment,) = segments(root)
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(decoded._Segment, "replace", read_only)
    for _ in range(2):
        with pytest.warns(CacheWarning):
            assert take(range(3))[0] == [2]


def test_a_damaged_picture_whose_file_is_gone_is_an_error_and_not_wrong(root):
    take(range(3))
    (segment,) = segments(root)
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="is damaged, and its file has changed since or is gone"):
        take(range(3), broken={2})
    assert take(range(3), broken={2}) == ([0, 1, 2], [True, True, False])


def test_half_written_files_of_the_dead_are_swept(root):
    take([1])
    part = segments(root)[0].parent / ".x.pixels.12345678.part"
    part.write_bytes(b"half")
    take([1])
    assert not part.exists()


def test_removed_between_looking_and_mapping(root, monkeypatch):
    take([1])
    real, times = decoded._Segment.map, []

    def vanish(self):
        times.append(1)
        if len(times) <= vanish.often:
            self.path.unlink()
        return real(self)

    vanish.often = 1
    monkeypatch.setattr(decoded._Segment, "map", vanish)
    assert take([1])[0] == [1]
    vanish.often = 99
    with pytest.raises(StorageError, match=r"Other programs delete decoded pictures from .* as fast as this program"):
        take([1])


def test_the_limit_holds_and_what_is_needed_stays(root, monkeypatch):
    monkeypatch.setattr(decoded, "_SEGMENT_ROWS", 100)
    take(range(100))
    (old,) = segments(root)
    os.utime(old, (1, 1))
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", str(old.stat().st_size + 5000))
    take(range(100, 200))
    assert not old.exists()
    with pytest.raises(DataError, match=r"200 decoded pictures of 5×4 need .*, but the cache is limited to"):
        take(range(100, 300))


CHILD = """
import random, sys, time
import numpy as np
from test_decoded import HOW, digests, picture
from pellucid.data import decoded

decoded._SEGMENT_ROWS = 16
order = list(range(200))
random.Random(int(sys.argv[1])).shuffle(order)
def make(index):
    time.sleep(0.002)
    return picture(order[index])
print("ready", flush=True)
found, known = decoded.stored(digests(order), HOW, make)
assert known.all()
assert np.asarray(found)[:, 0, 0, 0].tolist() == [n % 251 for n in order]
print("right", flush=True)
"""


def test_several_at_once_killed_at_any_moment(root):
    """Ten processes ask for the same 200 pictures; eight are killed, at moments all over the work."""
    folders = (Path(__file__).parent, Path(pellucid.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    dice = random.Random(7)

    def begin(number):
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, str(number)], stdout=subprocess.PIPE, env=environment, text=True
        )

    for pair in range(4):
        doomed = [begin(2 * pair), begin(2 * pair + 1)]
        for child in doomed:
            assert child.stdout.readline() == "ready\n"
        for child in doomed:
            time.sleep(dice.random() * 0.15)
            child.kill()
            child.communicate()
        for path in segments(root):
            n = int(np.frombuffer(path.read_bytes()[16:24], "<i8")[0])
            assert path.stat().st_size == decoded._start(n) + n * 20, "no half-written one under a real name"
    survivors = [begin(99), begin(100)]
    for child in survivors:
        assert child.communicate()[0] == "ready\nright\n"
        assert child.returncode == 0
    assert take(range(200))[0] == []
    assert not list(root.rglob("*.part"))


@pytest.fixture
def photos(tmp_path, photo) -> PictureFiles:
    paths = []
    for i in range(6):
        paths.append(tmp_path / f"{i}.png")
        photo(40 + i, 30, seed=i).save(paths[-1])
    return PictureFiles(tuple(paths), tmp_path)


COLOUR = Preprocessing(channels=3, height=16, width=12)


def test_files_are_prepared_alike_in_memory_and_in_the_store(photos, root, monkeypatch):
    plain = prepare(photos, COLOUR)
    assert not root.exists(), "a few small files are decoded faster than a cache is looked into"
    mapped = prepare(photos, COLOUR, memory=0)
    assert isinstance(plain, np.ndarray)
    assert isinstance(mapped, MappedPictures)
    np.testing.assert_array_equal(mapped, plain)
    monkeypatch.setattr(preparing, "_WORTHWHILE", 0)
    again = prepare(photos, COLOUR)
    assert isinstance(again, np.ndarray)
    np.testing.assert_array_equal(again, plain)
    monkeypatch.setenv("PELLUCID_MEMORY", "1000")
    assert isinstance(prepare(photos, COLOUR), MappedPictures)
    assert prepare(mapped, COLOUR) is mapped


def test_arrays_larger_than_memory_when_resized(digits):
    plain = prepare(digits.test, COLOUR)
    mapped = prepare(digits.test, COLOUR, memory=1000)
    assert isinstance(mapped, MappedPictures)
    np.testing.assert_array_equal(mapped, plain)
    smaller = prepare(mapped, HOW)
    np.testing.assert_array_equal(smaller, prepare(plain, HOW))


def test_mean_and_deviation_of_mapped_pictures(photos, monkeypatch):
    monkeypatch.setattr(preparing, "_AT_ONCE", 1000)
    assert measure(prepare(photos, COLOUR, memory=0)) == measure(prepare(photos, COLOUR))


def test_damage_in_the_store_path_is_named(photos, tmp_path):
    photos.paths[2].write_bytes(b"no picture")
    (tmp_path / "copy.png").write_bytes(b"no picture")
    files = PictureFiles((*photos.paths, tmp_path / "copy.png", tmp_path / "nothing.png"))
    found, kept, reasons = prepare_readable(files, COLOUR, memory=0)
    assert kept.tolist() == [0, 1, 3, 4, 5]
    assert len(found) == 5
    assert [Path(name).name for name in reasons] == ["2.png", "copy.png", "nothing.png"]
    assert all(name in reason for name, reason in reasons.items())
    again = prepare_readable(files, COLOUR, memory=0)
    assert again[2] == reasons
    with pytest.raises(FormatError, match=r"2\.png is not a supported picture"):
        prepare(files, COLOUR, memory=0)
    with pytest.raises(DataError, match=r"There is no picture at .*nothing\.png"):
        prepare(PictureFiles((*photos.paths[:2], tmp_path / "nothing.png")), COLOUR, memory=0)


def test_a_file_that_changes_between_hashing_and_decoding_is_not_kept_under_the_wrong_name(photos, monkeypatch):
    real = hashing.content_hashes

    def hash_then_change(pictures):
        found = real(pictures)
        Image.new("RGB", (9, 9), "red").save(photos.paths[0])
        return found

    monkeypatch.setattr(hashing, "content_hashes", hash_then_change)
    with pytest.raises(DataError, match=r"0\.png changed while it was read\. Try again"):
        prepare(photos, COLOUR, memory=0)
    found, kept, reasons = prepare_readable(photos, COLOUR, memory=0)
    assert len(found) == len(kept) == 6
    assert not reasons


def test_where_memory_suffices_a_cache_that_takes_nothing_only_costs_time(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(preparing, "_WORTHWHILE", 0)
    assert prepare(photos, COLOUR).shape == (6, 3, 16, 12)
    with pytest.raises(StorageError):
        prepare(photos, COLOUR, memory=0)


def test_hashes_are_remembered_until_a_file_changes(photos, monkeypatch):
    for path in photos.paths:
        os.utime(path, (1000, 1000))
    truth = [hashlib.sha256(path.read_bytes()).digest() for path in photos.paths]
    read = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashing.hashlib, "file_digest", lambda stream, how: read.append(1) or real(stream, how))
    for expected in (6, 0):
        read.clear()
        assert [one.ljust(32, b"\0") for one in hashing.content_hashes(photos).tolist()] == truth
        assert len(read) == expected
    os.utime(photos.paths[0], (1001, 1001))
    photos.paths[1].write_bytes(b"changed just now, and may change again")
    for expected in (2, 1):
        read.clear()
        hashing.content_hashes(photos)
        assert len(read) == expected, "what changed just now is read again the next time"


def test_damaged_memories_are_no_memories(photos, root):
    for path in photos.paths:
        os.utime(path, (1000, 1000))
    first = hashing.content_hashes(photos)
    (file,) = (root / "hashes").iterdir()
    for damage in (b"", file.read_bytes()[:100], b"PK\3\4 nonsense"):
        file.write_bytes(damage)
        with pytest.warns(CacheWarning, match="File hashes in the cache were damaged; the files are read again"):
            np.testing.assert_array_equal(hashing.content_hashes(photos), first)
        np.testing.assert_array_equal(hashing.content_hashes(photos), first)


def test_a_note_on_a_file_holds_until_it_changes(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"x")
    hashing.remember(path, 1, rows=np.arange(3))
    assert hashing.recall(path, 1) is None, "it changed less than two seconds ago"
    os.utime(path, (1000, 1000))
    hashing.remember(path, 1, rows=np.arange(3))
    found = hashing.recall(path, 1)
    assert found is not None
    assert found["rows"].tolist() == [0, 1, 2]
    assert hashing.recall(path, 2) is None
    os.utime(path, (1001, 1000))
    assert hashing.recall(path, 1) is not None, "that it was read is no change"
    path.write_bytes(b"xy")
    assert hashing.recall(path, 1) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path, photos):
    os.mkfifo(tmp_path / "pipe.png")
    _, _, reasons = prepare_readable(PictureFiles((*photos.paths, tmp_path / "pipe.png")), COLOUR, memory=0)
    assert "is not a regular file, but a pipe" in reasons[str(tmp_path / "pipe.png")]


def test_a_mapped_array_of_ones_own_stays_mapped(tmp_path, digits):
    np.save(tmp_path / "a.npy", digits.train.pictures)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    split = Split("train", mapped, digits.train.labels, digits.classes, dataset="digits")
    assert isinstance(split.pictures, MappedPictures)
    assert split.fingerprint() == digits.train.fingerprint()
    assert split.shape == digits.train.shape
    some = split.take([5, 3])
    assert isinstance(some.pictures, MappedPictures)
    np.testing.assert_array_equal(some.pictures, digits.train.pictures[[5, 3]])
