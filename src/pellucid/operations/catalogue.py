"""The table of operations: name → its code and a small worked example.

Listing them imports none of them. To add an operation: write it, write its example, and add its line.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from pellucid.errors import UnknownNameError
from pellucid.records import Figure


@dataclass(frozen=True)
class Entry:
    """One operation.

    Attributes:
        code: `module:name` of the function or class, or a module; its docstring has the formula.
        example: `module:function` of the worked example, which returns a `WorkedExample`.
        help: what the operation does, in a few words.
    """

    code: str
    example: str
    help: str


OPERATIONS: dict[str, Entry] = {
    "convolution": Entry(
        "pellucid.operations.convolution:convolve",
        "pellucid.operations.examples.convolution:convolution",
        "a small kernel slides over a picture",
    ),
    "max-pooling": Entry(
        "pellucid.operations.pooling:max_pool",
        "pellucid.operations.examples.convolution:max_pooling",
        "the largest number of each window",
    ),
    "average-pooling": Entry(
        "pellucid.operations.pooling:average_pool",
        "pellucid.operations.examples.convolution:average_pooling",
        "the mean of each window",
    ),
    "l2-pooling": Entry(
        "pellucid.operations.pooling:l2_pool",
        "pellucid.operations.examples.convolution:l2_pooling",
        "the Euclidean length of each window",
    ),
    "kernels": Entry(
        "pellucid.operations.convolution:apply_kernel",
        "pellucid.operations.examples.convolution:kernels",
        "hand-made kernels on a photograph: edges, blur, sharpen, emboss",
    ),
    "dense": Entry(
        "pellucid.operations.dense:dense",
        "pellucid.operations.examples.layers:dense",
        "weighted sums of all inputs",
    ),
    "activations": Entry(
        "pellucid.operations.activations",
        "pellucid.operations.examples.activations:activations",
        "ReLU, sigmoid and others, with their derivatives",
    ),
    "batch-normalisation": Entry(
        "pellucid.operations.normalisation:BatchNormalisation",
        "pellucid.operations.examples.layers:batch_normalisation",
        "mean 0 and variance 1, in training and in inference",
    ),
    "dropout": Entry(
        "pellucid.operations.dropout:dropout",
        "pellucid.operations.examples.layers:dropout",
        "values switched off at random, shown on digits",
    ),
    "one-hot": Entry(
        "pellucid.operations.losses:one_hot",
        "pellucid.operations.examples.losses:one_hot",
        "a label as a row of zeros with a one",
    ),
    "softmax": Entry(
        "pellucid.operations.losses:softmax",
        "pellucid.operations.examples.losses:softmax",
        "logits become probabilities",
    ),
    "cross-entropy": Entry(
        "pellucid.operations.losses:cross_entropy",
        "pellucid.operations.examples.losses:cross_entropy",
        "how little probability the right class gets",
    ),
    "squared-error": Entry(
        "pellucid.operations.losses:squared_error",
        "pellucid.operations.examples.losses:squared_error",
        "the mean of squared distances",
    ),
    "hinge": Entry(
        "pellucid.operations.losses:hinge",
        "pellucid.operations.examples.losses:hinge",
        "the right class should lead by a margin",
    ),
    "perceptron": Entry(
        "pellucid.operations.perceptron:perceptron_step",
        "pellucid.operations.examples.optimizers:perceptron",
        "a threshold unit that corrects its mistakes",
    ),
    "backpropagation": Entry(
        "pellucid.operations.backpropagation:mlp_step",
        "pellucid.operations.examples.backpropagation:backpropagation",
        "the chain rule through an MLP, number by number",
    ),
    "backpropagation-cnn": Entry(
        "pellucid.operations.backpropagation:cnn_step",
        "pellucid.operations.examples.backpropagation:backpropagation_cnn",
        "the chain rule through convolution and pooling",
    ),
    "automatic-differentiation": Entry(
        "pellucid.operations.differentiation:Variable",
        "pellucid.operations.examples.backpropagation:automatic_differentiation",
        "gradients of any formula, from a graph of its steps",
    ),
    "sgd": Entry(
        "pellucid.operations.optimizers:SGD",
        "pellucid.operations.examples.optimizers:sgd",
        "a step against the gradient",
    ),
    "momentum": Entry(
        "pellucid.operations.optimizers:Momentum",
        "pellucid.operations.examples.optimizers:momentum",
        "a running sum of gradients, like a rolling ball",
    ),
    "adagrad": Entry(
        "pellucid.operations.optimizers:Adagrad",
        "pellucid.operations.examples.optimizers:adagrad",
        "a learning rate for each weight, which only shrinks",
    ),
    "rmsprop": Entry(
        "pellucid.operations.optimizers:RMSProp",
        "pellucid.operations.examples.optimizers:rmsprop",
        "a learning rate for each weight, from its recent gradients",
    ),
    "adam": Entry(
        "pellucid.operations.optimizers:Adam",
        "pellucid.operations.examples.optimizers:adam",
        "momentum and RMSProp together, corrected at the start",
    ),
    "initialisation": Entry(
        "pellucid.operations.initialisation",
        "pellucid.operations.examples.activations:initialisation",
        "initial weights that neither shrink nor blow up the signal",
    ),
}


def check_name(name: str) -> None:
    """Checks that an operation exists.

    Raises:
        UnknownNameError: the operation is unknown.
    """
    if name not in OPERATIONS:
        raise UnknownNameError("operation", name, OPERATIONS, "`pellucid show operation` lists them.")


def example(name: str) -> Figure:
    """A small worked example of an operation, with its numbers: a figure of kind `operation`.

    Raises:
        UnknownNameError: the operation is unknown.
    """
    check_name(name)
    entry = OPERATIONS[name]
    module, _, function = entry.example.partition(":")
    worked = getattr(importlib.import_module(module), function)()
    data = {
        "operation": name,
        "code": entry.code,
        "formula": formula(name),
        "tex": list(worked.tex),
        "rows": list(worked.rows),
    }
    return Figure(name.replace("-", "_"), "operation", data, title=worked.title)


def formula(name: str) -> str:
    """The formula in the docstring of an operation."""
    lines = _docstring(name).partition("Formula:\n")[2].splitlines()
    block = []
    for line in lines:
        if line.strip() and not line.startswith("    "):
            break
        block.append(line)
    return inspect.cleandoc("\n" + "\n".join(block)).rstrip()


def summary(name: str) -> str:
    """The first line of the docstring of an operation."""
    return _docstring(name).splitlines()[0]


def _docstring(name: str) -> str:
    check_name(name)
    module, _, attribute = OPERATIONS[name].code.partition(":")
    target: Any = importlib.import_module(module)
    return inspect.getdoc(getattr(target, attribute) if attribute else target) or ""
