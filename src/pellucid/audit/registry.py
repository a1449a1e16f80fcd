"""The table of all checks: a name, a module, and what the check looks for.

To add a check, write its module beside this one (a function `check` from a `Subject` to findings) and add its line. The
first finding is a remark with the name of the check: its text is the result, its advice the next step. The contract
suite in `tests/audit/test_contract.py` then tests it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.audit.subject import Subject
from pellucid.records import Finding


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
        module: the module with its function `check`.
        title: its name for readers.
        looks_for: what it looks for, in one sentence.
        needs: what it cannot work without: `pictures`, `model`, `train` or `columns`.
        version: raise it when the result changes, so that cached results are not used.
        is_cached: whether the result depends on the subject alone.
    """

    module: str
    title: str
    looks_for: str
    needs: tuple[str, ...] = ()
    version: int = 1
    is_cached: bool = True

    def load(self) -> Callable[[Subject], list[Finding]]:
        """Imports the function of the check."""
        return importlib.import_module(self.module).check


CHECKS: dict[str, Check] = {
    "groups": Check(
        "pellucid.audit.groups",
        "Groups",
        "Groups of pictures on which the model is right less often than on the others.",
        ("columns",),
    ),
    "shortcuts": Check(
        "pellucid.audit.shortcuts",
        "Shortcuts",
        "Things that should not matter, such as border, file size or camera, but predict the label.",
        ("pictures",),
    ),
    "label_errors": Check(
        "pellucid.audit.label_errors",
        "Labels",
        "Pictures whose label is probably wrong.",
        version=2,
    ),
    "leaks": Check(
        "pellucid.audit.leaks",
        "Leaks",
        "Scored pictures that are also in the training split, unchanged or nearly so.",
        ("pictures", "train"),
    ),
    "robustness": Check(
        "pellucid.audit.robustness",
        "Robustness",
        "Weak noise, blur, compression or rotation that makes the model fail.",
        ("model", "pictures"),
        version=2,
    ),
    "stratification": Check(
        "pellucid.audit.stratification",
        "Hidden kinds",
        "Kinds of pictures within a class on which the model is reliably worse.",
        ("model", "pictures"),
    ),
    "wear": Check(
        "pellucid.audit.wear",
        "Test wear",
        "How often the split was scored, and what its score is still worth.",
        ("pictures",),
        is_cached=False,
    ),
}
