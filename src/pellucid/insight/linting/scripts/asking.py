"""What rules ask of a single call: what is fitted, scaled, given to a loss, or decides."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.insight.linting.scripts import naming, vocabulary
from pellucid.insight.linting.scripts.source import dotted, last
from pellucid.insight.linting.scripts.tags import (
    CHOOSER,
    CROSS_ENTROPY,
    FITTED,
    NOTHING,
    SCALE,
    Tags,
    loaders,
    splits,
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
    name, said = last(call.node.func), naming.snake(dotted(call.node.func))
    given, test = call.everything, "test" in splits(call.everything)
    loss = CROSS_ENTROPY in call.function and name not in vocabulary.THE_SAME
    if (name == "cross_entropy" or loss) and call.arguments:
        yield "cross-entropy", call.arguments[0]
    own = any(tag.startswith("object:") for tag in call.receiver)
    steps = name == "step" and isinstance(call.node.func, ast.Attribute) and not own
    if test and (steps or "early" in said or "stop" in said):
        yield "choose", given
    if name in ("fit", "fit_transform") and test and naming.means_scaler(said):
        yield "scale", given
    elif name == "fit" and call.elsewhere and not own and len(call.arguments) + len(call.keywords) > 1:
        # One thing alone is looked at, as a clustering does; it is learned from where labels come with it.
        learned = _learned(call)
        yield "fit", learned
        if CHOOSER in given | call.receiver and "test" in splits(given) - learned:
            yield "choose", given
    if (name == "Normalize" and SCALE in given) or (name in vocabulary.SPLITTING and FITTED in given):
        yield "scale", given


def _learned(call: Given) -> Tags:
    """What a `fit` learns from: the first data that it is given."""
    named = [tags for name, tags in call.keywords.items() if "val" not in name and "test" not in name]
    return next((tags for tags in (*call.arguments, *named) if splits(tags) or loaders(tags)), NOTHING)
