"""What a call gives to a function, and what is asked of calls and functions."""

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
    """Whether anything is put into evaluation mode by name."""
    return any(isinstance(node, ast.Attribute) and node.attr == "eval" for node in source.walk())


def steps(function: Function, source: Source) -> bool:
    """Whether a function takes a step of training itself, rather than in a loop."""
    return called(function.body, "backward", source, loops=False)


def in_order(node: ast.Call, arguments: list[Tags], keywords: dict[str, Tags]) -> bool:
    """Whether a loader of torch does not shuffle; what is not known here is taken to."""
    no = frozenset({NO})
    samplers = [one.value for one in node.keywords if one.arg == "sampler"]
    if any(isinstance(one, ast.Call) and last(one.func) == "SequentialSampler" for one in samplers):
        return True
    if "**" in keywords or any(keywords.get(name, no) != no for name in ("sampler", "batch_sampler")):
        return False
    return (arguments[2] if len(arguments) > 2 else keywords.get("shuffle", no)) == no


def parameters(function: Function) -> list[str]:
    """The names of what a function is given."""
    signature = function.args
    return [one.arg for one in (*signature.posonlyargs, *signature.args, *signature.kwonlyargs)]


def bound(function: Function, arguments: list[Tags], keywords: dict[str, Tags], owner: Tags | None) -> dict[str, Tags]:
    """What the parameters of a function hold in a call; without those of which nothing is known."""
    names = parameters(function)
    if owner is not None and names[:1] == ["self"]:
        arguments = [owner, *arguments]
    by_name = dict(zip(names, arguments, strict=False))
    by_name |= {name: tags for name, tags in keywords.items() if name in names}
    return {name: tags for name, tags in by_name.items() if tags or name == "self"}


def of_metrics(node: ast.Call) -> bool:
    """Whether a mean is one of losses or accuracies rather than of data."""
    return any(
        naming.means_metric(last(one)) or isinstance(one, (ast.Compare, ast.List))
        for one in ast.walk(node)
        if isinstance(one, (ast.Name, ast.Attribute, ast.Compare, ast.List))
    )


@dataclass(frozen=True)
class Given:
    """A call, and what everything in it holds.

    Attributes:
        node: the call.
        function: what is called holds.
        receiver: what stands before the dot.
        arguments: by place.
        keywords: by name.
        everything: all of these that are data.
        elsewhere: whether the function is defined in none of these files.
    """

    node: ast.Call
    function: Tags
    receiver: Tags
    arguments: list[Tags]
    keywords: dict[str, Tags]
    everything: Tags
    elsewhere: bool


def asked_of(call: Given) -> Iterator[tuple[str, Tags]]:
    """The kinds of the events that a call is, and the tags of each; see `Event`."""
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
        # One thing alone is looked at, as a clustering does; it is learned from where labels come with it.
        learned = _learned(call)
        yield "fit", learned
        if CHOOSER in data | call.receiver and "test" in splits(data) - learned:
            yield "choose", data
    if (name == "Normalize" and SCALE in data) or (name in vocabulary.SPLITTING and FITTED in data):
        yield "scale", data


def _learned(call: Given) -> Tags:
    """What a `fit` learns from: the first data that it is given."""
    named = [tags for name, tags in call.keywords.items() if "val" not in name and "test" not in name]
    return next((tags for tags in (*call.arguments, *named) if splits(tags) or loaders(tags)), NOTHING)
