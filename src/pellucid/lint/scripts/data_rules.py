"""Rules on which pictures a training loop is fed, and in which order."""

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
    "Every epoch sees the pictures in the same order and the same batches; where they lie sorted by class, a batch has "
    "one class only, and the network forgets the others meanwhile."
)


def no_shuffle(script: Script) -> Iterator[Flaw]:
    """A loader, or slices in order, that a training loop goes over without shuffling."""
    for event in (*script.all("training-loop"), *script.all("fit")):
        loaders_used = loaders(event.tags)
        for tag in loaders_used:
            # Of several loaders, of which one shuffles, it is not known which one it is.
            sure = all(one.endswith(IN_ORDER) for one in loaders_used)
            if "test" not in splits(event.tags) and sure:
                yield Flaw(
                    script.source.place(script.loaders[tag]),
                    _REASON,
                    "DataLoader(..., shuffle=True) for the training pictures.",
                )
        if isinstance(event.node, ast.For) and _slices_in_order(event.node) and not script.source.mentions(*_MIXING):
            yield Flaw(
                script.source.place(event.node),
                _REASON,
                "Draw an order anew in every epoch, order = torch.randperm(n), and take x[order[i : i + size]].",
            )


def trains_on_test(script: Script) -> Iterator[Flaw]:
    """A training loop over test data, or a `fit` of them."""
    for event in (*script.all("training-loop"), *script.all("fit")):
        if splits(event.tags) == {"test"} or MIXED in event.tags:
            yield Flaw(
                script.source.place(event.node),
                "The network learns from the test pictures here, so what is measured on them afterwards says how "
                "well it remembers, not how well it recognises.",
                "Loop over the training pictures, and keep the test pictures for one measurement at the end.",
            )


def _slices_in_order(loop: ast.For) -> bool:
    """`for i in range(0, n, size): ... x[i : i + size]`, `for x, y in zip(xs.split(size), ys.split(size))`."""
    if any(isinstance(one, ast.Call) and last(one.func) in ("split", "chunk") for one in ast.walk(loop.iter)):
        return True
    if not (isinstance(loop.iter, ast.Call) and isinstance(loop.target, ast.Name)):
        return False
    ranges = [one for one in ast.walk(loop.iter) if isinstance(one, ast.Name) and one.id in ("range", "trange")]
    slices = [one for body in loop.body for one in ast.walk(body) if isinstance(one, ast.Slice)]
    return bool(ranges) and any(
        isinstance(name, ast.Name) and name.id == loop.target.id for one in slices for name in ast.walk(one)
    )


def test_data_chooses(script: Script) -> Iterator[Flaw]:
    """What was measured on the test pictures decides which epoch is kept, when to stop, or which rate is next."""
    for event in script.all("choose"):
        if "validation" not in splits(event.tags):
            yield Flaw(
                script.source.place(event.node),
                "What was measured on the test pictures decides here. Of many epochs or settings the one is kept "
                "that happens to suit just these pictures, so its figure is too good, and nothing is left to measure "
                "the truth.",
                "Carve a validation split out of the training pictures, decide on that, and take the test pictures "
                "once, at the end.",
            )


def normalised_on_test(script: Script) -> Iterator[Flaw]:
    """Means and scales that come from test pictures."""
    for event in script.all("scale"):
        mixed = FITTED in event.tags
        yield Flaw(
            script.source.place(event.node),
            "The scaling is measured on all pictures before they are split, the test pictures among them, so the "
            "test is no longer of pictures that nobody has seen."
            if mixed
            else "The scaling is measured on the test pictures: these are no longer pictures that nobody has seen, "
            "and a single new picture could not be scaled like that.",
            "Measure mean and scale on the training pictures alone, and apply these numbers to all others.",
        )
