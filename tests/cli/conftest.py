"""The command line within the test's own process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from pellucid.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code, what it printed, and what it said on standard error."""

    code: int
    out: str
    err: str

    @property
    def findings(self) -> dict[str, Any]:
        """The findings by name, of a command that printed exactly one JSON document."""
        document = json.loads(self.out)
        assert document["version"] == 1
        return {item["name"]: item for item in document["findings"]}

    @property
    def sentence(self) -> str:
        """What went wrong: one line, no traceback."""
        assert self.code != 0
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def pellucid(capsys, monkeypatch):
    """Runs `pellucid ARGUMENTS...` and gives what it left."""

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(one) for one in arguments])
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return run
