"""The operations of networks, written plainly in NumPy to be read, and proved equal to torch's.

    from pellucid.insight.operations.convolution import convolve
    from pellucid.insight.operations.backpropagation import mlp_step
    from pellucid.insight.operations.differentiation import Variable

    pellucid.insight.operations.example("convolution")     a small worked example of it, as a figure

They are for understanding, and slow. Importing this package imports no torch.
"""

from __future__ import annotations

from pellucid.insight.operations.catalogue import OPERATIONS, check_name, example, formula, summary

__all__ = ["OPERATIONS", "check_name", "example", "formula", "summary"]
