"""A capability is deleted with its command, its lines in the registries and its tests, and everything else stays green.

It happens in a copy. What still runs there is all that could know of the capability; the rest of the tests does not
import it, and is left out to keep this short.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]


@pytest.fixture
def scratch(tmp_path) -> Path:
    """A copy of the code and the tests."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("src", "tests", "benchmarks"):
        shutil.copytree(TOP / folder, tmp_path / folder, ignore=ignore)
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    return tmp_path


def delete(scratch: Path, *patterns: str) -> None:
    """Deletes files and folders, each of which has to be there."""
    for pattern in patterns:
        found = list(scratch.glob(pattern))
        assert found, pattern
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def strike(registry: Path, named: str) -> None:
    """Takes those lines out of the tables of a module (dictionaries at its top level) that name a module."""
    source = registry.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    struck: set[int] = set()
    for node in ast.parse(source).body:
        table = getattr(node, "value", None)
        if isinstance(table, ast.Dict):
            for key, value in zip(table.keys, table.values, strict=True):
                assert key is not None
                if named in (ast.get_source_segment(source, value) or ""):
                    struck |= set(range(key.lineno - 1, value.end_lineno or 0))
    assert struck, f"{registry.name} does not name {named}"
    registry.write_text("".join(line for i, line in enumerate(lines) if i not in struck), encoding="utf-8")


def stays_green(scratch: Path, *tests: str) -> None:
    """Runs import-linter and tests in the copy."""
    environment = os.environ | {"PYTHONPATH": str(scratch / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    if not (
        Path(environment["PELLUCID_DATA"]) / "mnist"
    ).is_dir():  # no real sets were given: theirs are skipped there too
        del environment["PELLUCID_DATA"]
    linter = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    runner = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
    ]
    where = "import pellucid, sys; sys.exit(not pellucid.__file__.startswith(sys.argv[1]))"
    for command in ([sys.executable, "-c", where, str(scratch)], linter, [*runner, *tests]):
        done = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_report_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/report", "src/pellucid/cli/show.py", "src/pellucid/cli/report.py")
    strike(scratch / "src/pellucid/records/display.py", "pellucid.report")
    strike(scratch / "src/pellucid/__init__.py", "pellucid.report")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.show")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.report")
    delete(scratch, "tests/report", "tests/cli/test_show_*.py")
    stays_green(
        scratch, "tests/cli", "tests/evaluation", "tests/statistics", "tests/test_lazy_import.py", *present(scratch)
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_idx_source_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/data/idx.py", "src/pellucid/data/named_idx.py")
    strike(scratch / "src/pellucid/data/catalogue.py", "pellucid.data.named_idx")
    delete(scratch, "tests/data/test_*idx*.py")
    its_own = "tests/data/test_download.py::test_a_named_set_is_downloaded_once"
    commands = ["tests/cli/test_listings.py", "tests/cli/test_errors.py", "tests/cli/test_train.py"]
    stays_green(scratch, "tests/data", *commands, "tests/test_lazy_import.py", "--deselect", its_own)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lint_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/lint", "src/pellucid/cli/lint.py")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.lint")
    delete(scratch, "tests/lint", "tests/cli/test_lint.py")
    commands = ["tests/cli/test_app.py", "tests/cli/test_inspect.py", "tests/cli/test_listings.py"]
    stays_green(scratch, "tests/insight", *commands, "tests/test_lazy_import.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_operations_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/operations", "src/pellucid/cli/show_operation.py")
    strike(scratch / "src/pellucid/cli/show.py", "pellucid.cli.show_operation")
    delete(scratch, "tests/operations", "tests/cli/test_show_operation.py", "tests/report/test_pictures_operation.py")
    commands = ["tests/cli/test_app.py", "tests/cli/test_show_and_report.py", "tests/cli/test_listings.py"]
    stays_green(scratch, "tests/report", *commands, "tests/test_lazy_import.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_audit_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/audit", "src/pellucid/cli/audit.py", "src/pellucid/cli/relabel.py")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.audit")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.relabel")
    delete(scratch, "tests/audit", "tests/cli/test_audit.py", "tests/cli/test_relabel.py")
    commands = ["tests/cli/test_app.py", "tests/cli/test_evaluate.py", "tests/cli/test_listings.py"]
    stays_green(scratch, "tests/evaluation", *commands, "tests/test_lazy_import.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_export_can_be_deleted(scratch):
    delete(scratch, "src/pellucid/export", "src/pellucid/cli/export.py")
    strike(scratch / "src/pellucid/cli/commands.py", "pellucid.cli.export")
    delete(scratch, "tests/export", "tests/cli/test_export.py")
    stays_green(scratch, "tests/cli/test_app.py", "tests/cli/test_listings.py", "tests/test_lazy_import.py")


def present(scratch: Path) -> list[str]:
    """Further folders of tests that could know of the report, where they are there."""
    return [f"tests/{name}" for name in ("records", "workflows", "training") if (scratch / "tests" / name).is_dir()]
