"""A look inside a model: its layers, its computation, its kernels and feature maps, and why it answers as it does.

    pellucid.insight.summary(model)                                 layers, shapes, parameters, multiply-adds, fields
    pellucid.insight.sizes(model)                                   O = (W − F + 2P) / S + 1, with the numbers
    pellucid.insight.graph(model)                                   the computation; backward=True for its gradients
    pellucid.insight.filters(model, "c1")                           the kernels of a convolution
    pellucid.insight.feature_maps(model, "c1", "mnist:17")          its maps for one picture
    pellucid.insight.activations(model, "mnist")                    the distribution of what layers give; dead units
    pellucid.insight.top_activations(model, "c3", "mnist")          the pictures that excite each unit most
    pellucid.insight.explain(model, "mnist:17")                     why this answer, and how far to trust the reasons
    pellucid.insight.attention(model, "photo.jpg")                  where a transformer looks
    pellucid.insight.linear_probe(model, ("4", "9"), "mnist")       which layer tells two classes apart
    pellucid.insight.embedding(model, "mnist")                      a map of the data, as the network sees them
    pellucid.insight.film("runs/mnist-lenet5-001", "mnist:17")      how it learned, from the snapshots of a run

Findings come out; the report draws them. Importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.insight.activation_statistics import activations as activations
    from pellucid.insight.attention_maps import attention as attention
    from pellucid.insight.computation_graph import graph as graph
    from pellucid.insight.explanation import explain as explain
    from pellucid.insight.kernels import filters as filters
    from pellucid.insight.layer_maps import feature_maps as feature_maps
    from pellucid.insight.layer_summary import summary as summary
    from pellucid.insight.probing import linear_probe as linear_probe
    from pellucid.insight.projection import embedding as embedding
    from pellucid.insight.size_arithmetic import sizes as sizes
    from pellucid.insight.top_pictures import top_activations as top_activations
    from pellucid.insight.training_film import film as film

_PUBLIC = {
    "activations": "pellucid.insight.activation_statistics",
    "attention": "pellucid.insight.attention_maps",
    "embedding": "pellucid.insight.projection",
    "top_activations": "pellucid.insight.top_pictures",
    "feature_maps": "pellucid.insight.layer_maps",
    "film": "pellucid.insight.training_film",
    "filters": "pellucid.insight.kernels",
    "graph": "pellucid.insight.computation_graph",
    "explain": "pellucid.insight.explanation",
    "linear_probe": "pellucid.insight.probing",
    "sizes": "pellucid.insight.size_arithmetic",
    "summary": "pellucid.insight.layer_summary",
}

__all__ = [
    "activations",
    "attention",
    "embedding",
    "explain",
    "feature_maps",
    "film",
    "filters",
    "graph",
    "linear_probe",
    "sizes",
    "summary",
    "top_activations",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
