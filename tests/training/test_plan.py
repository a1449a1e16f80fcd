"""A plan is made once, is plain values, and gives the same training when it is restored from a file."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid
from pellucid.errors import FormatError, UsageError
from pellucid.records import Dataset, RunFolder, Split
from pellucid.records.plan import TrainingPlan
from pellucid.records.run import RunPlan
from pellucid.training.plan import make_plan, restore_plan
from pellucid.training.training import METHODS, learn, method_of


@pytest.fixture(scope="module")
def few() -> Dataset:
    data = pellucid.load("digits")
    return Dataset("few", {"train": data.train.take(range(200))})


def test_a_plan_goes_through_json_and_trains_the_same_model(few):
    plan = make_plan(few, "mlp", settings={"widths": [20]}, epochs=1, seed=3)
    record = TrainingPlan.model_validate_json(plan.record.model_dump_json())
    assert record == plan.record
    first, second = (learn(few, one, progress=False).model for one in (plan, restore_plan(record)))
    assert first == second
    assert first == pellucid.train(few, "mlp", settings={"widths": [20]}, epochs=1, seed=3, progress=False)


def test_a_changed_plan_leaves_the_first_one_as_it_was(few):
    plan = make_plan(few, "mlp", epochs=2)
    assert plan.with_recipe(epochs=3).recipe.epochs == 3
    assert plan.with_recipe(epochs=3).record.recipe["epochs"] == 3
    assert plan.recipe.epochs == 2


def test_a_start_model_brings_its_network_and_settings(few, tmp_path):
    model = pellucid.train(few, "mlp", settings={"widths": [20]}, epochs=1, progress=False)
    path = model.save(tmp_path / "model.safetensors")
    plan = make_plan(few, start=path, epochs=1)
    assert (plan.network.network, plan.network.settings) == ("mlp", {"widths": [20]})
    assert (plan.record.network, plan.record.settings, plan.record.start) == (None, None, str(path.resolve()))
    assert restore_plan(plan.record, start=model).network == plan.network


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ({"network": "mlp"}, "scratch"),
        ({"backbone": "lite0"}, "features"),
        ({"recipe": "finetune"}, "finetune"),
        ({"recipe": "finetune", "best_within": 60.0}, "best-within"),
        ({"recipe": "scratch"}, "scratch"),
    ],
)
def test_the_recipe_decides_the_method(few, arguments, method):
    assert method_of(make_plan(few, **arguments).recipe) == method
    assert method in METHODS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"seed": -1}, "A seed is a whole number of at least 0; given: -1."),
        ({"size": 0}, "A size is"),
        ({"device": "gpu"}, "There is no device named 'gpu'."),
        ({"settings": {1: 2}}, "The settings of a network have names"),
    ],
)
def test_wrong_arguments_are_refused(few, arguments, sentence):
    with pytest.raises(UsageError) as error:
        make_plan(few, "mlp", **arguments)
    assert str(error.value).startswith(sentence)


def test_a_plan_of_an_older_version_is_refused(few, tmp_path):
    folder = RunFolder.create("few", "mlp", tmp_path / "run")
    record = make_plan(few, "mlp").record
    folder.write_plan(RunPlan.model_validate(dict(record) | {"report": False}))
    assert folder.read_plan().recipe == record.recipe
    content = folder.plan.read_text(encoding="utf-8")
    for version, sentence in ((2, "an older version of Pellucid: its format is 2"), (4, "a newer version of Pellucid")):
        folder.plan.write_text(content.replace('"version": 3', f'"version": {version}'))
        with pytest.raises(FormatError, match=sentence):
            folder.read_plan()
    textual = content.replace('"version": 3', '"version": "3"')
    for damage in ("", "{", "[]", "3", "[" * 100_000, '{"version": 3}', textual):
        folder.plan.write_text(damage)
        with pytest.raises(FormatError, match=r"is damaged.*, so the training cannot be resumed\. Start a new run\."):
            folder.read_plan()


@pytest.mark.parametrize(
    ("shape", "recipe", "network"),
    [
        ((5000, 3, 32, 32), "quick", "whitened-convnet"),
        ((4999, 3, 32, 32), "default", "convnet"),
        ((5000, 1, 32, 32), "default", "convnet"),
        ((5000, 3, 16, 16), "default", "convnet"),
    ],
)
def test_without_a_network_small_pictures_get_one_that_fits(shape, recipe, network):
    train = Split("train", np.zeros(shape, np.uint8), np.arange(shape[0]) % 2, ("a", "b"))
    plan = make_plan(Dataset("small", {"train": train}))
    assert (plan.network.name, plan.record.recipe_name) == (network, recipe)
    assert len(plan.notes) == 1
    assert network in plan.notes[0]
    assert plan.notes[0].endswith(
        "to choose another network: --network NAME" if recipe == "quick" else "--network NAME"
    )
    assert make_plan(Dataset("small", {"train": train}), "mlp").notes == ()
