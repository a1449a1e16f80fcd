"""Downloads from a server on this machine that breaks off, lies about length, serves wrong bytes, ignores ranges."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from pellucid.data import cifar, download
from pellucid.data.download import Remote, obtain
from pellucid.data.loading import load
from pellucid.errors import DownloadError, StorageError

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; `plan` says how each request in turn is answered, and the last word is repeated."""

    def __init__(self, content: bytes = CONTENT) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.default = content
        self.plan = ["well"]
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data.bin"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is none of a test's failures."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that the base class has)
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        behaviour = self.server.plan.pop(0) if len(self.server.plan) > 1 else self.server.plan[0]
        content = self.server.content.get(self.path, self.server.default)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if behaviour.isdecimal():
            self.send_error(int(behaviour))
            return
        if behaviour == "hang up":
            self.close_connection = True
            return
        start = 0
        if wanted and behaviour != "ignore range":
            start = int(wanted[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            first = 0 if behaviour == "another range" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            start = first
        else:
            self.send_response(200)
        body = content[start:]
        if behaviour == "wrong bytes":
            body = bytes(len(body))
        length = {"too long": len(body) + 5000, "too short": len(body) // 2}.get(behaviour, len(body))
        if behaviour == "nonsense length":
            self.send_header("Content-Length", "many")
        elif behaviour != "no length":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if behaviour in ("break off", "stall") else body)
        if behaviour == "stall":
            self.wfile.flush()
            self.server.released.wait(20)


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)


def remote(server: Server, **changes: object) -> Remote:
    return Remote(**({"file": "data.bin", "urls": (server.url,), "md5": MD5} | changes))


def test_a_download_arrives_whole(server, tmp_path, capsys):
    folder = tmp_path / "root" / "set"
    assert obtain(remote(server), folder) == folder / "data.bin"
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["data.bin"], "nothing else is left behind"
    assert capsys.readouterr() == ("", f"Downloading data.bin from {server.url}\n")


@pytest.mark.parametrize(
    ("plan", "ranges"),
    [
        (["break off", "well"], [None, "bytes=150000-"]),
        (["break off", "break off", "well"], [None, "bytes=150000-", "bytes=225000-"]),
        (["break off", "ignore range"], [None, "bytes=150000-"]),
        (["break off", "another range"], [None, "bytes=150000-"]),
        (["break off", "503", "well"], [None, "bytes=150000-", "bytes=150000-"]),
        (["too long"], [None]),
        (["no length"], [None]),
        (["nonsense length"], [None]),
        (["too short", "well"], [None]),
    ],
)
def test_breaks_and_lies_are_survived(server, tmp_path, plan, ranges):
    server.plan = list(plan)
    mirror = Remote("data.bin", (server.url, server.url), MD5)
    obtain(mirror, tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked][: len(ranges)] == ranges


def test_a_later_call_resumes(server, tmp_path):
    server.plan = ["break off", "404"]
    with pytest.raises(DownloadError):
        obtain(remote(server), tmp_path)
    assert (tmp_path / "data.bin.part").read_bytes() == CONTENT[:150_000], "what came is kept"
    assert not (tmp_path / "data.bin").exists()
    server.plan = ["well"]
    obtain(remote(server), tmp_path)
    assert server.asked[-1] == ("/data.bin", "bytes=150000-")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert not (tmp_path / "data.bin.part").exists()


def test_a_whole_part_only_wants_its_name(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    obtain(remote(server), tmp_path)
    assert server.asked == [("/data.bin", "bytes=300000-")]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"other" * 100, bytes(400_000)], ids=["shorter", "longer"])
def test_a_foreign_part_is_dropped(server, tmp_path, part):
    (tmp_path / "data.bin.part").write_bytes(part)
    obtain(remote(server), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={len(part)}-", None]


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (["wrong bytes"], rf"sent a file with the wrong MD5 sum ({hashlib.md5(bytes(300_000)).hexdigest()})"),
        (["too short"], "sent a file with the wrong MD5 sum ("),
        (["404"], "answered 404 Not Found"),
        (["500"], "answered 500 Internal Server Error"),
        (["hang up"], "could not be reached: "),
        (["break off"], "stopped after "),
    ],
)
def test_what_does_not_arrive_is_said(server, tmp_path, plan, reason):
    server.plan = plan
    folder = tmp_path / "set"
    with pytest.raises(DownloadError) as error:
        obtain(remote(server), folder)
    text = str(error.value)
    assert text.startswith(f"data.bin could not be downloaded (127.0.0.1:{server.server_port} ")
    assert reason in text
    assert text.endswith(
        f"Download it from {server.url} and save it as {folder / 'data.bin'}, or set PELLUCID_DATA to the "
        f"folder that has set/data.bin."
    )
    assert "\n" not in text
    assert not (folder / "data.bin").exists()
    assert len(server.asked) <= download.TRIES
    if plan != ["break off"]:
        assert not folder.exists() or not any(folder.iterdir()), "wrong bytes are not kept"


def test_a_server_that_falls_silent(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.plan = ["stall", "well"]
    obtain(remote(server), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=150000-"]


def test_the_next_mirror_is_asked(server, tmp_path):
    server.plan = ["404", "well"]
    both = Remote("data.bin", (server.url, server.url.replace("data.bin", "mirror.bin")), MD5)
    obtain(both, tmp_path)
    assert [path for path, _ in server.asked] == ["/data.bin", "/mirror.bin"]


def test_a_closed_port(tmp_path):
    closed = Server()
    closed.server_close()
    with pytest.raises(DownloadError, match=r"could not be reached: .*refused"):
        obtain(remote(closed), tmp_path)


def test_an_endless_answer_does_not_fill_the_disk(server, tmp_path):
    server.plan = ["no length"]
    with pytest.raises(DownloadError, match="sent more than 100,000 bytes"):
        obtain(remote(server, most_bytes=100_000), tmp_path / "set")
    assert (tmp_path / "set" / "data.bin.part").stat().st_size <= 100_000


def test_the_sum_may_be_of_the_unpacked_content(server, tmp_path):
    server.default = gzip.compress(CONTENT)
    obtain(remote(server, of_unpacked=True), tmp_path)
    assert gzip.decompress((tmp_path / "data.bin").read_bytes()) == CONTENT
    server.default = b"\x1f\x8bnot gzip after all"
    with pytest.raises(DownloadError, match=r"wrong MD5 sum \(of a damaged gzip file"):
        obtain(remote(server, of_unpacked=True), tmp_path / "other")
    server.default = gzip.compress(bytes(2_000_000))
    with pytest.raises(DownloadError, match=r"wrong MD5 sum \(of too many bytes"):
        obtain(remote(server, of_unpacked=True, most_bytes=1_000_000), tmp_path / "bomb")


def test_a_terminal_sees_a_bar(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    obtain(remote(server), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert "data.bin" in err
    assert "Downloading" not in err


def test_a_full_disk(server, tmp_path, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(StorageError, match="The disk is full"):
        obtain(remote(server), tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no user 65534")
def test_a_data_root_that_may_not_be_written(tmp_path):
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(StorageError, match="Set PELLUCID_DATA to a folder of your own"):
            obtain(Remote("data.bin", ("http://127.0.0.1:9/",), MD5), tmp_path / "set")
        tmp_path.chmod(0o700)
        return
    # Root ignores permissions, so an ordinary user tries it.
    code = (
        "import os, pathlib\n"
        "from pellucid.data.download import Remote, obtain\n"
        "from pellucid.errors import StorageError\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    obtain(Remote('data.bin', ('http://127.0.0.1:9/',), ''), pathlib.Path('/proc/set'))\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == (
        "data.bin cannot be downloaded, because /proc/set cannot be written to. Set PELLUCID_DATA to a folder of your "
        "own.\n"
    )


def test_a_named_set_is_downloaded_once(server, tmp_path, monkeypatch, cifar10_archive):
    server.default = cifar10_archive
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "root"))
    archive = "cifar-10-binary.tar.gz"
    monkeypatch.setitem(
        cifar.REMOTES, "cifar10", Remote(archive, (server.url,), hashlib.md5(cifar10_archive).hexdigest())
    )
    server.plan = ["break off", "well"]
    first = load("cifar10")
    assert len(first.train) == 100
    asked = len(server.asked)
    assert load("cifar10").fingerprint == first.fingerprint
    assert len(server.asked) == asked == 2
    assert [path.name for path in (tmp_path / "root" / "cifar-10").iterdir()] == [archive]
