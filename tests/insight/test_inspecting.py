"""`pellucid.inspect` in Python gives the views that the command gives."""

from __future__ import annotations

import pytest

import pellucid
from pellucid import insight
from pellucid.cli import views
from pellucid.errors import UnknownNameError, UsageError
from pellucid.insight.inspecting import VIEWS


@pytest.fixture(scope="module")
def model() -> pellucid.Model:
    return pellucid.train(pellucid.load("digits"), "convnet", epochs=1, progress=False)


def test_every_view_of_the_package_and_of_the_command_is_there():
    assert set(VIEWS) == set(insight.__all__)
    assert {"explain" if name == "why" else name for name in views.VIEWS} <= set(VIEWS)


def test_without_a_view_it_is_the_table_of_layers(model, tmp_path):
    by_model, by_file = pellucid.inspect(model), pellucid.inspect(model.save(tmp_path / "m.safetensors"))
    assert by_model.dumps() == insight.summary(model).dumps()
    assert by_file.dumps() == by_model.dumps()


@pytest.mark.parametrize(
    ("view", "arguments", "figure"),
    [
        ("filters", ("1",), "filters"),
        ("feature-maps", ("1", "digits:3"), "feature-maps"),
        ("why", ("digits:3",), "explanation"),
        ("activations", ("digits",), "activations"),
    ],
)
def test_a_view_with_its_arguments(model, view, arguments, figure):
    findings = pellucid.inspect(model, view, *arguments)
    assert figure in {getattr(item, "figure", "") for item in findings}


def test_mistakes_are_one_sentence(model):
    with pytest.raises(UnknownNameError, match=r"There is no view of a model named 'filter'\. Did you mean 'filters'"):
        pellucid.inspect(model, "filter")
    with pytest.raises(UsageError, match=r"pellucid\.insight\.filters\(.*\): missing a required argument: 'layer'"):
        pellucid.inspect(model, "filters")
