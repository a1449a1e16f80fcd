"""What can go wrong, as one tree. Every message is one clear sentence: what was given, what was expected, what to do.

Our exception hierarchy:

    PellucidError                 anything that a user can mend; the command line prints it and exits with 1
    ├── UsageError                an argument that makes no sense: an unknown name, a negative epoch count   (exit 2)
    │   └── UnknownNameError      a name that no registry knows; says what was probably meant               (exit 2)
    ├── DataError                 data that cannot be used as it is
    │   ├── FormatError           a file that is not what it claims to be: truncated, foreign, damaged
    │   ├── MissingDataError      a data set, file or split that is not there
    │   └── DownloadError         a download that did not arrive whole
    ├── NetworkError              a network that does not fit the pictures, or does not run
    ├── ModelFileError            a model file that is damaged, foreign or newer than this version
    ├── TrainingError             a training that cannot go on
    │   └── DivergenceError       its loss is infinite or NaN
    └── StorageError              a disk that is full, a folder that may not be written

A programmer's mistake is not in this tree: it is an `assert`, and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "DivergenceError",
    "DownloadError",
    "FormatError",
    "MissingDataError",
    "ModelFileError",
    "NetworkError",
    "PellucidError",
    "StorageError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
]


class PellucidError(Exception):
    """Anything that a user can mend. Its text is one sentence, ready to be shown."""

    exit_code = 1


class UsageError(PellucidError):
    """An argument that makes no sense."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not in a registry.

    >>> raise UnknownNameError("network", "lenet", ["lenet5", "mlp"])
    Traceback (most recent call last):
    pellucid.errors.UnknownNameError: There is no network named 'lenet'. Did you mean 'lenet5'? Known: lenet5, mlp.
    """

    def __init__(self, kind: str, given: object, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        close = difflib.get_close_matches(str(given).lower(), known, n=1, cutoff=0.6)
        sentences = [f"There is no {kind} named '{given}'."]
        if close:
            sentences.append(f"Did you mean '{close[0]}'?")
        sentences.append(f"Known: {', '.join(known)}.")
        if hint:
            sentences.append(hint)
        super().__init__(" ".join(sentences))


class DataError(PellucidError):
    """Data that cannot be used as it is."""


class FormatError(DataError):
    """A file that is not what it claims to be."""


class MissingDataError(DataError):
    """A data set, file or split that is not there."""


class DownloadError(DataError):
    """A download that did not arrive whole."""


class NetworkError(PellucidError):
    """A network that does not fit the pictures, or does not run."""


class ModelFileError(PellucidError):
    """A model file that cannot be trusted or read."""


class TrainingError(PellucidError):
    """A training that cannot go on."""


class DivergenceError(TrainingError):
    """A training whose loss became infinite or NaN."""


class StorageError(PellucidError):
    """A disk that is full, or a folder that may not be written."""
