"""What holds for the whole repository: layout, names, sizes, versions, tables that repeat what the code says."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pellucid import __version__
from pellucid.cli.commands import COMMANDS
from pellucid.data.catalogue import DATASETS
from pellucid.networks.catalogue import NETWORKS

TOP = Path(__file__).resolve().parents[1]
SOURCES = sorted((TOP / "src").rglob("*.py"))
DOCUMENTS = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]


def text(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def test_imports_go_downwards_only():
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_stay_readable(path):
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400, "past 400 lines a module is split by concept"
    if lines:
        assert ast.get_docstring(ast.parse("\n".join(lines))), "a module says what it is for"


def test_every_command_is_a_file_of_its_own_with_tests():
    for name, command in COMMANDS.items():
        assert command.module == f"pellucid.cli.{name}"
        assert (TOP / "src" / "pellucid" / "cli" / f"{name}.py").is_file()


def test_the_readme_lists_the_commands_as_they_are():
    rows = re.findall(r"^\| `pellucid (\w+)` \| (.+) \|$", text("README.md"), re.MULTILINE)
    assert rows == [(name, command.help) for name, command in COMMANDS.items()]


def tree_of_the_readme() -> list[str]:
    """The folders that the README draws, as paths."""
    (block,) = re.findall(r"```text\n(.*?)```", text("README.md"), re.DOTALL)
    parents: list[tuple[int, str]] = []
    found = []
    for line in block.splitlines():
        depth, name = len(line) - len(line.lstrip()), line.split()[0]
        parents = [(above, path) for above, path in parents if above < depth]
        path = "".join(path for _, path in parents[-1:]) + name
        parents.append((depth, path))
        found.append(path)
    return found


def test_the_tree_in_the_readme_is_the_tree():
    drawn = tree_of_the_readme()
    packages = {f"src/pellucid/{path.parent.name}/" for path in TOP.glob("src/pellucid/*/__init__.py")}
    folders = {f"{name}/" for name in ("tests", "docs", "benchmarks", "lessons") if (TOP / name).is_dir()}
    assert set(drawn) == packages | folders | {"src/pellucid/"}
    assert len(drawn) == len(set(drawn))


def test_tests_mirror_the_source():
    packages = {path.parent.name for path in TOP.glob("src/pellucid/*/__init__.py")}
    folders = {path.name for path in (TOP / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= packages | {"benchmarks"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    content = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", content):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_documents_name_are_there(document):
    for path in re.findall(r"`((?:src|tests|docs|benchmarks|lessons)/[\w./-]+)`", document.read_text(encoding="utf-8")):
        assert (TOP / path).exists(), path


def test_every_document_is_in_the_index():
    index = text("docs/README.md")
    for document in (TOP / "docs").rglob("*.md"):
        if document.name != "README.md":
            assert f"]({document.relative_to(TOP / 'docs').as_posix()})" in index


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## \[([^\]]+)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert first is not None
    assert first[1] == __version__


@pytest.mark.parametrize("name", [*COMMANDS, *DATASETS, *NETWORKS])
def test_the_changelog_names_what_there_is(name):
    assert f"`{name}`" in text("CHANGELOG.md")


def test_every_dependency_is_pinned():
    pinned = {}
    for line in text("constraints.txt").splitlines():
        found = re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][0-9A-Za-z.]*)", line)
        assert found, f"{line!r} is no pin: no path, no host, no local version"
        pinned[re.sub(r"[-_.]+", "-", found[1]).lower()] = found[2]
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]
    for requirement in wanted:
        name = re.split(r"[<>=!\[; ]", requirement)[0]
        assert re.sub(r"[-_.]+", "-", name).lower() in pinned, requirement
    assert "pellucid" not in pinned


def test_the_readme_begins_with_what_it_does_a_picture_and_two_commands():
    top = text("README.md").split("## ")[0]
    assert re.search(r"!\[[^\]]{40,}\]\(docs/pictures/", top), "a picture, and what it shows in words"
    assert re.search(r"```sh\nmake demo\nmake test\n```", top)
    for picture in (TOP / "docs" / "pictures").glob("*.png"):
        assert picture.stat().st_size < 150_000


def test_every_target_of_the_makefile_says_what_it_does():
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    done = subprocess.run(["make", "help"], cwd=TOP, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target} +\S", done.stdout, re.MULTILINE), target


def test_the_scripts_are_well_formed():
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("there is no bash here")
    for script in (".ci/run", "tests/wheel_alone.sh"):
        subprocess.run([shell, "-n", str(TOP / script)], check=True)
    assert "set -euo pipefail" in text(".ci/run")
