"""Damaged pictures: none crashes the program, hangs it or takes its memory, and each is refused by its name.

2,000 of them in the tests; as many as one likes with `python tests/data/test_damaged_pictures.py 10000`.
"""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MOST_MEMORY = 1024**3
"""Bytes that decoding may take at most: of 100 million pixels, the limit, three channels and a copy of them."""
_NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 50_000, 0x7FFFFFFF, 0xFFFFFFFF)


def sources() -> dict[str, bytes]:
    """Whole pictures of every format, in many of its kinds."""
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(0).integers(0, 60, (48, 64))
    colour = Image.fromarray(
        np.stack([3 * x + noise // 2, 4 * y + noise, 128 + noise], axis=2).clip(0, 255).astype("u1")
    )
    grey, deep = colour.convert("L"), Image.fromarray((1000 * (x + y % 7)).astype(np.uint16))
    clear = colour.copy()
    clear.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112] = 6
    found: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, kind: str, **options: object) -> None:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        found[name] = stream.getvalue()

    for name, image in {
        "colour": colour,
        "grey": grey,
        "clear": clear,
        "palette": colour.quantize(16),
        "deep": deep,
    }.items():
        add(f"png {name}", image, "PNG")
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            add(f"tiff {compression} {name}", image, "TIFF", compression=compression)
    add("png exif", colour, "PNG", exif=exif)
    add("tiff jpeg", colour, "TIFF", compression="jpeg")
    add("tiff one bit", grey.convert("1"), "TIFF", compression="group4")
    add("tiff exif", colour, "TIFF", exif=exif)
    add("jpeg", colour, "JPEG", exif=exif)
    add("jpeg progressive", colour, "JPEG", progressive=True)
    add("jpeg cmyk", colour.convert("CMYK"), "JPEG")
    add("jpeg grey", grey, "JPEG", quality=30)
    add("webp", clear, "WEBP")
    add("webp lossless", colour, "WEBP", lossless=True, exif=exif)
    add("webp animation", colour, "WEBP", save_all=True, append_images=[colour.rotate(90)])
    add("avif", clear, "AVIF", speed=10)
    add("gif", colour.quantize(32), "GIF")
    add("gif animation", colour.quantize(8), "GIF", save_all=True, append_images=[grey], transparency=1)
    add("bmp", colour, "BMP")
    add("bmp palette", colour.quantize(16), "BMP")
    return found


def bombs() -> dict[str, bytes]:
    """Headers that promise 50,000×50,000 pixels, with next to nothing behind them."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    side = 50_000
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    gif = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    gif += b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00;"
    jpeg = bytearray(sources()["jpeg grey"])
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", side, side)
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, side * side)]
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)
    return {"png": png, "bmp": bmp, "gif": gif, "jpeg": bytes(jpeg), "tiff": tiff + bytes(4)}


def damaged(content: bytes, number: int, dice: random.Random) -> bytes:
    """Cut off, with flipped bits, with bytes lost, doubled or put in, or with numbers that lie."""
    found = bytearray(content)
    if number % 4 == 0:
        return bytes(found[: dice.randrange(len(found))])
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(min(len(found), 64)) if dice.random() < 0.4 else dice.randrange(len(found))
        kind = dice.randrange(6)
        if kind == 0:
            found[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            found[place] = dice.randrange(256)
        elif kind == 2:
            del found[place : place + dice.randint(1, 64)]
        elif kind == 3:
            found[place:place] = found[max(0, place - 100) : place]
        elif kind == 4:
            found[place:place] = dice.randbytes(dice.randint(1, 64))
        else:
            value, width = dice.choice(_NUMBERS), dice.choice((2, 4))
            found[place : place + width] = (value % 256**width).to_bytes(width, dice.choice(("big", "little")))
        if not found:
            return b""
    return bytes(found)


def run(count: int) -> dict[str, object]:
    """Decodes so many damaged pictures, and says what became of them."""
    from pellucid.data.decoding import decode
    from pellucid.errors import DataError

    dice = random.Random(20261123)
    whole = sources()
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    wrong = []
    for number in range(count):
        name = list(whole)[number % len(whole)]
        content = damaged(whole[name], number // len(whole), dice)
        started = time.process_time()
        try:
            picture = decode(content, 3, name=f"number {number}.{name}", at_least=(16, 16) if number % 3 == 0 else None)
        except DataError as error:
            outcomes["refused"] += 1
            if not str(error).startswith(f"number {number}.{name} ") or not str(error).endswith("."):
                wrong.append(str(error))
        except BaseException as error:  # noqa: BLE001 (whatever else comes is what this looks for)
            wrong.append(f"{number} {name}: {error!r}")
        else:
            outcomes["decoded"] += 1
            if picture.dtype != np.uint8 or picture.shape[0] != 3:
                wrong.append(f"{number} {name}: {picture.dtype} {picture.shape}")
        slowest = max(slowest, time.process_time() - started)
    return {"count": count, **outcomes, "wrong": wrong, "slowest": slowest, "memory": _peak()}


def _peak() -> int:
    """The most bytes of memory that this process has held; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():  # a new process of Linux begins with the ru_maxrss of who started it
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.slow
def test_two_thousand_damaged_pictures():
    # A process of its own: a crash would end it, and its memory is its own.
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "2000"], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, "libtiff writes about damage to standard error; nobody else does"
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["refused"] + found["decoded"] == 2000
    assert found["refused"] > 1000
    assert found["decoded"] > 100, "bytes that change a pixel, and nothing else"
    assert found["memory"] < MOST_MEMORY


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "jpeg", "tiff"])
def test_bombs_are_refused_by_their_header(kind):
    from pellucid.data.decoding import decode
    from pellucid.errors import FormatError

    with pytest.raises(FormatError, match=r"^bomb declares 50,000×50,000 pixels, more than the limit of 100,000,000\."):
        decode(bombs()[kind], 3, name="bomb")


@pytest.mark.parametrize("name", sorted(sources()))
def test_the_whole_ones_are_decoded(name):
    from pellucid.data.decoding import decode

    assert decode(sources()[name], 3).shape in ((3, 48, 64), (3, 64, 48))


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))  # noqa: T201 (a script)
