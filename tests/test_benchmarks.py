"""The tables in the documents are what the benchmarks measured."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]


def script(name):
    found = importlib.util.spec_from_file_location(f"benchmark_{name}", TOP / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # dataclasses look themselves up there
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["accuracy", "speed"])
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
        now = accuracy.current_recipe(line["network"], line["epochs"])
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
