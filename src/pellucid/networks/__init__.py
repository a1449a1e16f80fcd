"""Networks: one readable file each, and a catalogue that names them. Importing this package imports no torch."""

from pellucid.networks.catalogue import NETWORKS, Entry, create, resolve

__all__ = ["NETWORKS", "Entry", "create", "resolve"]
