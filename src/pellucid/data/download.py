"""Downloads of named sets: resumable, verified by the published hash, and renamed only when complete.

`NAME.part` beside the target holds the bytes so far; the next try continues from there. Only the hash decides whether
a file is right: a server's length or range header proves nothing. A limit on the number of bytes keeps a server from
filling the disk.
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
from pellucid.records.names import counted
from pellucid.version import __version__

__all__ = ["Remote", "obtain"]

Display = Callable[[int, int | None], None]
"""Called with (bytes received, bytes in total); the total is None if unknown."""

TRIES = 4
"""Number of tries for one address before the next one."""
PAUSE = 0.5
"""Seconds before the second try; doubled for each further one."""
TIMEOUT = 30.0
"""Seconds without data after which a connection counts as broken."""
_PIECE = 1 << 16


@dataclass(frozen=True)
class Remote:
    """One file that can be downloaded.

    Attributes:
        file: file name in the data root.
        urls: addresses, the best first.
        md5: published MD5 sum, hexadecimal.
        of_unpacked: whether the sum is that of the unpacked content of a gzip file.
        most_bytes: limit on the size of the file, and on that of its unpacked content.
    """

    file: str
    urls: tuple[str, ...]
    md5: str
    of_unpacked: bool = False
    most_bytes: int = 512 << 20


class _BrokenError(Exception):
    """A failed try; the message is the reason. `again` says whether to try the same address again."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def obtain(remote: Remote, folder: Path) -> Path:
    """Download a file into a folder of the data root.

    Returns:
        The path of the file.

    Raises:
        DownloadError: no address gave the complete file; the message says where to put which file.
        StorageError: the folder cannot be written to, or the disk is full.
    """
    target, part = folder / remote.file, folder / f"{remote.file}.part"
    try:
        atomic.make_folder(folder)
        with atomic.storage_errors(part), part.open("ab"):
            pass
    except StorageError as error:
        raise StorageError(
            f"{remote.file} cannot be downloaded, because {folder} cannot be written to. Set PELLUCID_DATA to a folder "
            f"of your own."
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
            # Nothing arrived: delete the folder if it is empty.
            folder.rmdir()
    raise DownloadError(
        f"{remote.file} could not be downloaded ({'; '.join(reasons)}). Download it from {remote.urls[0]} and save it "
        f"as {target}, or set PELLUCID_DATA to the folder that has {folder.name}/{remote.file}."
    )


def _fetch(remote: Remote, url: str, part: Path) -> None:
    """Complete the partial file from one address, with several tries.

    Raises:
        _BrokenError: the file is incomplete or wrong.
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
                # The transfer is complete, but the content is wrong: the next try must start again.
                part.unlink()
                broken = _BrokenError(f"{_host(url)} sent a file with the wrong MD5 sum ({digest})", again=resumed > 0)
            if not broken.again or attempt == TRIES - 1:
                raise broken


def _receive(remote: Remote, url: str, part: Path, display: Display) -> None:
    """Request the bytes after the end of the partial file, and append them.

    Raises:
        _BrokenError: the server sent an error, or fewer bytes than announced.
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
                # Our file is already complete, or the server has another file; the hash decides.
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
    """Whether the response starts where the partial file ends; a server may ignore the range and send everything."""
    begins = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and begins.startswith(f"bytes {have}-")


def _copy(
    response: http.client.HTTPResponse,
    write: Callable[[bytes], int],
    have: int,
    total: int | None,
    remote: Remote,
    url: str,
    display: Display,
) -> None:
    while True:
        try:
            piece = response.read1(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(f"{_host(url)} stopped after {counted(have, 'byte')}: {error}", again=True) from error
        if not piece:
            break
        have += len(piece)
        if have > remote.most_bytes:
            raise _BrokenError(f"{_host(url)} sent more than {remote.most_bytes:,} bytes", again=False)
        write(piece)
        display(have, total)
    if total is not None and have < total:
        raise _BrokenError(f"{_host(url)} stopped after {have:,} of {total:,} bytes", again=True)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _sum(part: Path, remote: Remote) -> str:
    """The MD5 sum of the file or of its unpacked content; a short description if there is none."""
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
    """Progress of a download, on standard error: a bar on a terminal, one line elsewhere."""

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

    def __enter__(self) -> Display:
        if self.bar is not None:
            self.bar.start()
        return self._update

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def _update(self, have: int, total: int | None) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=have, total=total)
