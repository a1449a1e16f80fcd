"""`lint`: finds mistakes in a network or a training script that silently cost accuracy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import MissingDataError, UsageError
from pellucid.lint.registry import INFO, LEVELS, RULES, WARNING, Flaw
from pellucid.networks import catalogue
from pellucid.records import Findings, Metric, Model, Table

if TYPE_CHECKING:
    from torch import nn

    from pellucid.lint.networks.evidence import Subject
    from pellucid.lint.scripts.source import Source

COLUMNS = ("level", "rule", "location", "reason", "fix")
SCRIPTS = (".py", ".ipynb")
_USUAL = ((1, 28, 28), (3, 32, 32), (3, 224, 224), (3, 64, 64))
"""Input shapes tried for a user's network without --shape: MNIST's, CIFAR's, photos."""

Progress = Callable[[int, int, str], None]


def lint(
    target: Any,
    *,
    shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    object_size: int | None = None,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """Finds mistakes in a network or a training script that make it worse without an error.

    Args:
        target: a network's name (`lenet5`, `timm:resnet18`, `mynet.py:Net`), a module, a model or its file; or a
            training script or notebook (`train.py`). Scripts and the local files that they import are read, never run.
        shape: (C, H, W) of the pictures. None uses the shape of the catalogue, or the first usual shape that runs.
        classes: number of classes. None uses that of the catalogue; if it is unknown, outputs are not counted.
        object_size: size of the objects in pixels; half of the picture by default.
        network: the network class, for a model of your own network; see `pellucid.build`.
        progress: called with (step, number of steps, what the step examines); only for networks.

    Returns:
        The metrics `warnings` and `infos`, and the table `flaws`: level, rule, location, reason, fix; warnings first.

    Raises:
        UnknownNameError: the network is unknown.
        UsageError: an option does not fit the target.
        MissingDataError: the file does not exist.
        FormatError: the script is not Python.
        NetworkError: the network does not run.
    """
    if isinstance(target, (str, Path)) and is_script(target):
        for option, value in (("shape", shape), ("classes", classes), ("object", object_size), ("network", network)):
            if value is not None:
                raise UsageError(f"--{option} is for networks, and {target} is a script. Leave it out.")
        from pellucid.lint.scripts.script import read

        script = read(Path(target))
        return _findings(Path(target).name, "script", script, _reading_note(script.source, Path(target)))
    from pellucid.lint.networks.evidence import STEPS, examine

    subject = subject_of(target, shape, classes, object_size, network)

    def step(number: int) -> None:
        if progress is not None:
            progress(number, len(STEPS), STEPS[number])

    sides = "×".join(str(side) for side in subject.shape)
    counted = f", {subject.classes:,} classes" if subject.classes is not None else ""
    return _findings(f"{subject.name}, pictures of {sides}{counted}", "network", examine(subject, step))


def is_script(target: str | Path) -> bool:
    """Whether the target is a script and not a network."""
    return str(target).endswith(SCRIPTS)


def _reading_note(source: Source, target: Path) -> str:
    """Sentences on the files that were read or skipped, and the command for a network in them."""
    note = ""
    if len(source.modules) > 1:
        note = f" Imported files that were read: {', '.join(module.name for module in source.modules[1:])}."
    note += "".join(f" {sentence}" for sentence in source.left_out)
    for module in source.modules:
        for kind in module.classes:
            if source.is_network(kind):
                path = target if module is source.script else target.parent / module.name
                return f"{note} To lint a network in it: `pellucid lint {path}:{kind}`."
    return note


def rules() -> Findings:
    """All rules as a table: name, level, what it reads, what it finds."""
    rows = tuple((name, rule.level, rule.reads, rule.finds) for name, rule in RULES.items())
    return Findings((Table("rules", ("rule", "level", "reads", "finds"), rows),))


def subject_of(
    target: Any,
    shape: tuple[int, int, int] | None,
    classes: int | None,
    object_size: int | None,
    network: Any = None,
) -> Subject:
    """The target as a network with its input shape and number of classes."""
    from torch import nn

    from pellucid.lint.networks.evidence import Subject

    trained = False
    if isinstance(target, nn.Module):
        name, module = type(target).__name__, target
        shape = shape or _runs_on(name, [module] * len(_USUAL))
    elif isinstance(target, Model) or Path(target).exists():
        name, module, shape, classes = _of_a_model(target, shape, classes, network)
        trained = True
    else:
        if network is not None:
            raise UsageError(f"--network is for a model file, and '{target}' is not one. Leave it out.")
        name, module, shape, classes = _of_a_name(str(target), shape, classes)
    size = object_size or (min(shape[1:]) + 1) // 2
    return Subject(name, module, shape, classes, trained, size)


Target = tuple[str, "nn.Module", tuple[int, int, int], int | None]


def _of_a_model(target: Any, shape: tuple[int, int, int] | None, classes: int | None, network: Any) -> Target:
    from pellucid.inference.building import build
    from pellucid.insight.layer_summary import name_of

    model = target if isinstance(target, Model) else Model.load(target)
    if shape is not None or classes is not None:
        option = "--shape" if shape is not None else "--classes"
        raise UsageError(f"{option} is for networks by name; a model file has its own. Leave it out.")
    model_shape = model.specification.preprocessing.shape
    return name_of(model), build(model, network), model_shape, len(model.classes)


def _of_a_name(name: str, shape: tuple[int, int, int] | None, classes: int | None) -> Target:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if catalogue.is_file_reference(name):
            return _of_a_file(name, shape, classes)
        _check_name(name)
        if name in catalogue.NETWORKS:
            entry = catalogue.NETWORKS[name]
            shape, classes = shape or entry.shape, classes or entry.classes
        else:
            shape, classes = shape or (3, 224, 224), classes or 1000
        return name, catalogue.create(name, shape, classes), shape, classes


def _of_a_file(name: str, shape: tuple[int, int, int] | None, classes: int | None) -> Target:
    from pellucid.networks import custom

    kind = custom.load_class(name)
    class_count = classes or (10 if "classes" in inspect.signature(kind).parameters else None)
    if shape is None:
        tried = [custom.instantiate(kind, usual, class_count or 10) for usual in _USUAL]
        shape = _runs_on(kind.__name__, tried)
    return name, custom.instantiate(kind, shape, class_count or 10), shape, class_count


def _runs_on(name: str, networks: list[nn.Module]) -> tuple[int, int, int]:
    """The first usual input shape on which a network runs.

    Raises:
        UsageError: the network runs on none of them.
    """
    import torch

    from pellucid.networks import custom

    for usual, network in zip(_USUAL, networks, strict=True):
        try:
            with torch.no_grad():
                custom.copy_of(network).eval()(torch.zeros(2, *usual))
        except Exception:  # noqa: BLE001, S112 (any error: this is not its shape)
            continue
        return usual
    sizes = ", ".join("×".join(str(side) for side in usual) for usual in _USUAL)
    raise UsageError(
        f"'{name}' does not run on any of the usual input shapes ({sizes}). Give its own: --shape "
        "CHANNELS,HEIGHT,WIDTH."
    )


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name.endswith(".safetensors"):
        raise MissingDataError(f"{name} does not exist. Give a model file, a run folder or a script.")
    catalogue.check_name(name)


def _findings(title: str, reads: str, evidence: Any, more: str = "") -> Findings:
    rows: list[tuple[str, ...]] = []
    for name, rule in RULES.items():
        if rule.reads == reads:
            rows += [_row(name, rule.level, flaw) for flaw in _distinct(rule.load()(evidence))]
    rows.sort(key=lambda row: LEVELS.index(row[0]))
    counts = {level: sum(row[0] == level for row in rows) for level in LEVELS}
    number_of_rules = sum(rule.reads == reads for rule in RULES.values())
    return Findings(
        (
            Metric("warnings", counts[WARNING], 0, unit="count"),
            Metric("infos", counts[INFO], 0, unit="count"),
            Table("flaws", COLUMNS, tuple(rows), f"{number_of_rules} {reads} rules were checked.{more}"),
        ),
        title=title,
    )


def _distinct(flaws: Iterable[Flaw]) -> Iterable[Flaw]:
    """The flaws without repeats, for layers that run several times."""
    return dict.fromkeys(flaws)


def _row(name: str, level: str, flaw: Flaw) -> tuple[str, ...]:
    return (flaw.level or level, name, flaw.location, flaw.reason, flaw.fix)
