"""Sizes of the installed environment, by extras: what `make install` and docs/install.md say.

    python benchmarks/environment_size.py

Run it in an environment with all extras (`make develop`). For each set of extras it takes the packages that they need, as their metadata say, and sums the files that are
installed of them here. Compiled `__pycache__` files are counted; a user's environment gets them too.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

CUDA = re.compile(r"^(nvidia|cuda|triton)")
CUDA_FILES = re.compile(r"lib(torch_cuda|c10_cuda|torch_nvshmem|cudart|caffe2_nvrtc)")


def needed(extras: frozenset[str]) -> set[str]:
    """The packages that Pellucid with these extras needs, Pellucid itself left out."""
    packages: set[str] = set()
    queue = [("pellucid", extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, wanted = queue.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (*wanted, "")
            )
            if applies:
                child = re.sub(r"[-_.]+", "-", requirement.name).lower()
                packages.add(child)
                queue.append((child, frozenset(requirement.extras)))
    return packages - {"pellucid"}


def size(name: str, *, cuda: bool) -> int:
    """Bytes on disk of an installed package; without CUDA, without the libraries that only graphics cards need."""
    if not cuda and CUDA.match(name):
        return 0
    total = 0
    for file in metadata.files(name) or ():
        path = Path(str(file.locate()))
        if path.is_file() and (cuda or not CUDA_FILES.match(path.name)):
            total += path.stat().st_size
    return total


def main() -> None:
    """Prints one line for each set of extras."""
    extras = sorted(metadata.metadata("pellucid").get_all("Provides-Extra") or [])
    base = needed(frozenset())
    print(f"Python {sys.version.split()[0]}, torch {metadata.version('torch')}, {sys.platform}; MB")
    for label, packages in {"base": base, **{extra: needed(frozenset([extra])) - base for extra in extras}}.items():
        both = [sum(size(name, cuda=cuda) for name in packages) / 1e6 for cuda in (True, False)]
        print(f"{label:<12} {both[0]:8,.0f} with CUDA  {both[1]:8,.0f} without")


if __name__ == "__main__":
    main()
