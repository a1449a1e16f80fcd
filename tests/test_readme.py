"""Runs every block of Python and shell in the documents, in their order."""

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
    """The lines of a block to run.

    Two kinds of lines are checked but not run: `make TARGET`, which would run these tests again, and `pip install`,
    which test_wheel.py and test_runtime.py cover.
    """
    lines = []
    for prompt_line in block.splitlines():
        line = prompt_line.removeprefix("$ ")
        if line.startswith("make "):
            assert set(line.split()[1:2]) <= targets(), line
        elif line.startswith("pip install"):
            cpu = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
            runtime = ("pip install -c constraints.txt -r requirements/runtime.txt", "pip install --no-deps .")
            usual = ("pip install .", "pip install -e .", "pip install -c constraints.txt .", cpu)
            assert line in (*usual, *runtime), line
        else:
            lines.append(line)
    return "\n".join(lines)


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


def test_an_unknown_make_target_fails():
    with pytest.raises(AssertionError):
        script("make tset")
    assert script("make test\n$ pellucid --version\npip install .") == "pellucid --version"


def forms(output: str) -> list[str]:
    """The lines that end a demo, with `#` for each number: they differ between machines."""
    lines = [line for line in output.splitlines() if line.startswith(("Accuracy ", "Model ", "Report "))]
    return [re.sub(r"\d+(\.\d+)?", "#", re.sub(" +", " ", line.split("; ")[0])) for line in lines]


@pytest.mark.slow
def test_the_demo_prints_what_the_readme_shows(tmp_path):
    (command,) = re.findall(r"^demo:.*\n.*pellucid (train .*)", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *command.split(), "--epochs", "1"],
        cwd=tmp_path, capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    (shown,) = re.findall(
        r"it prints:\n\n```text\n(.*?)```", (TOP / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(forms(shown)) == 3
    assert forms(done.stdout) == forms(shown)
