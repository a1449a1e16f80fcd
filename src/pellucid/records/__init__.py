"""The records that the parts hand each other: NumPy arrays and plain values, no torch."""

from pellucid.records.dataset import Dataset, Split
from pellucid.records.exported import ExportedModel, load_model
from pellucid.records.finding import Figure, Finding, Findings, Metric, Remark, Table
from pellucid.records.model import Appearance, Model, NetworkSpecification, Preprocessing, Specification
from pellucid.records.pictures import MappedPictures, PictureFiles
from pellucid.records.predictions import Predictions
from pellucid.records.run import RunFolder

__all__ = [
    "Appearance",
    "Dataset",
    "ExportedModel",
    "Figure",
    "Finding",
    "Findings",
    "MappedPictures",
    "Metric",
    "Model",
    "NetworkSpecification",
    "PictureFiles",
    "Predictions",
    "Preprocessing",
    "Remark",
    "RunFolder",
    "Specification",
    "Split",
    "Table",
    "load_model",
]
