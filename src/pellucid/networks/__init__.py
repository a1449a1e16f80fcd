"""Networks: one readable file each, and a catalogue of them. Importing this package does not import torch."""

from pellucid.networks.catalogue import NETWORKS, Entry, create, resolve

__all__ = ["NETWORKS", "Entry", "create", "resolve"]
