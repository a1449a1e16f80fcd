"""Every block of Python and of shell in the documents runs, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import pellucid

TOP = Path(__file__).resolve().parents[1]
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELLS = {"sh", "console", "bash", "shell"}
WITH_BLOCKS = [path for path in DOCUMENTS if BLOCK.search(path.read_text(encoding="utf-8"))]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def script(block: str) -> str:
    """The lines of a block that are run here. Only two kinds are not, and they are looked at instead: `make TARGET`,
    which would run these tests within themselves, and `pip install`, which test_wheel.py does in its own way."""
    kept = []
    for given in block.splitlines():
        line = given.removeprefix("$ ")
        if line.startswith("make "):
            assert set(line.split()[1:2]) <= targets(), line
        elif line.startswith("pip install"):
            assert line in ("pip install .", "pip install -e .", "pip install -c constraints.txt ."), line
        else:
            kept.append(line)
    return "\n".join(kept)


@pytest.mark.slow
@pytest.mark.parametrize("document", WITH_BLOCKS, ids=lambda path: path.name)
def test_the_blocks_run(document, tmp_path, monkeypatch, request):
    blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
    assert {kind for kind, _ in blocks} <= {"python", "text", *SHELLS}, "every other kind would not be run"
    if any("mnist" in content for _, content in blocks):
        request.getfixturevalue("data_root")
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    for index, picture in enumerate(pellucid.load("digits").test.pictures[:5, 0]):
        Image.fromarray(picture).save(f"scans/{index}.png")
    names: dict[str, object] = {"__name__": "__main__"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for kind, content in blocks:
        if kind == "python":
            exec(compile(content, document.name, "exec"), names)
        elif kind in SHELLS:
            shell = shutil.which("bash")
            if shell is None:
                pytest.skip("there is no bash here")
            done = subprocess.run(
                [shell, "-euo", "pipefail", "-c", script(content)],
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
                check=False,
                encoding="utf-8",
            )
            assert done.returncode == 0, f"{content}\n{done.stdout}\n{done.stderr}"


def test_a_block_of_an_unknown_target_is_found():
    with pytest.raises(AssertionError):
        script("make tset")
    assert script("make test\n$ pellucid --version\npip install .") == "pellucid --version"
