"""All errors, as one tree. A message is one clear sentence: what was given, what was expected, what to do.

Our exception hierarchy:

    PellucidError                 any error that the user can fix; the command line prints it and exits with 1
    ├── UsageError                an invalid argument: an unknown name, a negative number of epochs          (exit 2)
    │   └── UnknownNameError      a name that is not in a registry; suggests a similar one                   (exit 2)
    ├── DataError                 data that cannot be used
    │   ├── FormatError           a file that is truncated, damaged, or of another format
    │   ├── MissingDataError      a dataset, file or split that does not exist
    │   └── DownloadError         a download that is incomplete or failed
    ├── NetworkError              a network that does not fit the pictures, or does not run
    ├── ModelFileError            a model file that is damaged, foreign, or of another format version
    ├── TrainingError             a training that cannot go on
    │   └── DivergenceError       its loss is infinite or NaN
    └── StorageError              a full disk, or a folder that is not writable

A mistake in Pellucid's own code is not in this tree: it fails an `assert`, and shows its traceback.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = [
    "CacheWarning",
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
    "on_one_line",
]


def on_one_line(text: str) -> str:
    r"""The text on one line: newlines and other invisible characters become escapes, as in `a\nb`.

    Names come from files and folders, which may have any name: a terminal would obey the control characters in it.
    Marks that change the writing direction are escaped too; joiners of letters and emoji are kept.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    category = unicodedata.category(character)
    hidden = category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in "\u200c\u200d")
    return character.encode("unicode_escape", "backslashreplace").decode("ascii") if hidden else character


class PellucidError(Exception):
    """Any error that the user can fix. Its text is one sentence on one line, ready to be shown."""

    exit_code = 1

    def __str__(self) -> str:
        return on_one_line(super().__str__())


class CacheWarning(UserWarning):
    """A damaged file of the cache, whose content was computed again. The command line prints it as a note."""


class UsageError(PellucidError):
    """An invalid argument."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not in a registry. The message lists the known names, and suggests a similar one.

    >>> raise UnknownNameError("network", "lenet", ["lenet5", "mlp"])
    Traceback (most recent call last):
    pellucid.errors.UnknownNameError: There is no network named 'lenet'. Did you mean 'lenet5'? Known: lenet5, mlp.
    """

    def __init__(
        self,
        kind: str,
        name: object,
        known: Iterable[str],
        hint: str = "",
        *,
        synonyms: Mapping[str, str] | None = None,
    ) -> None:
        known = sorted(known)
        meant = suggestion(str(name), known, synonyms or {})
        sentences = [f"There is no {kind} named '{name}'."]
        if meant is not None:
            sentences.append(f"Did you mean '{meant}'?")
        sentences.append(f"Known: {', '.join(known)}.")
        if hint:
            sentences.append(hint)
        super().__init__(" ".join(sentences))


def suggestion(name: str, known: Iterable[str], synonyms: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The known name that was probably meant, or None.

    Case, hyphens and underscores do not matter: `CIFAR-10` is `cifar10`. Then synonyms count, then similar spelling.

    >>> suggestion("le-net-5", ["lenet5", "mlp"])
    'lenet5'
    """
    plain = {_plain(candidate): candidate for candidate in known}
    wanted = _plain(name)
    if wanted in plain:
        return plain[wanted]
    if wanted in (same := {_plain(word): meant for word, meant in synonyms.items()}):
        return same[wanted]
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


class DataError(PellucidError):
    """Data that cannot be used."""


class FormatError(DataError):
    """A file that is truncated, damaged, or of another format."""


class MissingDataError(DataError):
    """A dataset, file or split that does not exist."""


class DownloadError(DataError):
    """A download that is incomplete or failed."""


class NetworkError(PellucidError):
    """A network that does not fit the pictures, or does not run."""


class ModelFileError(PellucidError):
    """A model file that is damaged, foreign, or of another format version."""


class TrainingError(PellucidError):
    """A training that cannot go on."""


class DivergenceError(TrainingError):
    """A training whose loss became infinite or NaN."""


class StorageError(PellucidError):
    """A full disk, or a folder that is not writable."""
