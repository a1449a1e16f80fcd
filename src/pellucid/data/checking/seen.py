"""What was seen of picture files, remembered by content: of files that were looked at before, none is decoded again.

It lies in the cache, one file per folder of pictures, replaced whole: for each content (SHA-256 of the bytes) one row
of every field of `Looks`, about a kilobyte. What could not be read is not remembered, but looked at again. Without a
cache that can be written to, everything is looked at again: slower, and no different.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pellucid.data import cache, decoding
from pellucid.data.hashing import content_hashes
from pellucid.errors import PellucidError
from pellucid.records import PictureFiles
from pellucid.records.pictures import Members

if TYPE_CHECKING:
    from pellucid.data.checking.looking import Looks

__all__ = ["Memory"]

_VERSION = 1
"""Of what is seen: what another version saw is not used."""


class Memory:
    """What was seen of the files of one folder."""

    def __init__(self, pictures: PictureFiles) -> None:
        self.pictures = pictures
        self.place = None if isinstance(pictures.paths, Members) else _place(pictures.paths)
        self.before = _read(self.place)

    def recall(self, seen: Looks) -> np.ndarray:
        """Fills in what is known of the pictures, and says of which: bool (N,)."""
        known = np.zeros(len(seen), dtype=bool)
        if not len(self.before.get("contents", ())):
            return known
        rows = {content: row for row, content in enumerate(self.before["contents"].tolist())}
        found = [rows.get(content, -1) if content else -1 for content in content_hashes(self.pictures).tolist()]
        row = np.array(found, dtype=np.int64)
        known = row >= 0
        for name in _remembered(seen):
            getattr(seen, name)[known] = self.before[name][row[known]]
        seen.readable[known] = True
        return known

    def keep(self, seen: Looks, contents: np.ndarray) -> None:
        """Adds what was seen now of the pictures whose content is given, S32 (N,); the others' is empty."""
        new = np.flatnonzero(seen.readable & (contents != b""))
        if self.place is None or not len(new):
            return
        arrays = {"contents": contents[new], **{name: getattr(seen, name)[new] for name in _remembered(seen)}}
        if self.before:
            arrays = {name: np.concatenate([self.before[name], array]) for name, array in arrays.items()}
        with contextlib.suppress(PellucidError, OSError):
            cache.make_room(sum(array.nbytes for array in arrays.values()), "What was seen of pictures")
            cache.write_arrays(self.place, **arrays)


def _remembered(seen: Looks) -> list[str]:
    return [field.name for field in fields(seen) if field.name not in ("readable", "reasons")]


def _place(paths: Sequence[Path]) -> Path:
    """The file of the folder that all pictures lie in."""
    top = os.path.dirname(os.path.commonprefix([os.path.abspath(path) for path in paths]))  # noqa: PTH100, PTH120, RUF071 (as in hashing)
    said = f"{_VERSION} {decoding.VERSION} {top}"
    name = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache.cache_root() / "looks" / f"{name}.npz"


def _read(place: Path | None) -> dict[str, np.ndarray]:
    """The arrays of a file of ours; nothing where it is not there, or damaged."""
    arrays = None if place is None else cache.read_arrays(place)
    return arrays if arrays and len({array.shape[:1] for array in arrays.values()}) == 1 else {}
