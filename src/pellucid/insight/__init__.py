"""A look inside a model: its layers, the arithmetic of their sizes, their kernels, their feature maps.

    pellucid.insight.summary(model)                             layers, shapes, parameters, multiply-adds
    pellucid.insight.sizes(model)                               O = (W − F + 2P) / S + 1, with the numbers
    pellucid.insight.filters(model, "c1")                       the kernels of a convolution, as a figure
    pellucid.insight.feature_maps(model, "c1", "mnist:17")      its maps for one picture, as a figure

Findings come out; the report draws them. Importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.insight.activity import feature_maps as feature_maps
    from pellucid.insight.kernels import filters as filters
    from pellucid.insight.sizing import sizes as sizes
    from pellucid.insight.summarising import summary as summary

_PUBLIC = {
    "feature_maps": "pellucid.insight.activity",
    "filters": "pellucid.insight.kernels",
    "sizes": "pellucid.insight.sizing",
    "summary": "pellucid.insight.summarising",
}

__all__ = ["feature_maps", "filters", "sizes", "summary"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
