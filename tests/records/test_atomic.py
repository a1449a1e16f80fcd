"""Files are written whole or not at all, whatever happens, and a refusal of the system is one sentence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pellucid.errors import StorageError
from pellucid.records import atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "Grüße\n")
    assert path.read_bytes() == "Grüße\n".encode()
    atomic.write_bytes(path, b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_writing_that_fails_leaves_the_previous_file_and_nothing_else(tmp_path, kind):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with atomic.replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise kind

    with pytest.raises(kind):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EDQUOT, "The disk is full"),
        (errno.EACCES, "is not writable"),
        (errno.EPERM, "is not writable"),
        (errno.EROFS, "is not writable"),
        (errno.EIO, "cannot be written: Input/output error"),
        (errno.ENAMETOOLONG, "cannot be written: File name too long"),
    ],
)
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_system_errors_become_a_sentence(tmp_path, monkeypatch, number, part, where):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def refuse(*_arguments: object):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if where == "fsync" else (Path, "replace")), refuse)
    with pytest.raises(StorageError) as caught:
        atomic.write_text(path, "new")
    assert part in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("windows", "refusals", "tried"), [(True, 3, 4), (True, 99, 6), (False, 1, 1)])
def test_only_windows_waits_for_a_program_that_has_the_file_open(tmp_path, monkeypatch, windows, refusals, tried):
    temporary, path, clock, asked = tmp_path / "a.part", tmp_path / "a.txt", [0.0], []
    temporary.write_text("new", encoding="utf-8")
    path.write_text("old", encoding="utf-8")
    replace = Path.replace

    def replace_unless_open(self: Path, target: Path) -> Path:
        asked.append(target)
        if len(asked) <= refusals:
            raise PermissionError(errno.EACCES, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_unless_open)
    monkeypatch.setattr(atomic.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(atomic.time, "sleep", lambda _seconds: clock.append(clock.pop() + 1))
    if refusals < tried:
        atomic._replace(temporary, path, windows=windows)
    else:
        said = StorageError if windows else PermissionError
        with pytest.raises(said, match="another program has it open" if windows else "Access is denied"):
            atomic._replace(temporary, path, windows=windows)
    assert len(asked) == tried
    assert path.read_text(encoding="utf-8") == ("new" if refusals < tried else "old")


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("Windows has no call to flush a folder")

    def refuse(*_arguments: object):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    atomic.write_bytes(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_full_device(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match="The disk is full"), atomic.replacing(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"x" * 10_000)
    assert names(tmp_path) == []


def test_a_folder_that_is_missing_or_a_file(tmp_path):
    missing, file = tmp_path / "none" / "a.txt", tmp_path / "file"
    with pytest.raises(StorageError) as caught:
        atomic.write_text(missing, "x")
    assert str(caught.value) == f"{missing} cannot be written: there is no folder {tmp_path / 'none'}. Make it first."
    file.write_text("x", encoding="utf-8")
    for below in (file / "a.txt", file / "b" / "a.txt"):
        with pytest.raises(StorageError) as caught:
            atomic.write_text(below, "x")
        assert str(caught.value) == f"{below} cannot be written: {file} is not a folder."
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="it is a folder"):
        atomic.write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["file", "folder"]


def test_a_folder_that_takes_no_files(tmp_path, monkeypatch):
    """As /proc of Linux: it is a folder, and making a file in it ends in "no such file"."""

    def refuse(self: Path, *_arguments: object, **_options: object):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    for write in (lambda: atomic.write_bytes(tmp_path / "a", b""), lambda: atomic.make_folder(tmp_path / "a")):
        with pytest.raises(StorageError) as caught:
            write()
        assert str(caught.value) == (
            f"{tmp_path / 'a'} cannot be written: the folder {tmp_path} exists, but the system cannot make a file in "
            f"it (No such file or directory). Choose another folder."
        )


def test_folders(tmp_path):
    made = atomic.make_folder(tmp_path / "a" / "b")
    assert made.is_dir()
    atomic.make_folder(made)
    with pytest.raises(FileExistsError):
        atomic.make_folder(made, exist_ok=False)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="is a file, but a folder is needed"):
        atomic.make_folder(tmp_path / "file")
    with pytest.raises(StorageError):
        atomic.make_folder(tmp_path / "file" / "below")


def test_a_folder_that_may_not_be_written_as_an_ordinary_user(tmp_path):
    """In a process that has given up its rights: root may write everywhere."""
    if os.name == "nt" or not hasattr(os, "setuid"):
        pytest.skip("this system knows no user to become")
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a.txt").write_text("old", encoding="utf-8")
    folder.chmod(0o555)
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.getuid() and str(above).startswith("/tmp/pytest"):
            above.chmod(0o755)
    code = textwrap.dedent(f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        from pellucid.errors import StorageError
        from pellucid.records import atomic
        if os.getuid() == 0:
            os.setgid(65534), os.setuid(65534)
        try:
            atomic.write_text({str(folder / "a.txt")!r}, "new")
        except StorageError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=False)
    folder.chmod(0o755)
    if done.returncode and "PermissionError" in done.stderr:
        pytest.skip("this process may not become another user, or that user may not read the program")
    assert "is not writable" in done.stdout, done.stderr
    assert (folder / "a.txt").read_text(encoding="utf-8") == "old"


def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no SIGKILL")
    path = tmp_path / "a.bin"
    path.write_bytes(b"old" * 1000)
    code = textwrap.dedent(f"""
        import sys, time
        from pellucid.records import atomic
        with atomic.replacing({str(path)!r}) as temporary:
            with temporary.open("wb") as stream:
                stream.write(b"new" * 500)
                stream.flush()
                print("half", flush=True)
                time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old" * 1000
    assert [name for name in names(tmp_path) if not name.endswith(".part")] == ["a.bin"]
