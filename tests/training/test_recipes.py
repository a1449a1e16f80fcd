"""Recipes that are made for a network bring it, and their parts work with any."""

from __future__ import annotations

import pytest

import pellucid
from pellucid.records import Dataset, RunFolder
from pellucid.training.choice import choose_network, plan_for
from pellucid.training.recipes import MADE_FOR, RECIPES, named
from pellucid.training.transfer.choice import settle
from pellucid.workflows.train import run


def few() -> Dataset:
    data = pellucid.load("digits")
    return Dataset("few", {"train": data.train.take(range(200)), "test": data.test.take(range(20))})


@pytest.mark.parametrize("name", MADE_FOR)
def test_it_is_brought_with_its_settings(name):
    network, fitting = MADE_FOR[name]
    settled, recipe, changes = settle(few(), None, name, started=False, changes={})
    assert settled == network
    choice = choose_network(settled, None, None, recipe)
    assert choice.settings == fitting
    assert plan_for(choice, recipe, changes) == named(name, choice.own_recipe())
    changed = choose_network(network, {"widths": [16, 16, 16]}, None, name)
    assert changed.settings == fitting | {"widths": [16, 16, 16]}
    assert choose_network(network).settings == {}
    assert settle(few(), "mlp", name, started=False, changes={})[0] == "mlp", "any other network may be named"


def test_a_run_with_it_is_resumed_with_the_same_network(tmp_path):
    plans = []

    class Reader:
        def on_start(self, _plan):
            plans.append(RunFolder(tmp_path / "run").read_plan())

    done = run(few(), recipe="fast", out=tmp_path / "run", report=False, progress=False, size=28, callbacks=[Reader()])
    assert plans[0].network == "whitened-convnet"
    assert plans[0].settings == done.model.specification.network.settings == MADE_FOR["fast"][1]


@pytest.mark.parametrize("name", ["record", "best"])
def test_its_parts_work_with_another_network(name):
    model = pellucid.train(few(), "mlp", recipe=name, epochs=2, progress=False)
    assert model.specification.views == RECIPES[name]["views"]
    assert model.specification.temperature != 1, "smoothed labels are calibrated"
    found = pellucid.predict(model, few().test)
    assert len(found) == 20
