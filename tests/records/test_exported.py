"""The file of an exported model: read without any package for ONNX, and refused if anything in it changed."""

from __future__ import annotations

import pytest

from pellucid.errors import ModelFileError
from pellucid.records import ExportedModel, Model, NetworkSpecification, Preprocessing, Specification, load_model
from pellucid.records.exported import _field, _fields

SPECIFICATION = Specification(
    network=NetworkSpecification(name="mlp"),
    classes=("cat", "dög"),
    preprocessing=Preprocessing(channels=1, height=4, width=5),
    temperature=1.5,
    abstain_below=0.7,
)
GRAPH = _field(2, b"pytorch") + _field(7, b"g" * 300) + b"\x08\x08"


@pytest.fixture
def exported() -> ExportedModel:
    return ExportedModel(SPECIFICATION, GRAPH, 44, "f" * 64)


def test_everything_comes_back(exported, tmp_path):
    loaded = load_model(exported.save(tmp_path / "m.onnx"))
    assert isinstance(loaded, ExportedModel)
    assert loaded.specification == SPECIFICATION
    assert (loaded.graph, loaded.parameters, loaded.source, loaded.precision) == (GRAPH, 44, "f" * 64, "float32")
    assert loaded.sha256 == exported.sha256
    assert repr(loaded) == "ExportedModel(mlp, 2 classes, ONNX, float32)"


def test_the_metadata_is_where_onnx_has_it(exported, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto.FromString(
        onnx.ModelProto(ir_version=8).SerializeToString() + exported.to_bytes()[len(GRAPH) :]
    )
    (entry,) = model.metadata_props
    assert entry.key == "pellucid"
    assert "dög" in entry.value


def test_the_order_of_the_fields_does_not_matter(exported, tmp_path):
    content = exported.to_bytes()
    (tmp_path / "m.onnx").write_bytes(content[len(GRAPH) :] + GRAPH)
    assert ExportedModel.load(tmp_path / "m.onnx").graph == GRAPH


@pytest.mark.parametrize("place", [3, 60, -5, -200])
def test_one_changed_byte_is_refused(exported, tmp_path, place):
    content = bytearray(exported.to_bytes())
    content[place] ^= 1
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelFileError):
        ExportedModel.load(tmp_path / "m.onnx")


def test_every_cut_is_refused(exported, tmp_path):
    content = exported.to_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "m.onnx").write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            ExportedModel.load(tmp_path / "m.onnx")


def test_a_foreign_onnx_file_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "m.onnx").write_bytes(GRAPH)
    with pytest.raises(ModelFileError, match="is an ONNX file, but not of Pellucid"):
        load_model(tmp_path / "m.onnx")


def test_other_files_are_models_as_before(tmp_path):
    with pytest.raises(ModelFileError, match="There is no model file at"):
        load_model(tmp_path / "m.safetensors")
    assert Model.load is not ExportedModel.load


def test_numbers_of_any_length(tmp_path):
    for size in (0, 1, 127, 128, 16383, 16384):
        ((number, start, value, end),) = _fields(_field(14, b"x" * size))
        assert (number, start, end - value) == (14, 0, size)
