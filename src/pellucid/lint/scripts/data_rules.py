"""Rules about the pictures of a training loop and their order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pellucid.lint.registry import Flaw
from pellucid.lint.scripts.script import Script
from pellucid.lint.scripts.source import last
from pellucid.lint.scripts.tags import FITTED, IN_ORDER, MIXED, loaders, splits

_MIXING = (
    "randperm",
    "permutation",
    "shuffle",
    "multinomial",
    "randint",
    "choice",
    "sample",
    "rand",
    "train_test_split",
)
_REASON = (
    "Every epoch has the same order and the same batches. If the pictures are sorted by class, each batch has only one "
    "class, and the network forgets the others."
)


def no_shuffle(script: Script) -> Iterator[Flaw]:
    """A training loop over a loader or slices without shuffling."""
    for event in (*script.all("training-loop"), *script.all("fit")):
        loaders_used = loaders(event.tags)
        for tag in loaders_used:
            # If one of several loaders shuffles, this loop may be using that one.
            is_certain = all(loader.endswith(IN_ORDER) for loader in loaders_used)
            if "test" not in splits(event.tags) and is_certain:
                yield Flaw(
                    script.source.location(script.loaders[tag]),
                    _REASON,
                    "Use DataLoader(..., shuffle=True) for the training pictures.",
                )
        if isinstance(event.node, ast.For) and _slices_in_order(event.node) and not script.source.mentions(*_MIXING):
            yield Flaw(
                script.source.location(event.node),
                _REASON,
                "Draw a new order in every epoch, order = torch.randperm(n), and use x[order[i : i + size]].",
            )


def trains_on_test(script: Script) -> Iterator[Flaw]:
    """A training loop or a `fit` on test data."""
    for event in (*script.all("training-loop"), *script.all("fit")):
        if splits(event.tags) == {"test"} or MIXED in event.tags:
            yield Flaw(
                script.source.location(event.node),
                "The network learns from the test pictures here, so the test accuracy measures memory, not "
                "generalisation.",
                "Train on the training pictures, and use the test pictures once, at the end.",
            )


def _slices_in_order(loop: ast.For) -> bool:
    """`for i in range(0, n, size): ... x[i : i + size]`, `for x, y in zip(xs.split(size), ys.split(size))`."""
    if any(isinstance(node, ast.Call) and last(node.func) in ("split", "chunk") for node in ast.walk(loop.iter)):
        return True
    if not (isinstance(loop.iter, ast.Call) and isinstance(loop.target, ast.Name)):
        return False
    ranges = [node for node in ast.walk(loop.iter) if isinstance(node, ast.Name) and node.id in ("range", "trange")]
    slices = [node for body in loop.body for node in ast.walk(body) if isinstance(node, ast.Slice)]
    return bool(ranges) and any(
        isinstance(name, ast.Name) and name.id == loop.target.id for part in slices for name in ast.walk(part)
    )


def test_data_chooses(script: Script) -> Iterator[Flaw]:
    """Test results that choose the epoch, the end of training, or the learning rate."""
    for event in script.all("choose"):
        if "validation" not in splits(event.tags):
            yield Flaw(
                script.source.location(event.node),
                "A result on the test pictures makes a choice here. The chosen epoch or setting is partly the one that "
                "happens to suit these pictures, so its test accuracy is too high.",
                "Split validation pictures off the training pictures, choose on those, and use the test pictures once, "
                "at the end.",
            )


def normalised_on_test(script: Script) -> Iterator[Flaw]:
    """Means and scales computed on test pictures."""
    for event in script.all("scale"):
        mixed = FITTED in event.tags
        yield Flaw(
            script.source.location(event.node),
            "The scaling is computed on all pictures before the split, so information about the test pictures leaks "
            "into training."
            if mixed
            else "The scaling is computed on the test pictures, so information about them leaks into the result. A "
            "single new picture could not be scaled like this.",
            "Compute mean and scale on the training pictures only, and apply them to all others.",
        )
