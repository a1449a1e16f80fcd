"""One contract for every operation of the table, and its example."""

import importlib
import inspect
import json

import pytest

from pellucid import operations
from pellucid.errors import UnknownNameError
from pellucid.operations import OPERATIONS
from pellucid.records import Findings


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_has_code_a_formula_and_an_example(name):
    module, _, attribute = OPERATIONS[name].code.partition(":")
    code = importlib.import_module(module)
    assert inspect.getdoc(getattr(code, attribute) if attribute else code)
    assert operations.formula(name).strip()
    assert "Args:" not in operations.formula(name)
    assert operations.summary(name)[0].isupper()
    figure = operations.example(name)
    assert figure.figure == "operation"
    assert figure.data["operation"] == name
    assert figure.data["formula"] == operations.formula(name)
    assert figure.data["tex"]
    document = Findings((figure,)).dumps()
    assert Findings.from_json(json.loads(document))[0].to_json() == json.loads(document)["findings"][0]


def test_what_an_operation_says_is_what_it_computes():
    """The numbers of the example of convolution, worked out again with torch."""
    import torch

    rows = operations.example("convolution").data["rows"]
    grids = [panel for panel in rows[0]["panels"] if panel["kind"] == "grid"]
    x, kernel, y = (torch.tensor(panel["values"])[None, None] for panel in grids)
    assert torch.nn.functional.conv2d(x, kernel).equal(y)
    stride, _, padded, padding = (p for p in rows[1]["panels"] if p["kind"] == "grid")
    assert torch.nn.functional.conv2d(x, kernel, stride=2)[0, 0].tolist() == rows[1]["panels"][2]["values"]
    assert torch.tensor(padded["values"] if len(padded["values"]) == 7 else stride["values"]).shape == (7, 7)
    assert torch.nn.functional.conv2d(x, kernel, padding=1)[0, 0].tolist() == padding["values"]


def test_an_unknown_name_is_one_sentence():
    with pytest.raises(UnknownNameError) as caught:
        operations.example("convolutoin")
    assert str(caught.value).startswith(
        "There is no operation named 'convolutoin'. Did you mean 'convolution'? Known: "
    )
    assert str(caught.value).endswith("`pellucid show operation` lists them.")
