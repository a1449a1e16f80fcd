"""The table of commands: from a name to where its function lives. None of them is imported to list them.

To add a command: write its file beside this one (a function, and EXAMPLES that its `--help` ends with), and add its
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
        module: the module whose function of the command's name is called.
        help: what it does, in a few words.
    """

    module: str
    help: str

    def load(self, name: str) -> tuple[Callable[..., Any], str]:
        """The function of the command, and the examples for its help."""
        module = importlib.import_module(self.module)
        return getattr(module, name), module.EXAMPLES


COMMANDS: dict[str, Command] = {
    "check": Command("pellucid.cli.check", "Look at pictures before anything is learned from them."),
    "train": Command("pellucid.cli.train", "Train a network on labelled pictures."),
    "tune": Command("pellucid.cli.tune", "Search the settings of a training."),
    "evaluate": Command("pellucid.cli.evaluate", "Score a model on labelled pictures."),
    "predict": Command("pellucid.cli.predict", "Say what a model sees in pictures."),
    "label": Command("pellucid.cli.label", "Suggest labels for photos, the most useful first."),
    "sort": Command("pellucid.cli.sort", "Copy photos into one folder per class."),
    "info": Command("pellucid.cli.info", "Print what a model file says of itself."),
    "inspect": Command("pellucid.cli.inspect", "Look inside a model, and why it answers so."),
    "lint": Command("pellucid.cli.lint", "Find what makes a network or a script quietly worse."),
    "runs": Command("pellucid.cli.runs", "List the runs of a folder, the newest last."),
    "compare": Command("pellucid.cli.compare", "Say whether one run is really better than another."),
    "datasets": Command("pellucid.cli.datasets", "List the data sets."),
    "cache": Command("pellucid.cli.cache", "Show or empty the cache."),
    "networks": Command("pellucid.cli.networks", "List the networks."),
    "show": Command("pellucid.cli.show", "Draw some pictures of each class, or an operation."),
    "report": Command("pellucid.cli.report", "Write the report of a run again."),
}
