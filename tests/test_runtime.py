"""Pellucid without torch, in an environment of its own that holds only what `requirements/runtime.txt` names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import pellucid
from pellucid.export.exporting import export

TOP = Path(__file__).resolve().parents[1]
RUNTIME = TOP / "requirements" / "runtime.txt"
MOST_MEGABYTES = 300


def test_what_it_names_is_named_and_pinned_elsewhere_too():
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["export"]}
    lines = [line for line in RUNTIME.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert set(lines) <= known
    assert not any(re.match("torch|scikit|scipy|onnx[^r]", line) for line in lines)


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_exported_model_predicts_where_there_is_no_torch(tmp_path):
    data = pellucid.load("digits")
    model = pellucid.train(data, "convnet", epochs=2, progress=False)
    model.save(tmp_path / "model.safetensors")
    export(model, tmp_path / "model.onnx", data.train)
    Image.fromarray(data.test.pictures[0, 0]).save(tmp_path / "digit.png")
    answer = pellucid.predict(model, tmp_path / "digit.png")

    assert run(sys.executable, "-m", "venv", "alone", folder=tmp_path).returncode == 0
    scripts = tmp_path / "alone" / ("Scripts" if os.name == "nt" else "bin")
    pip = (scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    packages = run(*pip, "-c", TOP / "constraints.txt", "-r", RUNTIME, "hatchling", folder=tmp_path)
    if packages.returncode != 0:
        pytest.skip(f"pip cannot install here, so prediction without torch is not tried: {packages.stderr[-300:]}")
    done = run(*pip, "--no-deps", "--no-build-isolation", TOP, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    size = sum(path.lstat().st_size for path in (tmp_path / "alone").rglob("*") if path.is_file())
    assert size < MOST_MEGABYTES * 1_000_000, f"{size / 1e6:.0f} MB"
    assert run(scripts / "python", "-c", "import torch", folder=tmp_path).returncode != 0

    done = run(scripts / "pellucid", "predict", "model.onnx", "digit.png", "--out", "p.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    predicted, share = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1:3]
    assert predicted == model.classes[answer.predicted[0]]
    assert float(share) == pytest.approx(float(answer.confidence[0]), abs=1e-5)
    told = run(scripts / "pellucid", "info", "model.onnx", "--all", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "ONNX, float32" in told.stdout
    refused = run(scripts / "pellucid", "predict", "model.safetensors", "digit.png", folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("This needs the package torch, which is not installed.")
