"""The operations of networks in simple NumPy code for readers, tested to be equal to torch's.

    from pellucid.operations.convolution import convolve
    from pellucid.operations.backpropagation import mlp_step
    from pellucid.operations.differentiation import Variable

    pellucid.operations.example("convolution")     a small worked example, as a figure

They are for understanding and slow. Importing this package does not import torch.
"""

from __future__ import annotations

from pellucid.operations.catalogue import OPERATIONS, check_name, example, formula, summary

__all__ = ["OPERATIONS", "check_name", "example", "formula", "summary"]
