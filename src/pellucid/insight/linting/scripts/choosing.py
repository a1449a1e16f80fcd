"""Rules on test data that say more than how good the network is."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid.insight.linting.flaw import Flaw
from pellucid.insight.linting.scripts.script import Script
from pellucid.insight.linting.scripts.tags import FITTED, splits


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
