"""Small model files that name huge networks: each is refused in a sentence, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import ModelFileError, NetworkError, PellucidError
from pellucid.inference import build
from pellucid.inference.building import weights_of
from pellucid.networks.catalogue import NETWORKS, create
from pellucid.records import Model, NetworkSpecification, Preprocessing, Specification

MOST_SECONDS, MOST_MEMORY = 20, 600_000_000
"""Bounds that only a runaway breaks."""


def lying(network, settings=None, shape=(1, 8, 8)):
    """A model of three numbers that names a network."""
    channels, height, width = shape
    return Model(
        Specification(
            network=NetworkSpecification(name=network, settings=settings or {}),
            classes=("a", "b"),
            preprocessing=Preprocessing(channels=channels, height=height, width=width),
        ),
        {"w": np.zeros(3, np.float32)},
    )


def refusal(model: Model) -> str:
    """The sentence with which a model is refused, within the bounds."""
    process = psutil.Process()
    memory, before = process.memory_info().rss, time.process_time()
    with pytest.raises(PellucidError) as caught:
        build(model)
    assert time.process_time() - before < MOST_SECONDS
    assert process.memory_info().rss - memory < MOST_MEMORY
    text = str(caught.value)
    assert len(text) < 600
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("mlp", {"widths": [1] * 300_000}),
        ("mlp", {"widths": [1] * 300_000, "dropout": 0.5}),
        ("mlp", {"widths": [10**30]}),
        ("mlp", {"widths": [float("nan")]}),
        ("timm:vit_tiny_patch16_224", {"depth": 2_000_000}),
        ("timm:vit_tiny_patch16_224", {"depth": 9_000}),
        ("timm:vit_tiny_patch16_224", {"depth": 10**9}),
        ("timm:vit_tiny_patch16_224", {"img_size": 4096, "patch_size": 1}),
        ("timm:resnet18", {"layers": [9_000] * 4}),
        ("timm:convnext_tiny", {"depths": [9_000] * 4}),
        ("timm:swin_tiny_patch4_window7_224", {"window_size": 2_000, "img_size": 8_000}),
    ],
)
def test_a_network_larger_than_its_weights_is_refused(network, arguments):
    if network.startswith("timm:"):
        pytest.importorskip("timm")
    shape = (3, 224, 224) if network.startswith("timm:") else (1, 8, 8)
    assert refusal(lying(network, arguments, shape)).startswith("The weights do not fit this network: ")


@pytest.mark.parametrize(
    "arguments",
    [
        {"block": "evil", "layers": "abc"},
        {"layers": {"a": 1}},
        {"act_layer": "nope"},
        {"norm_layer": "\x1b]0;owned\x07"},
        {"block": [1, 2, 3]},
        {"cardinality": 0},
        {"no_such_setting": True},
        {"act_layer": "x" * 100_000},
    ],
)
def test_settings_without_sense_for_timm_are_a_sentence(arguments):
    pytest.importorskip("timm")
    text = refusal(lying("timm:resnet18", arguments, (3, 32, 32)))
    assert "timm cannot build 'resnet18' with" in text
    assert text.isprintable()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    key=st.sampled_from(["widths", "activation", "dropout", "width", "depth", "channels", "shape", "kernel", ""]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=20,
    ),
)
def test_no_settings_are_more_than_a_sentence(name, key, value):
    assert refusal(lying(name, {key: value}, (3, 32, 32)))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_of_the_catalogue_is_within_the_limits(name):
    entry = NETWORKS[name]
    channels, height, width = entry.shape
    network = create(name, entry.shape, 2)
    specification = Specification(
        network=NetworkSpecification(name=name),
        classes=("a", "b"),
        preprocessing=Preprocessing(channels=channels, height=height, width=width),
    )
    weights = weights_of(network)
    rebuilt = build(Model(specification, weights))
    assert weights_of(rebuilt).keys() == weights.keys()


@pytest.mark.slow
def test_the_networks_of_timm_are_within_the_limits():
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    from pellucid.networks.size_limit import within_size_of

    of_module: dict[str, str] = {}
    for name in timm.list_models():
        of_module.setdefault(timm.model_entrypoint(name).__module__, name)
    assert len(of_module) > 50
    for name in of_module.values():
        with torch.device("meta"):
            weights = {key: np.broadcast_to(np.float32(0), value.shape) for key, value in
                       timm.create_model(name, num_classes=2).state_dict().items()}  # fmt: skip
            with within_size_of(weights, name):
                timm.create_model(name, num_classes=2)


def test_a_network_is_counted_in_its_own_thread_alone():
    import threading

    from pellucid.networks.size_limit import within_size_of

    with within_size_of({}, "none"):
        other = threading.Thread(target=create, args=("mlp", (1, 28, 28), 10, {"widths": [2] * 2000}))
        other.start()
        other.join()
        with pytest.raises(ModelFileError):
            create("mlp", (1, 28, 28), 10, {"widths": [2] * 2000})
    create("mlp", (1, 28, 28), 10, {"widths": [2] * 2000})


@pytest.mark.parametrize(("height", "width"), [(10**6, 10**6), (1, 10**9), (10**30, 1)])
def test_a_huge_input_is_refused_when_the_file_is_read(height, width, tmp_path):
    specification = lying("resnet20").specification
    huge = specification.preprocessing.model_copy(update={"height": height, "width": width})
    path = Model(specification.model_copy(update={"preprocessing": huge}), {"w": np.zeros(3, np.float32)}).save(
        tmp_path / "model.safetensors"
    )
    with pytest.raises(ModelFileError, match="damaged: its description has a bad preprocessing"):
        Model.load(path)


def test_predict_with_a_bomb_ends_quickly(tmp_path):
    path = lying("mlp", {"widths": [1] * 300_000}).save(tmp_path / "model.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "predict", str(path), str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 3
    assert "do not fit this network" in done.stderr


def test_timm_raises_a_sentence_in_training_too():
    pytest.importorskip("timm")
    with pytest.raises(NetworkError, match=r"timm cannot build 'resnet18' with .*act_layer='nope': KeyError"):
        create("timm:resnet18", (3, 32, 32), 2, {"act_layer": "nope"})
