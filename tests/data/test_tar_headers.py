"""Headers of tar archives that lie: each is refused in a sentence, in bounded time and memory."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.data import load
from pellucid.errors import DataError


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), 100).save(stream, "PNG")
    return stream.getvalue()


def archive() -> bytearray:
    """Four pictures with labels, as bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for number in range(4):
            for suffix, content in (("png", png() + bytes([number])), ("cls", b"ab"[number % 2 : number % 2 + 1])):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return bytearray(stream.getvalue())


def with_size(content: bytearray, offset: int, size: int) -> bytes:
    """The archive with another size in the header at an offset, and the right checksum."""
    field = size.to_bytes(12, "big", signed=True)
    content[offset + 124 : offset + 136] = (b"\x80" if size >= 0 else b"\xff") + field[1:]
    content[offset + 148 : offset + 156] = b" " * 8
    total = sum(content[offset : offset + 512])
    content[offset + 148 : offset + 156] = b"%06o\0 " % total
    return bytes(content)


@pytest.mark.parametrize("member", [0, 1, 2])
@pytest.mark.parametrize("size", [-512, -1024, -1, -(2**40), 2**40, 2**62])
def test_a_lying_size_is_refused(size, member, tmp_path):
    content = archive()
    offset = member * 1024
    (tmp_path / "shard-000000.tar").write_bytes(with_size(content, offset, size))
    before = time.process_time()
    with pytest.raises(DataError) as caught:
        load(tmp_path / "shard-000000.tar")
    assert time.process_time() - before < 5
    assert "damaged" in str(caught.value) or "cut off" in str(caught.value) or "not a tar archive" in str(caught.value)


def test_a_lying_extended_header_is_refused(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as file:
        for number in range(2):
            member = tarfile.TarInfo(f"{'x' * 120}{number}.png")
            member.size = len(png())
            file.addfile(member, io.BytesIO(png()))
    for size in (-512, -1, 2**40):
        (tmp_path / "shard.tar").write_bytes(with_size(bytearray(stream.getvalue()), 0, size))
        with pytest.raises(DataError):
            load(tmp_path / "shard.tar")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 8 * 1024 - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_change_of_bytes_is_more_than_a_sentence(changes, tmp_path):
    content = archive()
    for place, value in changes:
        content[place % len(content)] = value
    (tmp_path / "shard.tar").write_bytes(bytes(content))
    process = psutil.Process()
    memory, before = process.memory_info().rss, time.process_time()
    with contextlib.suppress(DataError):  # anything else fails
        load(tmp_path / "shard.tar", test_fraction=0)
    assert time.process_time() - before < 5
    assert process.memory_info().rss - memory < 200_000_000
