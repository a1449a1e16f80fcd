"""Calls in a script: their arguments, and the events that they stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.lint.scripts import naming, vocabulary
from pellucid.lint.scripts.source import Function, Source, called, dotted, last
from pellucid.lint.scripts.tags import (
    CHOOSER,
    CROSS_ENTROPY,
    FITTED,
    NO,
    NOTHING,
    SCALE,
    Tags,
    loaders,
    splits,
)

OFF = ("no_grad", "inference_mode")


def says_eval(source: Source) -> bool:
    """Whether the source calls `eval` anywhere."""
    return any(isinstance(node, ast.Attribute) and node.attr == "eval" for node in source.walk())


def steps(function: Function, source: Source) -> bool:
    """Whether a function makes a training step itself, not in a loop."""
    return called(function.body, "backward", source, loops=False)


def in_order(node: ast.Call, arguments: list[Tags], keywords: dict[str, Tags]) -> bool:
    """Whether a torch loader is known not to shuffle."""
    no = frozenset({NO})
    samplers = [keyword.value for keyword in node.keywords if keyword.arg == "sampler"]
    if any(isinstance(value, ast.Call) and last(value.func) == "SequentialSampler" for value in samplers):
        return True
    if "**" in keywords or any(keywords.get(name, no) != no for name in ("sampler", "batch_sampler")):
        return False
    return (arguments[2] if len(arguments) > 2 else keywords.get("shuffle", no)) == no


def parameters(function: Function) -> list[str]:
    """The parameter names of a function."""
    signature = function.args
    return [parameter.arg for parameter in (*signature.posonlyargs, *signature.args, *signature.kwonlyargs)]


def bound(function: Function, arguments: list[Tags], keywords: dict[str, Tags], owner: Tags | None) -> dict[str, Tags]:
    """Tags of a function's parameters in a call; parameters without tags are left out."""
    names = parameters(function)
    if owner is not None and names[:1] == ["self"]:
        arguments = [owner, *arguments]
    by_name = dict(zip(names, arguments, strict=False))
    by_name |= {name: tags for name, tags in keywords.items() if name in names}
    return {name: tags for name, tags in by_name.items() if tags or name == "self"}


def is_mean_of_metrics(node: ast.Call) -> bool:
    """Whether a mean is of losses or accuracies, not of data."""
    return any(
        naming.means_metric(last(one)) or isinstance(one, (ast.Compare, ast.List))
        for one in ast.walk(node)
        if isinstance(one, (ast.Name, ast.Attribute, ast.Compare, ast.List))
    )


@dataclass(frozen=True)
class TaggedCall:
    """A call with the tags of its parts.

    Attributes:
        node: the call.
        function: tags of the called function.
        receiver: tags of the object before the dot.
        arguments: tags of the positional arguments.
        keywords: tags of the keyword arguments.
        everything: tags of all arguments that are data.
        elsewhere: whether the function is defined in none of the files.
    """

    node: ast.Call
    function: Tags
    receiver: Tags
    arguments: list[Tags]
    keywords: dict[str, Tags]
    everything: Tags
    elsewhere: bool


def events_of(call: TaggedCall) -> Iterator[tuple[str, Tags]]:
    """The events of a call: kind and tags of each; see `Event`."""
    name, snake_name = last(call.node.func), naming.snake(dotted(call.node.func))
    data, test = call.everything, "test" in splits(call.everything)
    loss = CROSS_ENTROPY in call.function and name not in vocabulary.THE_SAME
    if (name == "cross_entropy" or loss) and call.arguments:
        yield "cross-entropy", call.arguments[0]
    own = any(tag.startswith("object:") for tag in call.receiver)
    steps = name == "step" and isinstance(call.node.func, ast.Attribute) and not own
    if test and (steps or "early" in snake_name or "stop" in snake_name):
        yield "choose", data
    if name in ("fit", "fit_transform") and test and naming.means_scaler(snake_name):
        yield "scale", data
    elif name == "fit" and call.elsewhere and not own and len(call.arguments) + len(call.keywords) > 1:
        # A `fit` with one argument is unsupervised, such as clustering; with labels it trains.
        learned = _fitted_data(call)
        yield "fit", learned
        if CHOOSER in data | call.receiver and "test" in splits(data) - learned:
            yield "choose", data
    if (name == "Normalize" and SCALE in data) or (name in vocabulary.SPLITTING and FITTED in data):
        yield "scale", data


def _fitted_data(call: TaggedCall) -> Tags:
    """Tags of the data that a `fit` learns from: its first data argument."""
    named = [tags for name, tags in call.keywords.items() if "val" not in name and "test" not in name]
    return next((tags for tags in (*call.arguments, *named) if splits(tags) or loaders(tags)), NOTHING)
