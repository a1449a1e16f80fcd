"""The tables in the documents are what the benchmarks measured."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]


def script(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", TOP / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["accuracy", "duplicates", "photos", "speed"])
def test_a_table_is_made_from_the_results(name):
    benchmark = script(name)
    if not benchmark.RESULTS.is_file():
        assert not benchmark.TABLE.exists(), "a table without results"
        return
    assert benchmark.TABLE.read_text(encoding="utf-8") == benchmark.table(benchmark.results()), (
        f"run: python benchmarks/{name}.py --table"
    )


def test_accuracies_are_of_the_recipes_as_they_are_now():
    accuracy = script("accuracy")
    for line in accuracy.results():
        now = accuracy.current_recipe(line["network"], line["epochs"], line.get("plan", "default"))
        assert line["recipe"] == now, f"the recipe of {line['network']} has changed; measure it again"


def test_a_mean_is_that_of_its_seeds():
    accuracy = script("accuracy")
    line = {
        "data": "d",
        "network": "n",
        "epochs": 5,
        "recipe": "r",
        "parameters": 7,
        "n": 100,
        "seconds": 2.0,
        "accuracy": 0.5,
        "seed": 0,
    }
    page = accuracy.table([line, line | {"accuracy": 0.7, "seconds": 4.0, "seed": 1}])
    assert "**60.00** | 50.00 to 70.00 | 2 | 100 | 3 (2 to 4)" in page


def test_planted_copies_are_found_on_pictures_that_chose_no_bound(data_root, tmp_path):
    duplicates = script("duplicates")
    name, images, others = next(duplicates.sets(originals=100, others=400))
    for line in duplicates.measure(name, images, others, tmp_path):
        assert line["precision"] >= 0.95, line
        assert line["recall"] >= {"exact": 1, "cropped by 10 %": 0.8}.get(line["kind"], 0.9), line


def test_differences_from_independent_decoders_are_explained(tmp_path):
    decoders = script("decoders")
    lines = {line["file"]: line for line in decoders.results()}
    names = []
    for number, (name, suffix, content) in enumerate(decoders.files()):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(content)
        names.append(name)
        now, line = decoders.compare(name, path, {}), lines[name]
        assert now.get("refused") == line.get("refused"), f"{name}: run python benchmarks/decoders.py"
        assert decoders.agrees(line) or decoders.explained(line), name
    assert names == list(lines), "run: python benchmarks/decoders.py"
    assert sum(map(decoders.agrees, lines.values())) >= 150


def test_a_missing_decoder_is_said_loudly(monkeypatch, capsys):
    decoders = script("decoders")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.argv", ["decoders.py"])
    assert decoders.main() == 3
    assert "SKIPPED: neither libvips nor ImageMagick is installed" in capsys.readouterr().err
