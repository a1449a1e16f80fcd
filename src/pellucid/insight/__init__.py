"""Inspection of a model: its layers, computation, kernels, feature maps, and explanations of its predictions.

    pellucid.insight.summary(model)                                 layers, shapes, parameters, receptive fields
    pellucid.insight.sizes(model)                                   O = (W − F + 2P) / S + 1, for each layer
    pellucid.insight.graph(model)                                   the computation graph; backward=True for gradients
    pellucid.insight.filters(model, "c1")                           the kernels of a convolution
    pellucid.insight.feature_maps(model, "c1", "mnist:17")          its feature maps for one picture
    pellucid.insight.activations(model, "mnist")                    the distribution of each layer's outputs; dead units
    pellucid.insight.top_activations(model, "c3", "mnist")          the pictures with each unit's largest activations
    pellucid.insight.explain(model, "mnist:17")                     attribution maps, and how far to trust them
    pellucid.insight.attention(model, "photo.jpg")                  the attention of a transformer, head by head
    pellucid.insight.linear_probe(model, ("4", "9"), "mnist")       how well each layer separates two classes
    pellucid.insight.embedding(model, "mnist")                      the features of a dataset in two dimensions
    pellucid.insight.film("runs/mnist-lenet5-001", "mnist:17")      one frame per epoch, from a run's snapshots

These functions return findings, which the report draws. Importing this package does not import torch.
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
