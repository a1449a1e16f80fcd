from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pellucid.records.paths import command_line


@pytest.mark.parametrize(
    ("path", "shell", "windows"),
    [
        ("runs/digits-mlp-001", "runs/digits-mlp-001", "runs/digits-mlp-001"),
        ("my runs/it's", "'my runs/it'\"'\"'s'", '"my runs/it\'s"'),
        ("C:\\my runs\\1", "'C:\\my runs\\1'", '"C:\\my runs\\1"'),
        ("widths=[20]", "'widths=[20]'", "widths=[20]"),
    ],
)
def test_words_are_quoted_as_the_shell_of_the_system_takes_them(path, shell, windows):
    assert command_line(path, windows=False) == shell
    assert shlex.split(shell) == [path]
    assert command_line(path, windows=True) == windows
    assert command_line("pellucid", "train", path, windows=True) == f"pellucid train {windows}"
    assert command_line(Path("a b")) in ("'a b'", '"a b"')
