"""What holds for every command: help with examples, errors as sentences, exit codes."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pellucid.cli import app, completion
from pellucid.cli.commands import COMMANDS, Command
from pellucid.errors import DataError
from pellucid.version import __version__


@pytest.fixture
def failing(monkeypatch):
    """A way to register a command that fails with a given error."""

    def register(error: BaseException):
        def fail() -> None:
            """Fail."""
            raise error

        monkeypatch.setitem(COMMANDS, "fail", Command("a module", "Fail."))
        monkeypatch.setattr(Command, "load", lambda self, name: (fail, "  pellucid fail"))

    return register


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_says_what_it_does_and_gives_examples(pellucid, name):
    done = pellucid(name, "--help")
    assert done.code == 0
    assert f"Usage: pellucid {name}" in done.out
    assert "Examples:" in done.out
    assert f"pellucid {name}" in done.out.split("Examples:")[1]
    assert len(COMMANDS[name].help) < 60


def test_help_lists_all_commands_and_the_exit_codes(pellucid):
    done = pellucid("--help")
    assert all(f"  {name} " in done.out for name in COMMANDS)
    assert "Exit codes: 0" in done.out
    assert "130 interrupted" in done.out


def test_no_arguments_show_the_help(pellucid):
    done = pellucid()
    assert done.code == 2
    assert "Commands:" in done.err


def test_version(pellucid):
    assert pellucid("--version").out == f"pellucid {__version__}\n"


def test_unknown_command_says_what_was_meant(pellucid):
    done = pellucid("trian", "digits")
    assert done.code == 2
    assert done.err == (
        f"There is no command named 'trian'. Did you mean 'train'? Known: {', '.join(sorted(COMMANDS))}.\n"
    )


def test_unknown_option_is_a_usage_error(pellucid):
    done = pellucid("networks", "--jsn")
    assert done.code == 2
    assert "No such option: --jsn" in done.err
    assert "Traceback" not in done.err


def test_an_error_of_ours_is_its_sentence_alone(pellucid, failing):
    failing(DataError("The folder x has no pictures."))
    done = pellucid("fail")
    assert (done.code, done.out, done.err) == (1, "", "The folder x has no pictures.\n")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_shows_the_traceback_before_the_sentence(pellucid, failing, monkeypatch, how):
    failing(DataError("The folder x has no pictures."))
    if how == "environment":
        monkeypatch.setenv("PELLUCID_DEBUG", "1")
    done = pellucid(*(["--debug"] if how == "option" else []), "fail")
    assert done.code == 1
    assert "Traceback" in done.err
    assert done.err.endswith("\nThe folder x has no pictures.\n")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "Interrupted before the end. Run the same command again.\n"),
        (MemoryError(), 1, "There is not enough memory. Try a smaller --batch-size, or smaller pictures.\n"),
        (OSError(errno.EIO, "Input/output error", "x.png"), 1, "x.png: Input/output error.\n"),
        (
            ZeroDivisionError("division by zero"),
            1,
            (
                "Internal error in Pellucid (ZeroDivisionError: division by zero). "
                "Run `pellucid --debug ...` for the traceback, and please report it.\n"
            ),
        ),
        (typer.Exit(3), 3, ""),
    ],
)
def test_whatever_goes_wrong_ends_as_one_sentence(pellucid, failing, error, code, sentence):
    failing(error)
    done = pellucid("fail")
    assert (done.code, done.err) == (code, sentence)


def test_a_reader_that_has_seen_enough_is_no_error():
    program = [sys.executable, "-c", "from pellucid.cli import main; main()", "networks"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()
    assert said == b""
    assert running.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_said_so(unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    program = [sys.executable, "-c", "from pellucid.cli import main; main()", "networks"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False, encoding="utf-8")
    assert done.stderr == "Standard output cannot be written: No space left on device.\n"
    assert done.returncode == 1


def test_an_error_cannot_write_another_line_nor_move_the_cursor(pellucid, failing):
    failing(DataError("The file two\nlines\x1b[31m.png is damaged."))
    assert pellucid("fail").err == "The file two\\nlines\\x1b[31m.png is damaged.\n"


def test_an_error_of_the_system_that_names_no_file_is_not_blamed_on_the_output(pellucid, failing):
    failing(OSError(errno.EIO, "Input/output error"))
    assert pellucid("fail").err == "Input/output error.\n"


def test_help_answers_in_a_pipe_without_control_characters():
    program = [sys.executable, "-m", "pellucid.cli", "--help"]
    done = subprocess.run(program, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout


def test_completion_offers_names_and_folders(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "ants").mkdir()
    (tmp_path / "page.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert completion.networks("mlp") == ["mlp"]
    assert completion.datasets("dig") == ["digits"]
    assert completion.datasets("p") == ["photos/"]
    assert completion.datasets("photos/") == ["photos/ants/"]
    assert completion.datasets("nowhere/x") == []
    assert "default" in completion.recipes("")


@pytest.mark.parametrize(("words", "offered"), [("pellucid tr", "train"), ("pellucid train --network le", "lenet5")])
def test_the_shell_is_offered_completions(pellucid, words, offered, monkeypatch):
    monkeypatch.setenv("_PELLUCID_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    done = pellucid()
    assert offered in done.out.split()


def test_errors_outside_commands_are_not_swallowed():
    with pytest.raises(typer.Exit) as end, app.sentences(debug=False):
        raise DataError("no")
    assert end.value.exit_code == 1
