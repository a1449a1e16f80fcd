"""Rules for networks: each finds its fault planted in at least three styles, and nothing in the healthy twin."""

# One planted fault is one line of the tables below, however long.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pellucid.errors import NetworkError, UsageError
from pellucid.lint import RULES, lint
from pellucid.networks.catalogue import NETWORKS
from pellucid.networks.network import Network

SHAPE = (1, 12, 12)


def found(network: nn.Module, **options: object) -> dict[str, set[str]]:
    """The rules that found something, with their levels."""
    torch.manual_seed(0)
    options = {"shape": SHAPE, "classes": 5} | options
    rules: dict[str, set[str]] = {}
    for level, rule, *_ in lint(network, **options)["flaws"].rows:
        rules.setdefault(rule, set()).add(level)
    return rules


class Written(nn.Module):
    """A network of the second style: layers by name, everything else as calls of functions."""

    def __init__(self, forward: Callable, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.steps = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(self, x)


class Block(nn.Module):
    """The third style: parts within parts."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.inner:
            x = part(x)
        return x


def dense(*between: nn.Module, first: int = 144, last: int = 5) -> list[nn.Module]:
    bias = not isinstance(next(iter(between), None), nn.BatchNorm1d)
    return [nn.Flatten(), nn.Linear(first, 20, bias=bias), *between, nn.Linear(20, last)]


def conv(*between: nn.Module, side: int = 3) -> list[nn.Module]:
    """Convolutions that see all of the picture, then the mean over it."""
    return [
        nn.Conv2d(1, 6, side, padding=side // 2, bias=False),
        *between,
        nn.Conv2d(6, 8, 7, padding=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ]


def sequence(parts: list[nn.Module]) -> nn.Module:
    return nn.Sequential(*parts)


def nested(parts: list[nn.Module]) -> nn.Module:
    half = len(parts) // 2
    return Block(nn.Sequential(*parts[:half]), Block(Block(*parts[half:-1]), parts[-1]))


def written(parts: list[nn.Module]) -> nn.Module:
    """Only what has weights is a layer; all else is called as a function."""

    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for place, part in enumerate(parts):
            if isinstance(part, nn.Linear):
                layer = getattr(self, f"p{place}")
                flat = x.dim() == 2 and layer.bias is not None
                x = torch.addmm(layer.bias, x, layer.weight.T) if flat else x @ layer.weight.T
                x = x + layer.bias if layer.bias is not None and not flat else x
            elif isinstance(part, nn.Conv2d):
                layer = getattr(self, f"p{place}")
                x = F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, groups=layer.groups)
            elif isinstance(part, nn.ReLU):
                x = x.clamp(min=0)
            elif isinstance(part, nn.Softmax):
                x = torch.exp(x - x.max(1, keepdim=True).values)
                x = x / x.sum(1, keepdim=True)
            elif isinstance(part, nn.Dropout):
                x = F.dropout(x, part.p, training=self.training)
            elif isinstance(part, nn.AdaptiveAvgPool2d):
                x = x.mean((2, 3))
            elif isinstance(part, nn.Flatten):
                x = x.reshape(len(x), -1)
            elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)):
                x = getattr(self, f"p{place}")(x)
            else:
                x = part(x)
        return x

    kept = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
    return Written(forward, **{f"p{place}": part for place, part in enumerate(parts) if isinstance(part, kept)})


STYLES = {"sequence": sequence, "written": written, "nested": nested}


def redrawn(layers: list[nn.Module], draw: Callable) -> list[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Linear):
            draw(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers


FAULTS: dict[str, list[tuple[Callable[[], list[nn.Module]], Callable[[], list[nn.Module]]]]] = {
    "softmax-before-loss": [
        (lambda: [*dense(nn.ReLU()), nn.Softmax(dim=1)], lambda: dense(nn.ReLU())),
        (lambda: [*conv(nn.ReLU()), nn.Softmax(dim=1)], lambda: conv(nn.ReLU())),
    ],
    "activation-on-logits": [
        (lambda: [*dense(nn.ReLU()), nn.ReLU()], lambda: dense(nn.ReLU())),
        (lambda: [*dense(nn.ReLU()), nn.Sigmoid()], lambda: dense(nn.Sigmoid())),
        (lambda: [*dense(nn.ReLU()), nn.Dropout(0.5)], lambda: dense(nn.ReLU(), nn.Dropout(0.5))),
    ],
    "output-count": [
        (lambda: dense(nn.ReLU(), last=10), lambda: dense(nn.ReLU())),
        (lambda: dense(nn.ReLU(), last=4), lambda: dense(nn.Tanh())),
        (lambda: dense(nn.ReLU(), first=12)[1:], lambda: dense(nn.GELU())),  # (N, 1, 12, K)
    ],
    "nothing-between": [
        (lambda: dense(), lambda: dense(nn.ReLU())),
        (lambda: dense(nn.Dropout(0.2)), lambda: dense(nn.Tanh(), nn.Dropout(0.2))),
        (lambda: dense(nn.BatchNorm1d(20)), lambda: dense(nn.BatchNorm1d(20), nn.ReLU())),
        (lambda: conv(), lambda: conv(nn.ReLU())),
        (lambda: conv(nn.AvgPool2d(2)), lambda: conv(nn.MaxPool2d(2))),
    ],
    "dropout-before-batch-norm": [
        (lambda: dense(nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(20)), lambda: dense(nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(0.5))),
        (lambda: conv(nn.Dropout(0.1), nn.BatchNorm2d(6), nn.ReLU()), lambda: conv(nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1))),
        (lambda: [*conv(nn.ReLU(), nn.Dropout(0.5))[:3], nn.Conv2d(6, 8, 7, padding=3, bias=False), nn.BatchNorm2d(8), *conv()[2:]], lambda: conv(nn.ReLU(), nn.Dropout(0.5))),
    ],
    "initial-variance": [
        (lambda: redrawn(dense(nn.ReLU()), nn.init.zeros_), lambda: dense(nn.ReLU())),
        (lambda: redrawn(dense(nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU()), lambda w: nn.init.normal_(w, std=30)), lambda: dense(nn.ReLU(), nn.Linear(20, 20), nn.ReLU())),
        (lambda: dense(*[part for _ in range(12) for part in (nn.Sigmoid(), nn.Linear(20, 20))], nn.Sigmoid()), lambda: redrawn(dense(*[part for _ in range(12) for part in (nn.Tanh(), nn.Linear(20, 20))], nn.Tanh()), nn.init.xavier_uniform_)),
    ],
    "identical-units": [
        (lambda: redrawn(dense(nn.Tanh(), nn.Linear(20, 20), nn.Tanh()), lambda w: nn.init.constant_(w, 0.1)), lambda: dense(nn.Tanh(), nn.Linear(20, 20), nn.Tanh())),
    ],
    "small-receptive-field": [
        (lambda: [conv()[0], nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)], lambda: conv(nn.ReLU())),
        (lambda: [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(10), nn.Flatten(), nn.Linear(6, 5)], lambda: [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(6, 5)]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("rule", "place"), [(rule, i) for rule, faults in FAULTS.items() for i in range(len(faults))])
def test_a_planted_fault_is_found_and_its_twin_is_healthy(rule, place, style):
    faulty, healthy = FAULTS[rule][place]
    torch.manual_seed(0)
    assert found(STYLES[style](healthy())) == {}
    levels = found(STYLES[style](faulty()))
    if rule == "identical-units":  # what is alike carries hardly anything, too
        levels.pop("initial-variance", None)
    assert levels == {rule: {RULES[rule].level}}


@pytest.mark.parametrize("style", STYLES)
def test_a_bias_before_a_batch_norm_is_only_mentioned(style):
    idle = dense(nn.BatchNorm1d(20), nn.ReLU())
    idle[1] = nn.Linear(144, 20)
    assert found(STYLES[style](idle)) == {"idle-bias": {"info"}}
    assert found(STYLES[style](dense(nn.BatchNorm1d(20), nn.ReLU()))) == {}
    pooled = conv(nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.ReLU())
    pooled[0] = nn.Conv2d(1, 6, 3)
    assert found(STYLES[style](pooled)) == {"idle-bias": {"info"}}
    normed = conv(nn.GroupNorm(2, 6), nn.ReLU())
    normed[0] = nn.Conv2d(1, 6, 3)
    assert found(STYLES[style](normed)) == {}


def test_what_does_little_harm_is_only_mentioned():
    assert found(sequence([*dense(nn.ReLU()), nn.LogSoftmax(dim=1)])) == {"softmax-before-loss": {"info"}}
    narrow = [nn.Flatten(), nn.Linear(144, 3), nn.Linear(3, 5)]
    assert found(sequence(narrow)) == {"nothing-between": {"info"}}
    mild = conv(nn.ReLU(), nn.Dropout(0.1))
    mild[3] = nn.Conv2d(6, 8, 7, padding=3, bias=False)
    mild.insert(4, nn.BatchNorm2d(8))
    assert found(sequence(mild)) == {"dropout-before-batch-norm": {"info"}}


class Purposes(nn.Module):
    """Much that looks like a fault and is meant: a bottleneck, depthwise and separable kernels, a gate, a shortcut
    around two layers, attention, a layer scale that begins near 0, a branch that begins at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.narrow = nn.Conv2d(8, 4, 1, bias=False)
        self.narrow_norm = nn.BatchNorm2d(4)
        self.wide = nn.Conv2d(4, 8, 1, bias=False)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.column, self.row = nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1))
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
        nn.init.zeros_(self.branch.weight)
        nn.init.zeros_(self.branch.bias)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1e-6))
        self.gamma = nn.Parameter(torch.zeros(8, 1, 1))
        self.inside = nn.Conv2d(8, 8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.stem(x)), inplace=True)
        x = F.relu(self.wide(self.narrow_norm(self.narrow(x))))
        x = F.relu(self.pointwise(self.depthwise(x)))
        x = F.relu(self.row(self.column(x)))
        x = x * self.gate(x).sigmoid()
        x = x + self.branch(x) * self.scale + self.gamma * self.inside(F.relu(x))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.out(F.layer_norm(tokens.mean(dim=1), (8,)))


def test_what_is_meant_is_left_in_peace():
    assert found(Purposes()) == {}


def test_a_shortcut_around_two_layers_keeps_them_apart():
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        first = self.a(x.flatten(1))
        return self.b(first) + self.c(torch.relu(first))

    assert found(Written(forward, a=nn.Linear(144, 20), b=nn.Linear(20, 5), c=nn.Linear(20, 5))) == {}


class Frozen(nn.Module):
    """Parameters that take no part, and some that no gradient reaches."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(144, 20), nn.Linear(20, 5)
        self.spare = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.way = way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x.flatten(1)))
        if self.way == "detached":
            x = x.detach()
        elif self.way == "sign":
            x = torch.sign(x)
        elif self.way == "compared":
            x = (x > 0.1).float()
        elif self.way == "numpy":
            x = torch.from_numpy(x.detach().numpy())
        elif self.way == "no_grad":
            with torch.no_grad():
                x = x * 2
        return self.b(x)


def test_unused_parameters_are_found():
    rows = lint(Frozen("as it should be"), shape=SHAPE, classes=5)["flaws"].rows
    assert [(row[1], row[2]) for row in rows] == [("unused-parameter", "spare")]
    assert "These 24 numbers are saved and counted, but never learn." in rows[0][3]
    used = Frozen("as it should be")
    used.spare = nn.Identity()
    assert found(used) == {}
    fixed = Frozen("as it should be")
    fixed.spare.requires_grad_(requires_grad=False)
    assert found(fixed) == {}


@pytest.mark.parametrize("way", ["detached", "sign", "compared", "numpy", "no_grad"])
def test_what_no_gradient_reaches_is_found(way):
    network = Frozen(way)
    network.spare = nn.Identity()
    rows = lint(network, shape=SHAPE, classes=5)["flaws"].rows
    assert [row[2] for row in rows if row[1] == "no-gradient"] == ["a"]
    network.a.requires_grad_(requires_grad=False)
    assert "no-gradient" not in found(network)


def test_parameters_used_in_training_alone_are_used():
    class Helped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.helper = nn.Linear(144, 20), nn.Linear(20, 5), nn.Linear(20, 5)

        def forward(self, x: torch.Tensor) -> object:
            x = self.a(x.flatten(1)).relu()
            return (self.b(x), self.helper(x)) if self.training else self.b(x)

    assert found(Helped()) == {}


class Hidden(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        parts = [nn.Linear(144, 20), nn.Linear(20, 5)]
        self.layers = {"list": parts, "dictionary": dict(enumerate(parts)), "registered": nn.ModuleList(parts)}.get(way)
        self.output = nn.Linear(20, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        first = nn.Linear(144, 20) if self.layers is None else self.layers[0]
        x = first(x).relu()
        return self.output(x) + (0 if self.layers is None else self.layers[1](x))


@pytest.mark.parametrize("way", ["list", "dictionary", "made in forward"])
def test_parameters_that_the_network_does_not_know_are_found(way):
    levels = found(Hidden(way))
    assert levels.pop("unregistered-parameter") == {"warning"}
    assert set(levels) <= {"mixed-pictures"}
    assert found(Hidden("registered")) == {}


@pytest.mark.parametrize("call", [lambda x: F.dropout(x, 0.5), lambda x: torch.dropout(x, 0.5, True), F.dropout2d])
def test_dropout_that_never_ends_is_found(call):
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x = call(self.conv(x)).relu()
        return self.out(x.flatten(1))

    network = Written(forward, conv=nn.Conv2d(1, 4, 3), out=nn.Linear(400, 5))
    rows = lint(network, shape=SHAPE, classes=5)["flaws"].rows
    assert [row[1] for row in rows] == ["dropout-in-evaluation"]
    assert rows[0][2].startswith("Written, test_networks.py:")
    ended = Written(lambda self, x: self.out(F.dropout(self.conv(x), 0.5, self.training).relu().flatten(1)),
                    conv=nn.Conv2d(1, 4, 3), out=nn.Linear(400, 5))  # fmt: skip
    assert found(ended) == {}


MIXING = {
    "softmax over the batch": lambda self, x: self.out(self.a(x.flatten(1)).softmax(dim=0)),
    "statistics of the batch": lambda self, x: self.out(self.norm(self.a(x.flatten(1)))),
    "attention over the batch": lambda self, x: self.out(self.mix(*[self.a(x.flatten(1))[:, None]] * 3)[0][:, 0]),
}


@pytest.mark.parametrize("way", MIXING)
def test_pictures_that_know_of_each_other_are_found(way):
    layers = {"a": nn.Linear(144, 8, bias=False), "out": nn.Sequential(nn.ReLU(), nn.Linear(8, 5))}
    if way.startswith("stat"):
        layers["norm"] = nn.BatchNorm1d(8, track_running_stats=False)
    if way.startswith("att"):
        layers["mix"] = nn.MultiheadAttention(8, 2)
    assert "mixed-pictures" in found(Written(MIXING[way], **layers))
    if way.startswith("att"):
        layers["mix"] = nn.MultiheadAttention(8, 2, batch_first=True)
        assert "mixed-pictures" not in found(Written(MIXING[way], **layers))


def test_pictures_that_become_rows_of_others_are_found():
    rows = lint(sequence([nn.Unflatten(3, (3, 4)), nn.Flatten(0, 2), nn.Flatten(), nn.Linear(12, 5)]), shape=SHAPE)
    assert [row[1] for row in rows["flaws"].rows] == ["output-count"]
    assert "For 4 pictures the outputs have shape (48, 5)" in rows["flaws"].rows[0][3]


class Strange(nn.Module):
    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what
        self.a = nn.Linear(144, 5)

    def forward(self, x: torch.Tensor) -> object:
        self.a(x.flatten(1))
        return self.what


def test_what_gives_no_outputs_is_said():
    rows = lint(Strange("nothing"), shape=SHAPE, classes=5)["flaws"].rows
    assert {row[1] for row in rows} == {"output-count", "no-gradient"}
    assert "returns str, not a tensor" in rows[0][3]
    assert "output-count" in found(Strange({"a": torch.tensor(1.0)}))


def test_a_loss_of_its_own_is_respected():
    class Squared(Network):
        loss = "squared-error"

        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(144, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x.flatten(1)).sigmoid()

    assert found(Squared()) == {}
    squared = Squared()
    squared.loss = "cross-entropy"
    assert found(squared) == {"activation-on-logits": {"warning"}}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("alexnet", "lite0")])
def test_the_catalogue_is_healthy(name):
    rows = lint(name)["flaws"].rows
    assert [row for row in rows if row[0] == "warning"] == []
    expected = {"convnet": {"idle-bias"}, "deep-convnet": {"idle-bias", "dropout-before-batch-norm"}}
    assert {row[1] for row in rows} == expected.get(name, set())


TIMM = {
    "resnet18": 64,
    "mobilenetv3_small_100": 64,
    "mobilenetv2_100": 64,
    "efficientnet_b0": 64,
    "vit_tiny_patch16_224": 64,
    "regnety_004": 64,
}


@pytest.mark.parametrize("name", TIMM)
def test_no_false_alarm_on_much_used_networks(name):
    pytest.importorskip("timm", reason="timm is an extra, and not installed")
    side = TIMM[name]
    assert lint(f"timm:{name}", shape=(3, side, side), classes=10)["flaws"].rows == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["resnet50", "densenet121", "convnext_tiny", "swin_tiny_patch4_window7_224", "deit_tiny_patch16_224"],
)
def test_no_false_alarm_on_large_networks(name):
    timm = pytest.importorskip("timm", reason="timm is an extra, and not installed")
    sized = {"img_size": 64} if name.startswith(("swin", "deit")) else {}
    network = timm.create_model(name, pretrained=False, num_classes=10, **sized)
    assert lint(network, shape=(3, 64, 64), classes=10)["flaws"].rows == ()


@pytest.mark.slow
def test_no_false_alarm_on_alexnet():
    assert lint("alexnet", shape=(3, 64, 64), classes=10)["flaws"].rows == ()


def test_the_network_and_chance_are_left_as_they_were():
    network = sequence(dense(nn.BatchNorm1d(20), nn.ReLU()))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    lint(network, shape=SHAPE)
    assert torch.equal(torch.rand(1), wanted)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())


def test_steps_are_told_as_they_begin():
    told = []
    lint("lenet5", progress=lambda *said: told.append(said))
    assert told == [(0, 4, "its calls"), (1, 4, "its outputs"), (2, 4, "its gradients"), (3, 4, "its initial weights")]


def test_pictures_are_guessed_where_nobody_says():
    assert lint(sequence(dense(nn.ReLU(), first=784))).title == "Sequential, pictures of 1×28×28"
    assert lint(sequence(dense(nn.ReLU(), first=3072))).title == "Sequential, pictures of 3×32×32"
    with pytest.raises(UsageError) as error:
        lint(sequence(dense(nn.ReLU(), first=7)))
    assert "does not run on any of the usual input shapes (1×28×28, 3×32×32, 3×224×224, 3×64×64)" in str(error.value)
    assert "--shape CHANNELS,HEIGHT,WIDTH" in str(error.value)


def test_what_does_not_run_is_said():
    with pytest.raises(NetworkError) as error:
        lint(sequence(dense(nn.ReLU(), first=7)), shape=SHAPE)
    assert str(error.value).startswith("'Sequential' does not run on pictures of 1×12×12 (channels × height × width): ")

    class Learner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                raise ValueError
            return x.flatten(1)

    with pytest.raises(NetworkError) as error:
        lint(Learner(), shape=SHAPE)
    assert "does not run in training mode on pictures of 1×12×12" in str(error.value)
