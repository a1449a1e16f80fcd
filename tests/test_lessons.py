"""Every lesson runs, from its first cell to its last, in the order in which a reader meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
LESSONS = sorted((TOP / "lessons").glob("[0-9]*.md"))
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(lesson: Path) -> dict[str, object]:
    """Executes the cells of a lesson; its names afterwards."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    names: dict[str, object] = {"__name__": "__main__"}
    cells = CELL.findall(lesson.read_text(encoding="utf-8"))
    assert len(cells) >= 8
    try:
        for number, cell in enumerate(cells, 1):
            exec(compile(cell, f"{lesson.name}, cell {number}", "exec"), names)
    finally:
        plt.close("all")
    return names


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_runs(lesson, tmp_path, monkeypatch):
    """Without CIFAR-10: what needs it runs on a small stand-in."""
    pytest.importorskip("IPython")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    run(lesson)


def test_there_are_five_and_the_index_and_the_readme_name_them():
    assert len(LESSONS) == 5
    index = (TOP / "lessons" / "index.md").read_text(encoding="utf-8")
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    for lesson in LESSONS:
        text = lesson.read_text(encoding="utf-8")
        title = re.search(r"^# \d\. (.+)$", text, re.MULTILINE)
        assert title is not None
        assert f"({lesson.name})" in index
        assert f"\n{lesson.stem}\n" in index
        assert f"(lessons/{lesson.name})" in readme
        assert "**An error**" in text
        assert set(re.findall(r"^```(\S+)", text, re.MULTILINE)) <= {"{code-cell}", "text"}, "all code is executed"
