"""SHA-256 of the content of pictures, cached by (path, size, time of change): unchanged files are not read again.

The cache has one file per folder of pictures or per shard, which is replaced as a whole. If the cache cannot be written
to, everything is read again: slower, but with the same result.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.files import read_errors
from pellucid.data.progress import Progress, watched
from pellucid.records import MappedPictures, PictureFiles
from pellucid.records.pictures import Members

__all__ = ["are_among", "content_hashes", "pack", "recall", "remember", "threads"]

_SETTLED = 2.0
"""Seconds. A file that changed more recently is not cached: it could change again without a new time of change."""


def content_hashes(
    pictures: PictureFiles | MappedPictures | np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """SHA-256 of the content of each picture: S32 (N,). NumPy shows these without trailing zeros.

    For a file, the hash of its bytes; empty if it cannot be read.
    """
    if not isinstance(pictures, PictureFiles):
        rows = (np.ascontiguousarray(pictures[i]) for i in range(len(pictures)))
        shape = repr(pictures.shape[1:]).encode()  # the same bytes with another shape are another picture
        return np.array([hashlib.sha256(shape + row.tobytes()).digest() for row in rows], dtype="S32")
    if isinstance(pictures.paths, Members):
        return pictures.paths.digests()
    return _of_files([Path(path) for path in pictures.paths], progress)


_PACKED = 5
"""Bytes of each hash in a model file. By chance, one in a million pictures matches one of a million others."""


def pack(hashes: np.ndarray) -> str:
    """Hashes S32 (N,) as text for a model file: the first 5 bytes of each, sorted, without duplicates, in base64."""
    full = np.ascontiguousarray(hashes.astype("S32")).view(np.uint8).reshape(-1, 32)
    known = full[full.any(axis=1)][:, :_PACKED]
    return base64.b64encode(np.unique(known, axis=0).tobytes()).decode("ascii")


def are_among(hashes: np.ndarray, packed: str) -> np.ndarray:
    """Which hashes S32 (N,) are in a text from `pack`: bool (N,).

    Raises:
        ValueError: the text is not from `pack`.
    """
    content = base64.b64decode(packed, validate=True)
    if len(content) % _PACKED:
        raise ValueError(f"{len(content)} bytes are not a whole number of hashes")
    stored = np.frombuffer(content, dtype=f"V{_PACKED}")
    full = np.ascontiguousarray(hashes.astype("S32")).view(np.uint8).reshape(-1, 32)
    short = np.ascontiguousarray(full[:, :_PACKED]).view(f"V{_PACKED}").ravel()
    return np.isin(short, stored) & full.any(axis=1)


def _of_files(paths: Sequence[Path], progress: Progress | None) -> np.ndarray:
    names = [os.path.abspath(path) for path in paths]  # noqa: PTH100 (sixty thousand of them: `resolve` asks the disk)
    # The common prefix, cut at a folder. Unlike `commonpath`, it also works for files on several drives.
    top = os.path.dirname(os.path.commonprefix(names)) if names else ""  # noqa: PTH120, RUF071 (as above, and wanted)
    known = _recalled(top)
    hashes = np.zeros(len(paths), dtype="S32")
    states: list[tuple[int, int]] = []
    unknown: list[int] = []
    for index, name in enumerate(names):
        states.append(_state(name))
        before = known.get(name[len(top) :])
        if before is not None and before[0] == states[index]:
            hashes[index] = before[1]
        elif states[index] != _NO_FILE:
            unknown.append(index)

    def look(index: int) -> None:
        with contextlib.suppress(OSError), open(names[index], "rb") as stream:  # noqa: PTH123 (as above)
            hashes[index] = hashlib.file_digest(stream, "sha256").digest()

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            for _ in watched(pool.map(look, unknown), len(unknown), "Looking at the files", progress):
                pass
        except BaseException:  # without this, Ctrl-C would wait for all files
            pool.shutdown(cancel_futures=True)
            raise
    if unknown:
        now = time.time_ns()
        settled = [i for i in range(len(paths)) if hashes[i] and now - states[i][1] > _SETTLED * 1e9]
        news = {names[i][len(top) :]: (states[i], bytes(hashes[i])) for i in settled}
        _remember_files(top, known | news)
    return hashes


def threads() -> int:
    """Number of threads for reading and decoding. These release the GIL; one more than cores hides the disk's delay."""
    return min(8, (os.cpu_count() or 1) + 1)


_NO_FILE = -1, -1


def _state(name: str) -> tuple[int, int]:
    try:
        status = os.stat(name)  # noqa: PTH116 (as above)
    except OSError:
        return _NO_FILE
    # Opening a pipe would block until some process writes to it.
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else _NO_FILE


_Known = Mapping[str, tuple[tuple[int, int], bytes]]


def _recalled(top: str) -> dict[str, tuple[tuple[int, int], bytes]]:
    arrays = cache.read_arrays(_place(top))
    if arrays is None:
        return {}
    names = arrays["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
    states = map(tuple, arrays["states"].tolist())
    return dict(zip(names, zip(states, arrays["digests"].tolist(), strict=True), strict=True))


def _remember_files(top: str, known: _Known) -> None:
    if not known:
        return
    names = "\0".join(known).encode("utf-8", "surrogateescape")
    cache.write_arrays(
        _place(top),
        names=np.frombuffer(names, dtype=np.uint8),
        states=np.array([state for state, _ in known.values()], dtype=np.int64).reshape(-1, 2),
        digests=np.array([digest for _, digest in known.values()], dtype="S32"),
    )


def recall(path: Path, version: int) -> dict[str, np.ndarray] | None:
    """The arrays that `remember` stored for a file; None if there are none, or the file has changed since."""
    arrays = cache.read_arrays(_place(os.path.abspath(path)))  # noqa: PTH100 (as above)
    if arrays is None or tuple(arrays.pop("state", np.zeros(3)).tolist()) != (*_state(str(path)), version):
        return None
    return arrays


def remember(path: Path, version: int, **arrays: np.ndarray) -> None:
    """Cache arrays about the content of a file, until the file or the version of the code that read it changes."""
    with read_errors(path):
        status = path.stat()
    if time.time_ns() - status.st_mtime_ns > _SETTLED * 1e9:
        state = np.array([status.st_size, status.st_mtime_ns, version], dtype=np.int64)
        cache.write_arrays(_place(os.path.abspath(path)), state=state, **arrays)  # noqa: PTH100 (as above)


def _place(what: str) -> Path:
    name = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache.cache_root() / "hashes" / f"{name}.arrays"
