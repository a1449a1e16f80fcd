"""Why an answer: the maps, what they are worth, and the pictures that look alike."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

import pellucid
from pellucid import insight
from pellucid.data.preprocessing import normalise, prepare
from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.inference.tracing import trace
from pellucid.insight import attribution, faithfulness
from pellucid.insight.attribution import Answer
from pellucid.insight.explanation import COLUMNS, in_words
from pellucid.records import Findings, Table


@pytest.fixture(scope="module")
def digits():
    return pellucid.load("digits")


@pytest.fixture(scope="module")
def model(digits):
    return pellucid.train(digits, "lenet5", epochs=3, progress=False)


@pytest.fixture(scope="module")
def parts(model, digits):
    """The network, its layers, a picture as its input, and a blank one."""
    module = pellucid.build(model)
    said = model.specification.preprocessing
    x = normalise(torch.from_numpy(np.asarray(prepare(digits.test.take([3]), said))), said)
    return module, trace(module, said.shape), x, torch.full_like(x, float(x.min()))


def test_integrated_gradients_add_up_to_the_answer(parts):
    module, found, x, blank = parts
    methods, note = attribution.methods(module, found, blank)
    assert (list(methods), note) == (["Grad-CAM", "Integrated gradients", "Occlusion"], "")
    with torch.no_grad():
        outputs, nothing = module(x)[0], module(blank)[0]
    values = methods["Integrated gradients"](module, x, blank, Answer(3))
    assert values.shape == (8, 8)
    assert values.sum() == pytest.approx((outputs[3] - nothing[3]).item(), abs=0.05)
    against = methods["Integrated gradients"](module, x, blank, Answer(3, 5))
    difference = (outputs[3] - outputs[5]) - (nothing[3] - nothing[5])
    assert against.sum() == pytest.approx(difference.item(), abs=0.1)


def test_occlusion_is_by_how_much_the_answer_falls(parts):
    module, found, x, blank = parts
    values = attribution.methods(module, found, blank)[0]["Occlusion"](module, x, blank, Answer(3))
    assert attribution.window(8, 8) == (2, 1)
    covered = x.clone()
    covered[:, :, :2, :2] = blank[:, :, :2, :2]
    with torch.no_grad():
        fall = (module(x) - module(covered))[0, 3].item()
    assert values[0, 0] == pytest.approx(fall, abs=1e-4)


def test_grad_cam_weighs_maps_after_their_activation_by_their_gradients(parts):
    module, found, x, blank = parts
    values = attribution.methods(module, found, blank)[0]["Grad-CAM"](module, x, blank, Answer(3))
    maps = module.activation(module.c3(module.pool(module.activation(module.c1(nn.functional.pad(x, module.padding))))))
    maps.retain_grad()
    hidden = module.pool(maps).flatten(1)
    module.output(module.activation(module.f6(module.activation(module.c5(hidden)))))[0, 3].backward()
    by_hand = (maps.grad.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True)
    expected = nn.functional.interpolate(by_hand, (8, 8), mode="bilinear")[0, 0].detach().numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4)


def test_integrated_gradients_add_steps_until_the_gap_is_small():
    """A steep step late on the path, which twenty even steps miss, on a picture that counts as large."""

    class Steep(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.mean(dim=(1, 2, 3))
            return torch.stack([torch.sigmoid(200 * (mean - 0.93)), mean], dim=1)

    x = torch.ones(1, 1, 104, 104)
    values, gap = attribution.integrated_gradients(Steep(), x, torch.zeros_like(x), Answer(0))
    assert gap <= attribution.GAP
    assert values.sum() == pytest.approx(1.0, abs=0.051)
    captum = pytest.importorskip("captum.attr")
    even = captum.IntegratedGradients(Steep()).attribute(x, baselines=torch.zeros_like(x), target=0, n_steps=20)
    assert abs(even.sum().item() - 1) > 0.1, "the old method missed it"


def test_integrated_gradients_are_those_of_captum(parts):
    module, _, x, blank = parts
    captum = pytest.importorskip("captum.attr")
    exact = captum.IntegratedGradients(module).attribute(x, baselines=blank, target=3, n_steps=2000)
    values, gap = attribution.integrated_gradients(module, x, blank, Answer(3))
    assert gap <= attribution.GAP
    assert faithfulness.rank_correlation(values, exact[0].sum(dim=0).detach().numpy()) > 0.98


class Attends(nn.Module):
    """The smallest transformer: sixteen patches, one head, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 6, 2, stride=2)
        self.norm = nn.LayerNorm(6)
        self.qkv = nn.Linear(6, 18)
        self.head = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).unsqueeze(1).chunk(3, dim=-1)
        x = x + nn.functional.scaled_dot_product_attention(q, k, v).squeeze(1)
        return self.head(x.mean(dim=1))


def test_a_transformer_is_explained_by_its_patches(own, digits):
    torch.manual_seed(0)
    network = Attends().eval()
    x = torch.rand(1, 1, 8, 8)
    methods, note = attribution.methods(network, trace(network, (1, 8, 8)), torch.zeros_like(x))
    assert note == "A transformer has no late feature maps, so Grad-CAM uses the patches in the output of 'norm'."
    values = methods["Grad-CAM"](network, x, torch.zeros_like(x), Answer(2))
    tokens = network.norm(network.patches(x).flatten(2).transpose(1, 2)).detach().requires_grad_()
    q, k, v = network.qkv(tokens).unsqueeze(1).chunk(3, dim=-1)
    kept = network.patches(x).flatten(2).transpose(1, 2).detach()
    after = kept + nn.functional.scaled_dot_product_attention(q, k, v).squeeze(1)
    network.head(after.mean(dim=1))[0, 2].backward()
    by_hand = (tokens @ tokens.grad[0].mean(dim=0)).view(1, 1, 4, 4)
    expected = nn.functional.interpolate(by_hand, (8, 8), mode="bilinear")[0, 0].detach().numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-6)
    found = insight.attention(own(network), digits.test.take([0]), network=network)
    assert (found.data["side"], found.data["token"], found.data["layers"]) == (4, False, 1)
    with torch.no_grad():
        said = own(network).specification.preprocessing
        given = normalise(torch.from_numpy(digits.test.pictures[:1]), said)
        q, k, _ = network.qkv(network.norm(network.patches(given).flatten(2).transpose(1, 2))).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 6**0.5, dim=-1)
    np.testing.assert_allclose(found.data["rows"][0]["mean"], weights[0].mean(dim=0).view(4, 4).numpy(), rtol=1e-3)
    assert found.note.startswith("The mean attention that each patch receives")


def test_attention_that_cannot_be_drawn_is_a_sentence(untrained, own, digits):
    with pytest.raises(UsageError, match="'lenet5' has no attention"):
        insight.attention(untrained("lenet5"), digits.test.take([0]))

    class Windows(Attends):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.norm(self.patches(x).flatten(2).transpose(1, 2)).reshape(-1, 4, 6)
            q, k, v = self.qkv(tokens).unsqueeze(1).chunk(3, dim=-1)
            weights = torch.softmax(q @ k.transpose(-1, -2), dim=-1)
            return self.head((weights @ v).reshape(len(x), 16, 6).mean(dim=1))

    network = Windows()
    with pytest.raises(UsageError, match="it attends only within windows"):
        insight.attention(own(network), digits.test.take([0]), network=network)


def test_a_network_without_maps_has_no_grad_cam(untrained, digits):
    found = insight.explain(untrained("mlp", (1, 8, 8)), digits.test.take([0]))
    assert [row[0] for row in found["faithfulness"].rows] == ["Integrated gradients", "Occlusion"]
    assert found["explanation"].note == "Grad-CAM is missing: no late layer of this network has feature maps."


def test_shuffled_weights_are_the_same_numbers_elsewhere(parts):
    module = parts[0]
    other = attribution.shuffled(module, 1)
    for (name, one), two in zip(module.named_parameters(), other.parameters(), strict=True):
        assert sorted(one.flatten().tolist()) == sorted(two.flatten().tolist())
        assert len(one.flatten()) < 20 or not torch.equal(one, two), name


def test_deletion_and_insertion_of_a_model_whose_reasons_are_known():
    """The probability is the share of the right half that is there: the best map deletes it first."""
    x, blank = torch.ones(1, 1, 12, 12), torch.zeros(1, 1, 12, 12)

    def probability(batch: torch.Tensor) -> np.ndarray:
        return batch[:, 0, :, 6:].mean(dim=(1, 2)).numpy()

    good = np.tile(np.arange(12.0) >= 6, (12, 1)).astype(float)
    deletion, insertion = faithfulness.deletion_and_insertion(good, x, blank, probability)
    assert (deletion, insertion) == (pytest.approx(0.25), pytest.approx(0.75))
    deletion, insertion = faithfulness.deletion_and_insertion(-good, x, blank, probability)
    assert (deletion, insertion) == (pytest.approx(0.75), pytest.approx(0.25))
    maps = faithfulness.noise_maps(12, 12)
    scores = np.array([faithfulness.deletion_and_insertion(one, x, blank, probability) for one in maps])
    np.testing.assert_allclose(scores.mean(axis=0), 0.5, atol=0.12)


def test_rank_correlation_is_spearmans():
    generator = np.random.default_rng(0)
    one, two = generator.integers(0, 5, (6, 7)).astype(float), generator.normal(size=(6, 7))
    expected = scipy.stats.spearmanr(one.ravel(), two.ravel()).statistic
    assert faithfulness.rank_correlation(one, two) == pytest.approx(expected)
    assert faithfulness.rank_correlation(one, np.zeros((6, 7))) == 0.0


def test_reasons_say_what_they_are_worth(model, digits):
    told: list[tuple[int, int]] = []
    found = insight.explain(model, "digits:3", data=digits, limit=100, progress=lambda *done: told.append(done))
    data = found["explanation"].data
    assert told[-1][0] == told[-1][1]
    given = digits.classes[int(digits.test.labels[3])]
    assert data["picture"]["label"] == given
    said = pellucid.predict(model, digits.test.take([3]))
    assert data["about"] == digits.classes[int(said.predicted[0])]
    assert data["probabilities"][0][1] == pytest.approx(float(said.confidence[0]), abs=1e-3)
    rows = {row[0]: row for row in found["faithfulness"].rows}
    assert list(rows) == ["Grad-CAM", "Integrated gradients", "Occlusion"]
    for one in data["methods"]:
        assert [np.shape(values) for values in one["maps"]] == [(8, 8)] * 3
        assert -1 <= one["rank_correlation"] <= 1
        assert 0 <= one["deletion"] <= 1
    assert rows["Integrated gradients"][3] > rows["Integrated gradients"][4], "better than noise for a trained model"
    near = data["neighbours"]
    assert len(near["cells"]) == 8
    assert near["cells"][0]["cosine"] >= near["cells"][-1]["cosine"]
    assert near["counts"][0][0] == data["about"], "a digit looks like those of its class"
    assert Findings.from_json(found.to_json()) == found


def test_the_very_picture_is_not_its_own_neighbour(model, digits):
    found = insight.explain(model, digits.train.take([5]), data=digits.train.take(np.arange(40)))
    cells = found["explanation"].data["neighbours"]["cells"]
    assert len(cells) == 8
    assert digits.train.ids[5] not in [cell["id"] for cell in cells]


def test_an_error_is_set_against_the_given_class(model, digits):
    said = int(pellucid.predict(model, digits.test.take([3])).predicted[0])
    other = (said + 1) % 10
    wrong = replace(digits.test.take([3]), labels=np.array([other]))
    data = insight.explain(model, wrong)["explanation"].data
    assert (data["about"], data["rival"]) == (digits.classes[said], digits.classes[other])
    found = insight.explain(model, digits.test.take([3]), about=digits.classes[other])
    assert found["explanation"].title.startswith(f"Evidence for '{digits.classes[other]}' in ")
    with pytest.raises(UnknownNameError, match="There is no class named 'ten'"):
        insight.explain(model, wrong, about="ten")


def test_activations_in_place_and_large_maps(own):
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 10)
    )
    record = own(network, (1, 120, 120))
    picture = np.random.default_rng(0).integers(0, 255, (120, 120), dtype=np.uint8)
    data = insight.explain(record, picture, network=network)["explanation"].data
    assert [np.shape(values) for values in data["methods"][0]["maps"]] == [(60, 60)] * 3


def test_an_empty_map_is_not_said_to_depend_on_what_was_learned(own):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))
    nn.init.zeros_(network[2].weight)
    found = insight.explain(own(network), np.eye(8, dtype=np.uint8) * 200, network=network)
    assert {row[6] for row in found["faithfulness"].rows} == {None}


def test_the_last_maps_are_those_after_the_activation_and_before_pooling(untrained):
    for name, shape, expected in (("lenet5", (1, 8, 8), "activation:2"), ("convnet", (1, 28, 28), None)):
        module = pellucid.build(untrained(name, shape))
        last = attribution.last_maps(trace(module, shape))
        assert last is not None
        assert not isinstance(last.module, nn.MaxPool2d)
        assert expected in (None, last.name)


def test_layers_with_their_channels_last_are_not_taken_for_maps():
    class Last(nn.Module):
        def __init__(self, late: bool) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3, padding=1)
            self.norm = nn.LayerNorm(4)
            self.dense = nn.Linear(4, 4)
            self.act = nn.GELU()
            self.last = nn.Conv2d(4, 4, 3) if late else nn.Identity()
            self.head = nn.Linear(4, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.act(self.dense(self.norm(self.first(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
            return self.head(self.last(x).mean(dim=(2, 3)))

    found = trace(Last(late=True).eval(), (1, 8, 8))
    spatial = [layer.name for layer in found.layers if layer.spatial]
    assert "norm" not in spatial
    assert "dense" not in spatial
    assert attribution.last_maps(found).name == "last"
    assert attribution.last_maps(trace(Last(late=False).eval(), (1, 8, 8))) is None


def test_without_captum_it_says_what_to_install(model, digits, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as refused:
        insight.explain(model, "digits:3")
    assert str(refused.value) == (
        'Explanations need captum, which is not installed. Install it with: pip install "pellucid[explain]".'
    )


def test_outputs_that_are_no_numbers_cannot_be_explained(own):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(network[1].bias, float("nan"))
    with pytest.raises(NetworkError, match="there is nothing to explain"):
        insight.explain(own(network), np.zeros((8, 8), np.uint8), network=network)


class Windows(nn.Module):
    """The smallest Swin transformer: patches with their channels last, of which four windows attend by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 6, 2, stride=2)
        self.mix = nn.Linear(6, 18)
        self.softmax = nn.Softmax(dim=-1)
        self.bend = nn.GELU()
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)  # (N, 4, 4, 6)
        windows = x.reshape(len(x), 2, 2, 2, 2, 6).transpose(2, 3).reshape(-1, 4, 6)
        query, key, value = self.mix(windows).chunk(3, dim=-1)
        seen = self.softmax(query @ key.transpose(1, 2))[:, None]
        seen = self.softmax(8 * seen)[:, 0] @ value
        x = x + seen.reshape(len(x), 2, 2, 2, 2, 6).transpose(2, 3).reshape(x.shape)
        return self.head(self.norm(self.bend(x)).mean(dim=(1, 2)))


def test_a_network_with_its_channels_last_and_windows_has_every_view(own, digits):
    torch.manual_seed(0)
    network = Windows()
    model = own(network)
    module = pellucid.build(model, network)
    layers = {layer.name: layer for layer in trace(module, (1, 8, 8)).layers}
    assert (layers["bend"].channels_last, layers["norm"].channels_last) == (True, True)
    second = layers["softmax:2"]
    assert (second.pieces, second.spatial, second.output_shape) == (4, False, (1, 4, 4))
    x = torch.rand(1, 1, 8, 8)
    methods, note = attribution.methods(module, trace(module, (1, 8, 8)), torch.zeros_like(x))
    assert (list(methods), note) == (["Grad-CAM", "Integrated gradients", "Occlusion"], "")
    values = methods["Grad-CAM"](module, x, torch.zeros_like(x), Answer(3))
    with torch.no_grad():
        inner = {}
        hook = module.norm.register_forward_hook(lambda _, __, output: inner.update(norm=output))
        module(x)
        hook.remove()
        # The mean of the maps is given to the head, whose weights are the gradients.
        small = inner["norm"][0] @ (module.head.weight[3] / 16)
        whole = nn.functional.interpolate(small[None, None], (8, 8), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(values, whole.numpy(), atol=1e-6)
    maps = insight.feature_maps(model, "norm", digits.test.take([0]), network=network)
    assert maps.data["shape"] == [6, 4, 4]
    rows = insight.linear_probe(model, ("4", "9"), digits, limit=40, network=network)["linear-probe"].rows
    assert [row[0] for row in rows] == ["pixels", "patches", "bend", "norm", "head"]
    excited = insight.top_activations(model, "mix", digits, units=[1, 18], limit=30, network=network)
    assert excited.data["n"] == 30
    assert len(excited.data["rows"][1]["cells"]) == 9


@pytest.mark.parametrize(
    ("better", "similarity", "verdict"),
    [
        ("both", 0.1, "Occlusion can be trusted here: without the pixels"),
        ("deletion", -0.2, "Occlusion can be trusted in part: without the pixels"),
        ("insertion", 0.5, "Occlusion can be trusted in part: the pixels that it marks suffice"),
        ("neither", 0.1, "Occlusion cannot be trusted here"),
        ("both", 0.51, "Occlusion looks the same with shuffled weights"),
        ("neither", None, "Occlusion marks nothing"),
    ],
)
def test_how_far_a_map_can_be_trusted_is_said_in_words(better, similarity, verdict):
    row = ("Occlusion", 0.1, 0.5, 0.9, 0.5, better, similarity)
    (sentence,) = in_words(Table("faithfulness", COLUMNS, (row,)))
    assert sentence.startswith(verdict)
    assert sentence.endswith(".")
