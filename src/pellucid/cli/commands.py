"""The table of commands: a name, its module and its help. Listing the commands imports none of them.

To add a command, write its file beside this one (a function, and EXAMPLES for the end of its `--help`) and add its
line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """A line of the table.

    Attributes:
        module: the module that holds the function of the command's name.
        help: one short sentence.
    """

    module: str
    help: str

    def load(self, name: str) -> tuple[Callable[..., Any], str]:
        """Imports the command: its function, and the examples for its help."""
        module = importlib.import_module(self.module)
        return getattr(module, name), module.EXAMPLES


COMMANDS: dict[str, Command] = {
    "check": Command("pellucid.cli.check", "Check pictures before training."),
    "train": Command("pellucid.cli.train", "Train a network on labelled pictures."),
    "tune": Command("pellucid.cli.tune", "Search for better training settings."),
    "evaluate": Command("pellucid.cli.evaluate", "Score a model on labelled pictures."),
    "audit": Command("pellucid.cli.audit", "Look for what the score of a model hides."),
    "relabel": Command("pellucid.cli.relabel", "Correct labels by a table of decisions."),
    "predict": Command("pellucid.cli.predict", "Predict the class of pictures."),
    "label": Command("pellucid.cli.label", "Suggest which photos to label next."),
    "sort": Command("pellucid.cli.sort", "Copy photos into one folder per class."),
    "info": Command("pellucid.cli.info", "Print what a model file contains."),
    "export": Command("pellucid.cli.export", "Write a model as one file that runs without torch."),
    "inspect": Command("pellucid.cli.inspect", "Look inside a model and explain its predictions."),
    "lint": Command("pellucid.cli.lint", "Find mistakes in a network or training script."),
    "runs": Command("pellucid.cli.runs", "List runs, newest last."),
    "compare": Command("pellucid.cli.compare", "Test whether one run is better than another."),
    "datasets": Command("pellucid.cli.datasets", "List the data sets."),
    "cache": Command("pellucid.cli.cache", "Show or empty the cache."),
    "networks": Command("pellucid.cli.networks", "List the networks."),
    "show": Command("pellucid.cli.show", "Draw pictures of each class, or an operation."),
    "report": Command("pellucid.cli.report", "Write the report of a run again."),
}
