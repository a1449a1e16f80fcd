"""Recipes that are made for a network bring it, and their parts work with any."""

from __future__ import annotations

import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.networks.perceptron import Perceptron
from pellucid.records import Dataset, RunFolder
from pellucid.training.choice import choose_network, plan_for
from pellucid.training.methods.choice import settle
from pellucid.training.recipes import RECIPE_NETWORKS, RECIPES, named_recipe
from pellucid.workflows.train import run


def few() -> Dataset:
    data = pellucid.load("digits")
    return Dataset("few", {"train": data.train.take(range(200)), "test": data.test.take(range(20))})


@pytest.mark.parametrize("name", RECIPE_NETWORKS)
def test_a_recipe_brings_its_network_and_settings(name):
    network, fitting = RECIPE_NETWORKS[name]
    settled, recipe, changes = settle(few(), None, name, started=False, changes={})
    assert settled == network
    choice = choose_network(settled, None, None, recipe)
    assert choice.settings == fitting
    assert plan_for(choice, recipe, changes) == named_recipe(name, choice.own_recipe())
    changed = choose_network(network, {"widths": [16, 16, 16]}, None, name)
    assert changed.settings == fitting | {"widths": [16, 16, 16]}
    assert choose_network(network).settings == {}
    assert settle(few(), "mlp", name, started=False, changes={})[0] == "mlp", "any other network may be named"


def test_a_run_with_a_recipe_resumes_with_the_same_network(tmp_path):
    plans = []

    class Reader:
        def on_start(self, _plan):
            plans.append(RunFolder(tmp_path / "run").read_plan())

    done = run(few(), recipe="fast", out=tmp_path / "run", report=False, progress=False, size=28, callbacks=[Reader()])
    assert plans[0].network == "whitened-convnet"
    assert plans[0].settings == done.model.specification.network.settings == RECIPE_NETWORKS["fast"][1]


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "adam"}, {"ema_decay": 0.9}, {"hard_fraction": 0.2}, {"weight_decay": 0.1}, {"momentum": 0.5}],
)
@pytest.mark.parametrize("network", ["perceptron", Perceptron])
def test_settings_that_the_rule_ignores_are_refused(network, change):
    (name,) = change
    choice = choose_network(network)
    with pytest.raises(UsageError, match=f"The setting {name.replace('_', ' ')} means nothing for [pP]erceptron"):
        plan_for(choice, "default", {"epochs": 1} | change)
    assert getattr(plan_for(choose_network("mlp"), "default", change), name) == change[name]


def test_a_recipe_with_unused_settings_is_accepted():
    choice = choose_network("perceptron")
    idle = dict(choice.unused_settings())
    assert plan_for(choice, "default", idle | {"learning_rate": 0.5}).optimizer == "sgd", "which is what it does"
    assert plan_for(choice, "plain", {"learning_rate": 0.5}).optimizer == "adam"
    assert plan_for(choice, named_recipe("best"), {"epochs": 2}).ema_decay == 0.998


@pytest.mark.parametrize("name", ["record", "best"])
def test_its_parts_work_with_another_network(name):
    model = pellucid.train(few(), "mlp", recipe=name, epochs=2, progress=False)
    assert model.specification.tta == RECIPES[name]["tta"]
    assert model.specification.temperature != 1, "smoothed labels are calibrated"
    found = pellucid.predict(model, few().test)
    assert len(found) == 20
