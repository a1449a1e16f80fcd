"""Which network files this user has trained: a plan from a file can name any file, and only these are run for it.

A run folder may come from somebody else. Its plan names a file and the file's hash, and its sender writes both. So the
hashes of the files that were named on the command line, or in Python, are kept outside all run folders, in the cache.
"""

from __future__ import annotations

import contextlib
import re

from pellucid.data import cache
from pellucid.errors import PellucidError, UsageError
from pellucid.networks import custom
from pellucid.networks.catalogue import is_file_reference
from pellucid.records import atomic
from pellucid.records.plan import TrainingPlan

__all__ = ["hash_of_named", "remember", "require_known"]


def hash_of_named(network: object) -> str:
    """SHA-256 of the file of a network that the user gave as `file.py:Class`; empty for any other network."""
    return custom.source_hash(network) if isinstance(network, str) and is_file_reference(network) else ""


def remember(sha256: str) -> None:
    """Keeps the hash of a file that the user named. If the cache cannot be written, it has to be named again."""
    if sha256:
        with contextlib.suppress(PellucidError):
            atomic.write_text(cache.folder("networks") / sha256, "")


def require_known(record: TrainingPlan) -> None:
    """Raises UsageError if the network of a plan is in a file that this user has never named with that content."""
    assert record.network is not None
    known = re.fullmatch("[0-9a-f]{64}", record.network_sha256) is not None
    if not known or not (cache.cache_root() / "networks" / record.network_sha256).is_file():
        raise UsageError(
            f"The plan wants to run the network {record.network}, and you have not trained a file with that content "
            f"before. Look at the file, and if you trust it, add --network {record.network} to the command."
        )
