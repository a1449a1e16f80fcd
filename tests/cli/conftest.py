"""The command line within the test's own process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
        assert document["version"] == 2
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


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """A small model of `digits`, trained for the tests."""
    import pellucid

    model = pellucid.train(pellucid.load("digits"), "logistic-regression", epochs=3, progress=False)
    return model.save(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="session")
def scans(tmp_path_factory) -> Path:
    """A folder of six digits as pictures, named by their class, one of them a folder deeper and in capitals."""
    import pellucid

    test = pellucid.load("digits").test
    folder = tmp_path_factory.mktemp("scans")
    (folder / "deeper").mkdir()
    places = ["a.png", "b.png", "c.bmp", "d e.png", "é.png", "deeper/F.PNG"]
    for index, place in enumerate(places):
        Image.fromarray(test.pictures[index, 0]).save(folder / place)
    (folder / ".hidden.png").write_bytes(b"not to be looked at")
    (folder / "notes.txt").write_text("not a picture", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory) -> Path:
    """A folder with two classes of twelve small pictures, dark and bright."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name, low in (("bright", 160), ("dark", 0)):
        (folder / name).mkdir()
        for index in range(12):
            pixels = generator.integers(low, low + 90, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:02}.png")
    return folder
