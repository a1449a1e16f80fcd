"""A look inside a model: its layers and how they are joined, its kernels, what excites it, and why it answers so.

    pellucid.insight.summary(model)                             layers, shapes, parameters, multiply-adds, what they see
    pellucid.insight.sizes(model)                               O = (W − F + 2P) / S + 1, with the numbers
    pellucid.insight.graph(model)                               the computation; backward=True for its gradients
    pellucid.insight.filters(model, "c1")                       the kernels of a convolution
    pellucid.insight.feature_maps(model, "c1", "mnist:17")      its maps for one picture
    pellucid.insight.activations(model, "mnist")                the distribution of what layers give; dead units
    pellucid.insight.exciting(model, "c3", "mnist")             the pictures that excite each unit most
    pellucid.insight.reasons(model, "mnist:17")                 why this answer, and how far the reasons can be trusted
    pellucid.insight.attention(model, "photo.jpg")              where a transformer looks
    pellucid.insight.separation(model, ("4", "9"), "mnist")     which layer tells two classes apart
    pellucid.insight.embedding(model, "mnist")                  a map of the data, as the network sees them
    pellucid.insight.film("runs/mnist-lenet5-001", "mnist:17")  how it learned, from the snapshots of a run

Findings come out; the report draws them. Importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.insight.activations import activations as activations
    from pellucid.insight.attention import attention as attention
    from pellucid.insight.embedding import embedding as embedding
    from pellucid.insight.explain import reasons as reasons
    from pellucid.insight.feature_maps import feature_maps as feature_maps
    from pellucid.insight.film import film as film
    from pellucid.insight.filters import filters as filters
    from pellucid.insight.graph import graph as graph
    from pellucid.insight.linear_probe import separation as separation
    from pellucid.insight.sizes import sizes as sizes
    from pellucid.insight.summary import summary as summary
    from pellucid.insight.top_activations import exciting as exciting

_PUBLIC = {
    "activations": "pellucid.insight.activations",
    "attention": "pellucid.insight.attention",
    "embedding": "pellucid.insight.embedding",
    "exciting": "pellucid.insight.top_activations",
    "feature_maps": "pellucid.insight.feature_maps",
    "film": "pellucid.insight.film",
    "filters": "pellucid.insight.filters",
    "graph": "pellucid.insight.graph",
    "reasons": "pellucid.insight.explain",
    "separation": "pellucid.insight.linear_probe",
    "sizes": "pellucid.insight.sizes",
    "summary": "pellucid.insight.summary",
}

__all__ = [
    "activations",
    "attention",
    "embedding",
    "exciting",
    "feature_maps",
    "film",
    "filters",
    "graph",
    "reasons",
    "separation",
    "sizes",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
