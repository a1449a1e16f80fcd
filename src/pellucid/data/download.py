"""Downloads of named sets: resumed after a break, checked by their published hash, moved into place at once.

What has arrived so far lies beside the target as `NAME.part`; the next try goes on from there. Nothing is believed of
what a server says (its length, its answer to a range): only the hash decides. A server cannot fill the disk: more than
a stated number of bytes is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import DownloadError, StorageError
from pellucid.records import atomic
from pellucid.version import __version__

__all__ = ["Remote", "obtain"]

Told = Callable[[int, int | None], None]

TRIES = 4
"""How often one address is tried before the next one."""
PAUSE = 0.5
"""Seconds before the second try; twice as many before the third, and so on."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_PIECE = 1 << 16


@dataclass(frozen=True)
class Remote:
    """One file that can be downloaded.

    Attributes:
        file: its name in the data root.
        urls: where it can be had, the best first.
        md5: the published sum, hexadecimal.
        of_unpacked: whether that sum is of what the gzip packing holds.
        most_bytes: neither the file nor what it unpacks to is larger.
    """

    file: str
    urls: tuple[str, ...]
    md5: str
    of_unpacked: bool = False
    most_bytes: int = 512 << 20


class _BrokenError(Exception):
    """A try that failed; its text is the reason. `again` says whether the same address is worth another one."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def obtain(remote: Remote, folder: Path) -> Path:
    """Downloads a file into a folder of the data root.

    Returns:
        Where it lies.

    Raises:
        DownloadError: it did not arrive whole, from any of its addresses; says which file to put where.
        StorageError: the folder may not be written, or the disk is full.
    """
    target, part = folder / remote.file, folder / f"{remote.file}.part"
    try:
        atomic.make_folder(folder)
        with atomic.storage_errors(part), part.open("ab"):
            pass
    except StorageError as error:
        raise StorageError(
            f"{remote.file} cannot be downloaded, as {folder} cannot be written. Set PELLUCID_DATA to a folder of your "
            f"own."
        ) from error
    reasons = []
    for url in remote.urls:
        try:
            _fetch(remote, url, part)
        except _BrokenError as error:
            reasons.append(str(error))
            continue
        with atomic.storage_errors(target):
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            part.replace(target)
        return target
    if part.exists() and part.stat().st_size == 0:
        part.unlink()
        with contextlib.suppress(OSError):
            # Nothing came: no empty folder is left behind, unless it was there before with something in it.
            folder.rmdir()
    raise DownloadError(
        f"{remote.file} could not be downloaded ({'; '.join(reasons)}). Put the file at {target} yourself (it is "
        f"offered at {remote.urls[0]}), or set PELLUCID_DATA to the folder that holds {folder.name}/{remote.file}."
    )


def _fetch(remote: Remote, url: str, part: Path) -> None:
    """Completes the partial file from one address.

    Raises:
        _BrokenError: it is not complete and right.
    """
    with _Display(remote.file, url) as display:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            resumed = part.stat().st_size if part.exists() else 0
            broken: _BrokenError | None = None
            try:
                _receive(remote, url, part, display)
            except _BrokenError as error:
                broken = error
            digest = _sum(part, remote)
            if digest == remote.md5:
                return
            if broken is None:
                # All that was promised came, and it is something else: it is of no use for the next try.
                part.unlink()
                broken = _BrokenError(
                    f"{_host(url)} sent other bytes than the published ones (MD5 {digest})", again=resumed > 0
                )
            if not broken.again or attempt == TRIES - 1:
                raise broken


def _receive(remote: Remote, url: str, part: Path, display: Told) -> None:
    """Appends what the server sends from where the partial file ends.

    Raises:
        _BrokenError: less came than was promised.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"pellucid/{__version__}"})  # noqa: S310 (our table)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 (addresses come from our own tables)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The file ends where ours does, or is another one: the hash tells.
                return
            raise _BrokenError(f"{_host(url)} answered {error.code} {error.reason}", again=error.code >= 500) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _BrokenError(f"{_host(url)} could not be reached: {reason}", again=False) from error
    with response:
        if have and not _continues(response, have):
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        with atomic.storage_errors(part), part.open("ab") as stream:
            stream.truncate(have)
            _copy(response, stream.write, have, total, remote, url, display)


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Whether the answer begins where the partial file ends; a server may ignore the range and send everything."""
    begins = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and begins.startswith(f"bytes {have}-")


def _copy(
    response: http.client.HTTPResponse,
    write: Callable[[bytes], int],
    have: int,
    total: int | None,
    remote: Remote,
    url: str,
    display: Told,
) -> None:
    while True:
        try:
            piece = response.read1(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(f"{_host(url)} broke off after {have:,} bytes: {error}", again=True) from error
        if not piece:
            break
        have += len(piece)
        if have > remote.most_bytes:
            raise _BrokenError(f"{_host(url)} sent more than {remote.most_bytes:,} bytes", again=False)
        write(piece)
        display(have, total)
    if total is not None and have < total:
        raise _BrokenError(f"{_host(url)} broke off after {have:,} of {total:,} bytes", again=True)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _sum(part: Path, remote: Remote) -> str:
    """The MD5 of the file, or of what it unpacks to; a word for what cannot be unpacked."""
    if not part.exists() or part.stat().st_size == 0:
        return "of nothing"
    digest, total = hashlib.md5(usedforsecurity=False), 0
    try:
        with gzip.open(part, "rb") if remote.of_unpacked else part.open("rb") as stream:
            while piece := stream.read(_PIECE):
                total += len(piece)
                if total > remote.most_bytes:
                    return "of too many bytes"
                digest.update(piece)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        return "of a damaged gzip file"
    return digest.hexdigest()


class _Display:
    """Shows how far a download is: a bar on a terminal, one line elsewhere; both on standard error."""

    def __init__(self, file: str, url: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.file = file
        self.bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=console, transient=True)
            self.task = self.bar.add_task(file, total=None)
        else:
            console.print(f"Downloading {file} from {url}", markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Told:
        if self.bar is not None:
            self.bar.start()
        return self._tell

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def _tell(self, have: int, total: int | None) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=have, total=total)
