"""Time and memory that one picture may take are bounded, whatever its file declares."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

SIDE = 5400
"""Width and height of the large pictures: 29 million pixels."""
MOST_BYTES_PER_PIXEL = 11
"""Memory that decoding may take: Pillow's picture (4), ours (4), the array (3)."""
KINDS = ["L", "RGB", "RGBA", "LA", "P transparent", "I;16", "I;16 transparent", "RGBA profile", "F", "CMYK"]


def write_large(kind: str, folder: Path) -> Path:
    mode = kind.split(maxsplit=1)[0]
    options: dict[str, object] = {}
    if mode == "I;16":
        image = Image.fromarray(np.full((SIDE, SIDE), 30_000, np.uint16))
        options |= {"transparency": 30_000} if "transparent" in kind else {}
    elif mode == "F":
        image = Image.fromarray(np.full((SIDE, SIDE), 0.5, np.float32))
    else:
        image = Image.new(mode, (SIDE, SIDE))
        options |= {"transparency": 0} if "transparent" in kind else {}
    if "profile" in kind:
        content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        options["icc_profile"] = content.replace("sRGB".encode("utf-16-be"), "made".encode("utf-16-be"))
    path = folder / ("large.tif" if mode in ("F", "CMYK") else "large.png")
    image.save(path, **options, **({"compress_level": 1} if path.suffix == ".png" else {}))
    return path


def decode_and_measure(path: str) -> None:
    """Prints the shape of a decoded picture and the growth of the process's peak memory in bytes."""
    from pellucid.data.decoding import decode

    before = _peak()
    picture = decode(Path(path), 3)
    print(json.dumps([picture.shape, _peak() - before]))  # noqa: T201 (read by the test)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells the peak of a process")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_bounded_by_bytes_for_every_kind_of_picture(kind, tmp_path):
    path = write_large(kind, tmp_path)
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), str(path)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    shape, growth = json.loads(done.stdout)
    assert shape == [3, SIDE, SIDE]
    assert growth < MOST_BYTES_PER_PIXEL * SIDE * SIDE
    assert done.stderr == ""


def test_the_limit_is_half_where_decoders_take_twice_the_memory():
    from pellucid.data.decoding import decode
    from pellucid.errors import FormatError

    stream = io.BytesIO()
    Image.new("RGB", (30, 30)).save(stream, "WEBP")
    assert decode(stream.getvalue(), 3, most_pixels=1800).shape == (3, 30, 30)
    with pytest.raises(FormatError, match="declares 30×30 pixels, more than the limit of 850 for WEBP, half of"):
        decode(stream.getvalue(), 3, name="a", most_pixels=1700)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "F", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_bands_are_the_same_as_the_whole(mode, channels, monkeypatch):
    from pellucid.data import decoding, pixel_values

    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (37, 23), dtype=np.uint16))
        image.info["transparency"] = int(np.asarray(image)[30, 3])
    elif mode == "F":
        image = Image.fromarray(rng.random((37, 23), dtype=np.float32))
    else:
        image = Image.fromarray(rng.integers(0, 256, (37, 23, 4), dtype=np.uint8)).convert(mode)
        if mode == "P":
            image.info["transparency"] = 3
    whole = decoding.decode(image, channels)
    monkeypatch.setattr(pixel_values, "_VALUES_AT_ONCE", 100)
    monkeypatch.setattr(decoding, "_VALUES_AT_ONCE", 100)
    np.testing.assert_array_equal(decoding.decode(image, channels), whole)


def segments(content: bytes) -> list[tuple[int, bytes]]:
    """The segments of a JPEG behind its start marker, each with its marker's code; a scan with its data."""
    found, position = [], 2
    while content[position + 1] != 0xD9:
        code = content[position + 1]
        end = position + 2 + struct.unpack(">H", content[position + 2 : position + 4])[0]
        if code == 0xDA:
            while not (content[end] == 0xFF and content[end + 1] != 0 and not 0xD0 <= content[end + 1] <= 0xD7):
                end += 1
        found.append((code, content[position:end]))
        position = end
    return found


def with_scans(scans: int, *, extra: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    stream = io.BytesIO()
    Image.new("L", (200, 200), 100).save(stream, "JPEG", progressive=True)
    parts = segments(stream.getvalue())
    last = [content for code, content in parts if code == 0xDA][-1]
    own = sum(code == 0xDA for code, _ in parts)
    body = b"".join(content for _, content in parts)
    return b"\xff\xd8" + extra + body + last * (scans - own) + b"\xff\xd9"


@pytest.mark.parametrize("scans", [101, 3000, 100_000])
def test_a_jpeg_of_many_scans_is_refused(scans, tmp_path):
    from pellucid.data.decoding import decode
    from pellucid.errors import FormatError

    (tmp_path / "a.jpg").write_bytes(with_scans(scans))
    for source in (tmp_path / "a.jpg", with_scans(scans)):
        with pytest.raises(FormatError, match=f"is a JPEG with {scans:,} scans, more than the limit of 100"):
            decode(source, 3)


@pytest.mark.parametrize("scans", [10, 100])
def test_a_jpeg_of_few_scans_is_decoded(scans):
    from pellucid.data.decoding import decode

    assert decode(with_scans(scans), 1).shape == (1, 200, 200)


def test_scans_of_a_preview_do_not_count():
    from pellucid.data.decoding import decode

    preview = b"\xff\xda" * 500
    extra = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
    assert decode(with_scans(10, extra=extra), 1).shape == (1, 200, 200)
    assert decode(with_scans(10) + with_scans(3000), 1).shape == (1, 200, 200), "a second picture behind the first"


@pytest.mark.parametrize(("kind", "options"), [("TIFF", {"compression": "tiff_lzw"}), ("GIF", {}), ("PNG", {})])
def test_pillow_does_not_warn_of_bombs(kind, options, tmp_path, monkeypatch):
    from pellucid.data.decoding import decode, probe

    path = tmp_path / f"a.{kind.lower()}"
    Image.new("L", (200, 200)).save(path, kind, **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)  # Pillow warns above, and refuses above twice as many
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(path, 1).shape == (1, 200, 200)
        assert probe(path)[1:] == (200, 200)
    assert [str(warning.message) for warning in caught] == []
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    assert decode(path, 1).shape == (1, 200, 200)
    assert Image.MAX_IMAGE_PIXELS == 10_000


if __name__ == "__main__":
    decode_and_measure(sys.argv[1])
