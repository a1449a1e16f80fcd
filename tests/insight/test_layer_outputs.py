"""What is learned from running many pictures: activations, what excites units, separation, maps of the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

import pellucid
from pellucid import insight
from pellucid.data.preprocessing import normalise, prepare
from pellucid.errors import DataError, MissingDataError, NetworkError, UnknownNameError, UsageError
from pellucid.inference.torch_runner import TorchRunner
from pellucid.inference.tracing import trace
from pellucid.insight import activation_statistics
from pellucid.insight.layer_outputs import record, sample
from pellucid.insight.probing import probe
from pellucid.records import Findings


@pytest.fixture(scope="module")
def digits():
    return pellucid.load("digits")


@pytest.fixture(scope="module")
def model(digits):
    return pellucid.train(digits, "lenet5", epochs=3, progress=False)


def inputs_of(model, split) -> torch.Tensor:
    said = model.specification.preprocessing
    return normalise(torch.from_numpy(np.asarray(prepare(split, said))), said)


def test_a_sample_is_drawn_by_seed_and_says_what_it_is(digits):
    some, which = sample(digits, "train", 20)
    assert (len(some), which) == (20, f"20 of {len(digits.train):,} pictures, drawn at random: digits, train split.")
    assert some.ids.tolist() == sample(digits.train, "ignored", 20)[0].ids.tolist()
    assert some.ids.tolist() != sample("digits", "train", 20, seed=1)[0].ids.tolist()
    whole, which = sample(digits.test, "", 9999)
    assert whole is digits.test
    assert which == "360 pictures: digits, test split."
    with pytest.raises(UsageError, match=r"--limit must be at least 1; given: 0\."):
        sample(digits, "train", 0)
    with pytest.raises(MissingDataError, match="has no validation split"):
        sample(digits, "validation", 5)


def test_layers_are_recorded_batch_by_batch_as_they_ran(model, digits, monkeypatch):
    monkeypatch.setattr("pellucid.insight.layer_outputs._PIXELS", 64 * 7)  # batches of 7
    some = digits.test.take(np.arange(20))
    module = pellucid.build(model)
    said = model.specification.preprocessing
    found = trace(module, said.shape)
    layer = next(one for one in found.layers if one.name == "activation:2")
    given: list[tuple[int, torch.Tensor]] = []
    told: list[tuple[int, int]] = []
    outputs = record(
        module,
        some.pictures,
        said,
        [layer],
        lambda _, output, first: given.append((first, output.clone())),
        progress=lambda *done: told.append(done),
    )
    assert [first for first, _ in given] == [0, 7, 14]
    assert told == [(7, 20), (14, 20), (20, 20)]
    with torch.no_grad():
        x = inputs_of(model, some)
        hidden = module.activation(
            module.c3(module.pool(module.activation(module.c1(nn.functional.pad(x, module.padding)))))
        )
        torch.testing.assert_close(torch.cat([one for _, one in given]), hidden)
        torch.testing.assert_close(outputs, module(x))
    values, _ = TorchRunner(model).features(some.pictures)
    assert values.shape == (20, 84)
    assert (values >= 0).all(), "what the last layer is given comes from a ReLU"


def test_activations_are_counted(own, digits):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 10))
    with torch.no_grad():
        network[0].weight[1] = 0.0
        network[0].bias[:] = torch.tensor([1.0, -1.0, 1.0])
    model = own(network)
    found = insight.activations(model, digits, limit=30, network=network)
    table = {row[0]: dict(zip(activation_statistics.COLUMNS, row, strict=True)) for row in found["activations"].rows}
    with torch.no_grad():
        hidden = network[0](inputs_of(model, sample(digits, "train", 30)[0]))
    assert table["0"]["mean"] == pytest.approx(hidden.mean().item(), rel=1e-3, abs=1e-4)
    assert table["0"]["std"] == pytest.approx(hidden.std(unbiased=False).item(), rel=1e-3)
    assert (table["0"]["constant"], table["0"]["never above 0"]) == (1, 1)
    assert table["1"]["constant"] >= 1
    assert table["1"]["zeros %"] == pytest.approx((hidden <= 0).float().mean().item(), rel=1e-3)
    layers = {one["layer"]: one for one in found["activation_histograms"].data["layers"]}
    assert sum(layers["0"]["counts"]) == hidden.numel()
    assert sum(layers["1"]["counts"]) == int((hidden > 0).sum())
    assert Findings.from_json(found.to_json()) == found


def test_spoilt_weights_are_named(own, digits):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(network[1].bias, float("inf"))
    with pytest.raises(NetworkError, match="outputs are infinite or NaN: training diverged"):
        insight.activations(own(network), digits, limit=5, network=network)


def test_what_excites_a_unit_is_what_gives_its_largest_values(model, digits):
    figure = insight.top_activations(model, "c1", digits, units=[2, 5], limit=60)
    some, _ = sample(digits, "train", 60)
    module = pellucid.build(model)
    with torch.no_grad():
        maps = module.c1(nn.functional.pad(inputs_of(model, some), module.padding)).numpy()
    assert [row["unit"] for row in figure.data["rows"]] == [2, 5]
    for row in figure.data["rows"]:
        values = maps[:, row["unit"] - 1].max(axis=(1, 2))
        best = np.argsort(-values, kind="stable")[:9]
        assert [cell["id"] for cell in row["cells"]] == some.ids[best].tolist()
        np.testing.assert_allclose([cell["value"] for cell in row["cells"]], values[best], rtol=1e-3)
        # The frame is where the convolution stood, 12 pixels of padding taken off, within the 8×8 picture.
        y, x = np.unravel_index(maps[best[0], row["unit"] - 1].argmax(), maps.shape[2:])
        frame = [max(y - 12, 0), max(x - 12, 0), min(y - 7, 8), min(x - 7, 8)]
        assert row["cells"][0]["frame"] == frame
        assert row["most_common"][1] == max([cell["label"] for cell in row["cells"]].count(i) for i in some.classes)
    assert figure.title == "Top activations of c1 of lenet5 (convolution 5×5): 2 of 6 units"


def test_dense_units_and_tokens_are_excited_too(model, digits, own):
    figure = insight.top_activations(model, "output", digits, limit=40)
    assert [row["label"] for row in figure.data["rows"]] == list(digits.classes)
    assert figure.data["rows"][0]["cells"][0]["frame"] is None

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(8, 4)
            self.head = nn.Linear(32, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.mix(x.squeeze(1)).flatten(1))

    network = Tokens()
    nn.init.zeros_(network.mix.weight)
    rows = insight.top_activations(own(network), "mix", digits, limit=10, network=network).data["rows"]
    assert (len(rows), rows[0]["dead"]) == (4, True)


def test_excited_units_are_dead_where_the_distribution_calls_them_constant(own, digits):
    class Clipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 3, 1)
            self.clip = nn.ReLU6()
            self.head = nn.Linear(3 * 64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.clip(self.first(x)).flatten(1))

    network = Clipped()
    with torch.no_grad():
        # The first reaches 6 in every picture, and is 0 elsewhere; the second moves less than rounding does.
        network.first.weight[:] = torch.tensor([1e3, 1e-7, 1.0]).reshape(3, 1, 1, 1)
        network.first.bias[:] = torch.tensor([0.0, 1.0, 1.0])
    given = own(network)
    rows = insight.top_activations(given, "clip", digits, limit=10, network=network).data["rows"]
    assert [row["dead"] for row in rows] == [False, True, False]
    assert [cell["value"] for cell in rows[0]["cells"]] == [6.0] * 9
    alone = insight.top_activations(given, "clip", digits, limit=10, units=[2], network=network).data["rows"]
    assert alone[0]["dead"], "alone too"
    layers = insight.activations(given, digits, limit=10, network=network)[1].data["layers"]
    assert next(one["dead"] for one in layers if one["layer"] == "clip") == 1


def test_units_are_counted_in_the_last_direction_where_the_channels_are_last(own, digits):
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 3, 1)
            self.norm = nn.LayerNorm(3)
            self.head = nn.Linear(3, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.first(x).permute(0, 2, 3, 1)).mean(dim=(1, 2)))

    network = Last()
    model = own(network)
    table = {row[0]: row for row in insight.activations(model, digits, limit=9, network=network)["activations"].rows}
    assert (table["first"][2], table["norm"][2]) == (3, 3)
    rows = insight.top_activations(model, "norm", digits, limit=9, network=network).data["rows"]
    some, _ = sample(digits, "train", 9)
    with torch.no_grad():
        values = network.norm(network.first(inputs_of(model, some)).permute(0, 2, 3, 1)).amax(dim=(0, 1, 2))
    assert [row["highest"] for row in rows] == pytest.approx(values.tolist(), rel=1e-3)
    found = insight.linear_probe(model, ("4", "9"), digits, limit=16, network=network)
    assert {row[0]: row[2] for row in found["linear-probe"].rows}["norm"] == 192


def test_layers_and_units_that_are_not_there(model, digits):
    with pytest.raises(UsageError, match=r"'c1' has units 1 to 6; given: --unit 7\."):
        insight.top_activations(model, "c1", digits, units=[7])
    with pytest.raises(UnknownNameError, match="There is no layer named 'c9'"):
        insight.top_activations(model, "c9", digits)


def test_a_probe_is_ridge_regression():
    generator = np.random.default_rng(0)
    known, unknown = generator.normal(size=(40, 15)), generator.normal(size=(25, 15))
    labels = (known[:, 0] + 0.3 * generator.normal(size=40) > 0).astype(int)
    scores = probe(known, labels, unknown)
    # Whatever strength it chose, some ridge regression of scikit-learn's gives the same.
    centred, targets = known - known.mean(axis=0), 2.0 * labels - 1
    errors = []
    for strength in np.logspace(-6, 6, 400):
        peer = Ridge(alpha=strength, fit_intercept=True).fit(centred, targets)
        errors.append(np.abs(peer.predict(unknown - known.mean(axis=0)) - scores).max())
    assert min(errors) < 0.02
    assert ((scores > 0) == (unknown[:, 0] > 0)).mean() > 0.8
    assert (probe(np.ones((4, 3)), np.array([0, 1, 0, 1]), np.ones((2, 3))) == 0).all()


def test_separation_is_scored_on_pictures_that_were_not_learned_from(model, digits):
    found = insight.linear_probe(model, ("4", "9"), digits, limit=60)
    rows = found["linear-probe"].rows
    assert [row[0] for row in rows][:3] == ["pixels", "c1", "activation"]
    assert {row[6] for row in rows} == {30}
    assert all(row[4] <= row[3] <= row[5] for row in rows)
    best = max(row[3] for row in rows)
    assert all(row[7] for row in rows if row[3] == best)
    data = found["linear-probe"].note, found[1].data
    assert all(data[1]["good"][data[1]["first"] :])
    assert data[1]["first"] == 0 or not data[1]["good"][data[1]["first"] - 1]
    assert "15 of" not in data[0]
    assert all(sum(map(sum, layer["counts"])) == 30 for layer in data[1]["layers"])
    assert found[1].note.startswith("All layers from ")


def test_an_early_layer_that_is_good_by_luck_is_not_marked(model, digits, monkeypatch):
    from pellucid.insight import probing

    scores: list[float] = []

    def lucky(share_of):
        def probe(known, labels, unknown):
            place = len(scores)
            scores.append(0.0)
            right = np.arange(len(unknown)) < round(share_of(place) * len(unknown))
            truth = np.repeat([-1.0, 1.0], len(unknown) // 2)
            return np.where(right[np.argsort(np.arange(len(unknown)) % 2, kind="stable").argsort()], truth, -truth)

        scores.clear()
        monkeypatch.setattr(probing, "probe", probe)
        return insight.linear_probe(model, ("4", "9"), digits, limit=60)[1]

    late = lucky(lambda place: 0.9 if place in (1, 8, 9, 10, 11) else 0.6)
    assert [place for place, good in enumerate(late.data["good"]) if good][:2] == [1, 8]
    assert late.data["first"] == 8, "c1 is good, but what comes after it is not"
    assert "uncertain" not in late.note
    unsure = lucky(lambda place: 0.8 if place == 11 else 0.67)
    assert unsure.note == (
        "All layers from the pixels themselves on are as good as the best, though with so few pictures this is "
        "uncertain."
    )
    guessing = lucky(lambda _: 0.5)
    assert guessing.data["first"] is None
    assert guessing.note == "No layer is measurably better than guessing on so few pictures."
    early = lucky(lambda place: 0.95 if place == 1 else 0.6)
    assert early.data["first"] == 1
    assert early.note == "The best layer is c1; later layers are worse."


def test_labels_that_say_nothing_cannot_be_separated(model, digits):
    """The test of the test: with labels by lot no layer is far from one half."""
    test = digits.test
    generator = np.random.default_rng(1)
    from dataclasses import replace

    shuffled = replace(test, labels=generator.permutation(test.labels))
    found = insight.linear_probe(model, ("4", "9"), shuffled)
    assert all(row[4] < 0.7 for row in found["linear-probe"].rows)


def test_deep_networks_are_probed_at_some_layers(untrained, digits):
    model = untrained("resnet20", (1, 8, 8))
    found = insight.linear_probe(model, ("0", "1"), digits, limit=16)
    assert "20 of 58 layers are shown" in found["linear-probe"].note


@pytest.mark.parametrize(
    ("classes", "limit", "kind", "sentence"),
    [
        (("4", "ten"), None, UnknownNameError, "There is no class named 'ten'"),
        (("4", "4"), None, UsageError, "A linear probe needs two different classes; given: 4 and 4"),
        (("4", "9"), 4, UsageError, "at least 8 pictures; given: --limit 4"),
    ],
)
def test_what_cannot_be_separated_is_a_sentence(model, digits, classes, limit, kind, sentence):
    with pytest.raises(kind, match=sentence):
        insight.linear_probe(model, classes, digits, limit=limit)


def test_a_class_with_hardly_any_pictures_is_named(model, digits):
    none = digits.test.take(np.flatnonzero(digits.test.labels != 4))
    with pytest.raises(DataError, match="0 pictures of '4'"):
        insight.linear_probe(model, ("4", "9"), none)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_of_the_data_keeps_neighbours(model, digits, method):
    found = insight.embedding(model, digits, method=method, limit=60)
    points = found["embedding"].data["points"]
    assert len(points) == 60
    kept = found["neighbours_kept"]
    plane = np.array([(point["x"], point["y"]) for point in points])
    some, _ = sample(digits, "test", 60)
    values, outputs = TorchRunner(model).features(some.pictures)
    from sklearn.neighbors import NearestNeighbors

    far, near = (NearestNeighbors(n_neighbors=10).fit(one).kneighbors(return_distance=False) for one in (values, plane))
    shared = np.mean([len(set(a) & set(b)) for a, b in zip(far, near, strict=True)]) / 10
    assert kept.value == pytest.approx(shared, abs=0.02)
    assert kept.value > 0.3, "by chance it would be 0.17"
    assert [point["predicted"] for point in points] == [digits.classes[i] for i in outputs.argmax(axis=1)]
    if method == "pca":
        from sklearn.decomposition import PCA

        peer = PCA(2).fit(values)
        assert found["embedding"].data["explained"] == pytest.approx(peer.explained_variance_ratio_.sum(), rel=1e-3)
        np.testing.assert_allclose(np.abs(plane), np.abs(peer.transform(values)), rtol=1e-2, atol=1e-2)


def test_maps_that_cannot_be_drawn_are_a_sentence(model, digits):
    with pytest.raises(UnknownNameError, match="There is no method named 'umap'"):
        insight.embedding(model, digits, method="umap")
    with pytest.raises(UsageError, match="An embedding needs at least 12 pictures; there are 5"):
        insight.embedding(model, digits, limit=5)


def test_a_network_without_weights_has_no_features(own, digits):
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :10]

    with pytest.raises(UsageError, match="no layer with parameters"):
        insight.embedding(own(Mean()), digits, network=Mean())
