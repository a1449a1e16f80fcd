"""Recipes that are made for a network bring it, and their parts work with any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pellucid
from pellucid.errors import UsageError
from pellucid.networks.perceptron import Perceptron
from pellucid.records import Dataset, Model, RunFolder
from pellucid.training.network_choice import choose_network
from pellucid.training.plan import make_plan
from pellucid.training.recipes import RECIPE_NETWORKS, RECIPE_ON_CARD, RECIPES, named_recipe
from pellucid.workflows.train import run


def few() -> Dataset:
    data = pellucid.load("digits")
    return Dataset("few", {"train": data.train.take(range(200)), "test": data.test.take(range(20))})


@pytest.mark.parametrize("name", RECIPE_NETWORKS)
def test_a_recipe_brings_its_network_and_settings(name):
    network, fitting = RECIPE_NETWORKS[name]
    plan = make_plan(few(), recipe=name, device="cpu")
    assert plan.network.network == plan.record.network == network
    assert plan.network.settings == plan.record.settings == fitting
    assert plan.recipe == named_recipe(name, plan.network.own_recipe())
    changed = make_plan(few(), network, settings={"widths": [16, 16, 16]}, recipe=name)
    assert changed.network.settings == fitting | {"widths": [16, 16, 16]}
    assert make_plan(few(), network).network.settings == {}
    assert make_plan(few(), "mlp", recipe=name).network.network == "mlp", "any other network may be named"


@pytest.mark.parametrize("name", RECIPE_ON_CARD)
def test_a_recipe_may_differ_on_a_card(name, monkeypatch):
    assert (
        RECIPE_ON_CARD[name].items()
        <= make_plan(few(), recipe=name, device="cpu").recipe.but(**RECIPE_ON_CARD[name]).model_dump().items()
    ), "every setting exists"
    on_cpu = make_plan(few(), recipe=name, device="cpu")
    monkeypatch.setattr("pellucid.training.plan.choose", lambda _: torch.device("cuda"))
    on_card = make_plan(few(), recipe=name)
    assert on_card.recipe.differences(on_cpu.recipe) == RECIPE_ON_CARD[name]
    assert any("on a card, the recipe" in note for note in on_card.notes)
    assert make_plan(few(), recipe=name, batch_size=64).recipe.batch_size == 64, "the user decides"


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
    with pytest.raises(UsageError, match=f"The setting {name.replace('_', ' ')} has no effect on [pP]erceptron"):
        make_plan(few(), network, epochs=1, **change)
    assert getattr(make_plan(few(), "mlp", **change).recipe, name) == change[name]


def test_a_recipe_with_unused_settings_is_accepted():
    unused = dict(choose_network("perceptron").unused_settings())
    plan = make_plan(few(), "perceptron", **unused | {"learning_rate": 0.5})
    assert plan.recipe.optimizer == "sgd", "which is what it does"
    assert make_plan(few(), "perceptron", recipe="plain", learning_rate=0.5).recipe.optimizer == "adam"
    assert make_plan(few(), "perceptron", recipe=named_recipe("best"), epochs=2).recipe.ema_decay == 0.998


def test_smoothed_labels_are_calibrated():
    data = pellucid.load("digits")
    settings = {"epochs": 5, "validation_fraction": 0.3, "progress": False}
    model = pellucid.train(data, "mlp", label_smoothing=0.3, **settings)
    assert model.specification.temperature < 0.9, "smoothing makes a network less sure than it could be"
    labels = data.test.labels
    plain = Model(model.specification.model_copy(update={"temperature": 1.0}), model.weights)
    shares = [pellucid.predict(one, data.test).probabilities[np.arange(len(labels)), labels] for one in (plain, model)]
    before, after = (-np.log(share).mean() for share in shares)
    assert after < before


@pytest.mark.parametrize("name", ["record", "best"])
def test_its_parts_work_with_another_network(name):
    model = pellucid.train(few(), "mlp", recipe=name, epochs=2, progress=False)
    assert model.specification.tta == RECIPES[name]["tta"]
    found = pellucid.predict(model, few().test)
    assert len(found) == 20
