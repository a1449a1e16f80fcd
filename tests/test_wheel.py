"""The wheel: what is in it, and that Pellucid runs from it alone. `make wheel-test` installs it for good."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pellucid import __version__

TOP = Path(__file__).resolve().parents[1]

USE = """
import sys
sys.path.insert(0, sys.argv[1])
import pellucid
from pellucid.cli import main
assert pellucid.__file__.startswith(sys.argv[1]), pellucid.__file__
train = ["train", "digits", "--network", "convnet", "--epochs", "1", "--quiet", "--out", "run"]
for arguments in (["--version"], train):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, end.code
outside = [
    name
    for name, module in sys.modules.items()
    if name.split(".")[0] == "pellucid" and not str(getattr(module, "__file__", "")).startswith(sys.argv[1])
]
assert not outside, outside
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert wheel.name == f"pellucid-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = archive.read(f"pellucid-{__version__}.dist-info/METADATA").decode("utf-8")
        entry = archive.read(f"pellucid-{__version__}.dist-info/entry_points.txt").decode("utf-8")
    source = TOP / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "pellucid").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "pellucid/py.typed" in names
    assert f"pellucid-{__version__}.dist-info/licenses/LICENSE" in names
    assert "Requires-Python: >=3.11" in metadata
    assert "pellucid = pellucid.cli:main" in entry


@pytest.mark.slow
def test_pellucid_trains_from_the_wheel_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # -I: neither the working folder nor PYTHONPATH lead back to the source tree.
    command = [sys.executable, "-I", "-c", USE, str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8", env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
