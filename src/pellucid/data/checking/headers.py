"""What the first bytes of a picture's file say: its format, and of a JPEG its size."""

from __future__ import annotations

__all__ = ["jpeg_size", "kind_of"]

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}


def kind_of(content: bytes) -> str:
    """The format of a picture by its first bytes: `JPEG`, `PNG` ...; `other` where these are of none that is known."""
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return _BRANDS.get(content[8:12], "other") if content[4:8] == b"ftyp" else "other"


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in a JPEG's frame header (ITU-T T.81, B.2.2), before EXIF turns it; None where it is broken."""
    place = 2
    while place + 9 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # a byte that fills up
            place += 1
            continue
        # C0 to CF are frame headers, but for tables of Huffman codes, extensions and arithmetic coding.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[i : i + 2], "big") for i in (place + 5, place + 7))
            return width, height
        place += (
            2 if 0xD0 <= marker <= 0xD9 or marker == 1 else 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        )
    return None
