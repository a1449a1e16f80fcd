"""Calls in a script: what they return, the functions of the script that they run, and the events that they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pellucid.lint.scripts import vocabulary
from pellucid.lint.scripts.expressions import Expressions, Scope
from pellucid.lint.scripts.modules import Module
from pellucid.lint.scripts.source import Function, Source, called, dotted, last
from pellucid.lint.scripts.tags import (
    CHOOSER,
    CROSS_ENTROPY,
    EVALUATION,
    FITTED,
    IN_ORDER,
    LOG_SOFTMAX,
    MIXED,
    NO,
    NOTHING,
    SCALE,
    SOFTMAX,
    TRAINING,
    YES,
    Tags,
    loaders,
    models,
    splits,
)

_MAX_DEPTH = 8
_GRADIENTS_OFF = ("no_grad", "inference_mode")


@dataclass(frozen=True)
class Call:
    """A call, with the tags of everything in it.

    Attributes:
        node: the call.
        name: the last part of the name of the function.
        function: the tags of the function.
        receiver: the tags of the object before the dot.
        arguments: the tags of the positional arguments.
        keywords: the tags of the keyword arguments.
        data: the tags of all arguments that are data.
        is_external: whether the function is not defined in any of these files.
    """

    node: ast.Call
    name: str
    function: Tags
    receiver: Tags
    arguments: list[Tags]
    keywords: dict[str, Tags]
    data: Tags
    is_external: bool


class Result(NamedTuple):
    """The tags that a function returns, and those of each element if it returns a tuple."""

    tags: Tags
    parts: list[Tags]


class Calls(Expressions):
    """Evaluates calls. A subclass walks through statements.

    Attributes:
        loaders: the calls that create loaders, by tag.
        stack: the functions that the walk is in, outermost first.
        visited: all functions that it has walked through.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.loaders: dict[str, ast.Call] = {}
        self.stack: list[Function] = []
        self.visited: set[Function] = set()
        self._uses_torch, self._learns = source.uses_torch, source.learns

    def block(self, statements: list[ast.stmt]) -> None:
        """Walks through statements."""
        raise NotImplementedError

    def call(self, node: ast.Call) -> Tags:
        """The tags of the result of a call, whose effects and events are noted."""
        name = last(node.func)
        receiver = self.tags(node.func.value) if isinstance(node.func, ast.Attribute) else NOTHING
        arguments = [self.tags(argument) for argument in node.args]
        keywords = {keyword.arg or "**": self.tags(keyword.value) for keyword in node.keywords}
        keyword_data = [tags for keyword, tags in keywords.items() if keyword not in vocabulary.NO_DATA]
        data = frozenset().union(*arguments, *keyword_data) - {YES, NO}
        if models(data):
            self.received_model.add(node)
        if models(receiver) and name in ("train", "eval"):
            self._switch_mode(node, receiver, name)
            return receiver
        if name in vocabulary.ADDING and isinstance(container := getattr(node.func, "value", None), ast.Name):
            self.scope.names[container.id] = receiver | (data - {SOFTMAX, LOG_SOFTMAX})
        is_external = self.scope.module.defines(dotted(node.func)) is None
        call = Call(node, name, self._function(node), receiver, arguments, keywords, data, is_external)
        for kind, event_tags in events_of(call):
            self.note(kind, node, event_tags)
        for result in (self._torch_result, self._local_result):
            tags = result(call)
            if tags is not None:
                return tags
        return self._external_result(call)

    def frame(self, function: Function, arguments: dict[str, Tags], owner: Tags) -> Result:
        """Walks through a function of these files, and gives what it returns.

        Args:
            function: the function.
            arguments: the tags of its parameters, by name.
            owner: the tags of `self`.
        """
        if function in self.stack or len(self.stack) >= _MAX_DEPTH:
            return Result(NOTHING, [])
        self.visited.add(function)
        self.stack.append(function)
        outer = self.scope
        home = self.source.home(function)
        scope = Scope(home, dict(arguments), self.top_of(home), function.name, outer.no_grad, [*outer.loops])
        scope.names.setdefault("self", owner)
        scope.no_grad |= any(
            last(decorator.func if isinstance(decorator, ast.Call) else decorator) in _GRADIENTS_OFF
            for decorator in function.decorator_list
        )
        for parameter in _parameters(function):
            scope.names.setdefault(parameter, self.by_name(parameter))
        # A training step that is not in a loop of the function itself: the function is one step.
        scope.loops.append((function, NOTHING, called(function.body, "backward", self.source, loops=False)))
        self.scope = scope
        self.block(function.body)
        self.scope = outer
        self.stack.pop()
        same_length = len({len(parts) for parts in scope.parts}) == 1
        parts = [frozenset().union(*tags) for tags in zip(*scope.parts, strict=True)] if same_length else []
        return Result(scope.returned, parts)

    def _function(self, node: ast.Call) -> Tags:
        """The tags of the function that is called."""
        return self.tags(node.func) if isinstance(node.func, (ast.Name, ast.Attribute, ast.Call)) else NOTHING

    def _torch_result(self, call: Call) -> Tags | None:
        """The result of a function of torch that rules know; None for others."""
        name, data, inputs = call.name, call.data, call.data | call.receiver
        if name in vocabulary.LAYERS:
            return frozenset({vocabulary.LAYERS[name]})
        if name in vocabulary.CONTAINERS:
            last_layer = data & set(vocabulary.RESULTS)
            return (last_layer | {self.new_model(name, call.node)}) if name == "Sequential" else last_layer
        if name == "CrossEntropyLoss":
            return frozenset({CROSS_ENTROPY})
        if name in vocabulary.LOADERS:
            order = IN_ORDER if _is_in_order(call) else ""
            tag = f"loader:{self.source.line(call.node)}:{call.node.col_offset}{order}"
            self.loaders[tag] = call.node
            return (data & {MIXED}) | splits(data) | {tag}
        if name in vocabulary.FUNCTIONS and (call.arguments or call.receiver):
            return splits(inputs) | {vocabulary.FUNCTIONS[name]}
        if name == "log" and SOFTMAX in inputs:
            return splits(inputs) | {LOG_SOFTMAX}
        return None

    def _local_result(self, call: Call) -> Tags | None:
        """The result of a function or class of these files, which is walked through; None for others."""
        definition = self.scope.module.defines(dotted(call.node.func))
        home, name = definition if definition is not None else (None, call.name)
        if name in (self.source.classes if home is None else home.classes):
            return self._create(call, name)
        function, owner = self._definition(call, home, name)
        if function is None:
            return None
        result = self.frame(function, _bound(function, call.arguments, call.keywords, owner), owner or NOTHING)
        self.parts_of[call.node] = result.parts
        return result.tags

    def _create(self, call: Call, name: str) -> Tags:
        """An object of a class of these files."""
        tag = self.new_model(name, call.node) if self.source.is_network(name) else ""
        owner = frozenset({tag or f"object:{name}"})
        initialiser = self.source.method(name, "__init__")
        if initialiser is not None:
            self.frame(initialiser, _bound(initialiser, call.arguments, call.keywords, owner), owner)
        return owner

    def _definition(self, call: Call, home: Module | None, name: str) -> tuple[Function | None, Tags | None]:
        """The function that is called, and its owner if it is a method."""
        if home is not None:
            return home.functions[name], None
        class_names = [tag.split(":")[1] for tag in call.receiver if tag.startswith(("object:", "model:"))]
        methods = [self.source.method(class_name, name) for class_name in class_names]
        return next((method for method in methods if method is not None), None), call.receiver

    def _external_result(self, call: Call) -> Tags:
        """The result of a function that these files do not define: mostly the tags of its arguments."""
        node, name = call.node, call.name
        layer = call.function & set(vocabulary.RESULTS)
        is_network = not isinstance(node.func, ast.Attribute) or dotted(node.func.value) == "self"
        networks = models(call.function) if is_network else []
        if networks:
            return self._run(node, networks, call.data) | {vocabulary.RESULTS[tag] for tag in layer}
        if layer:
            return splits(call.data) | {vocabulary.RESULTS[tag] for tag in layer}
        result = (call.data | call.receiver) - {SOFTMAX, LOG_SOFTMAX, SCALE, CROSS_ENTROPY}
        if name in vocabulary.UNCHANGED:
            result |= call.receiver
        for keyword in node.keywords:
            if keyword.arg == "train" and isinstance(keyword.value, ast.Constant):
                result |= {"train" if keyword.value.value else "test"}
        result |= _data_tags(call, result)
        if name in vocabulary.SPLITTING:
            result -= {MIXED}
        return result if name in (*vocabulary.UNCHANGED, "compile", "DataParallel") else result - set(models(result))

    def _run(self, node: ast.Call, networks: list[str], data: Tags) -> Tags:
        """Runs networks on data."""
        result = splits(data)
        for tag in networks:
            class_name = tag.split(":")[1]
            forward = self.source.method(class_name, "forward")
            if forward in self.stack:
                continue
            self._note_run(node, tag, result)
            if forward is not None:
                loops, self.scope.loops = self.scope.loops, []
                owner = frozenset({tag})
                outputs = self.frame(forward, _bound(forward, [result], {}, owner), owner)
                self.scope.loops = loops
                softmax = frozenset({SOFTMAX, LOG_SOFTMAX})
                self.parts_of[node] = [splits(data) | (part & softmax) for part in outputs.parts]
                result |= outputs.tags & softmax
        return result

    def _note_run(self, node: ast.Call, model: str, data_splits: Tags) -> None:
        """Adds the event `model` if this run is a training step or an evaluation."""
        scope = self.scope
        learns = bool(scope.loops) and scope.loops[-1][2]
        loop_data = frozenset().union(*(tags for _, tags, takes_steps in scope.loops if takes_steps))
        # A loop that learns from batches of test data is training, on the wrong data.
        is_held_out = bool(data_splits & {"test", "validation"}) and "train" not in data_splits
        is_training = learns and not (is_held_out and not (splits(loop_data) & data_splits))
        in_loop = bool(scope.loops) and not isinstance(scope.loops[-1][0], Function)
        is_evaluation = is_held_out or (self._learns and in_loop and vocabulary.means_evaluating(scope.function))
        in_forward = bool(self.stack) and self.stack[-1].name == "forward"
        if self._uses_torch and (is_training or is_evaluation) and not in_forward:
            no_grad = frozenset({"no-grad"}) if scope.no_grad else NOTHING
            mode = self.modes.get(model, self._unknown_mode) | no_grad
            self.note("model", node, data_splits | {model}, mode, learns=is_training)

    def _switch_mode(self, node: ast.Call, receiver: Tags, name: str) -> None:
        """Applies `train()`, `eval()` or `train(False)`."""
        mode = frozenset({TRAINING if name == "train" else EVALUATION})
        for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(value, ast.Constant):
                mode = frozenset({TRAINING if value.value else EVALUATION})
            else:
                mode = frozenset({TRAINING, EVALUATION})
        for tag in models(receiver):
            self.modes[tag] = mode


def events_of(call: Call) -> Iterator[tuple[str, Tags]]:
    """The kinds and tags of the events that a call is; see `Event`."""
    name, full_name = call.name, vocabulary.snake(dotted(call.node.func))
    data, has_test = call.data, "test" in splits(call.data)
    is_loss = CROSS_ENTROPY in call.function and name not in vocabulary.UNCHANGED
    if (name == "cross_entropy" or is_loss) and call.arguments:
        yield "cross-entropy", call.arguments[0]
    is_own_object = any(tag.startswith("object:") for tag in call.receiver)
    is_step = name == "step" and isinstance(call.node.func, ast.Attribute) and not is_own_object
    if has_test and (is_step or "early" in full_name or "stop" in full_name):
        yield "choose", data
    if name in ("fit", "fit_transform") and has_test and vocabulary.means_scaler(full_name):
        yield "scale", data
    elif name == "fit" and call.is_external and not is_own_object and len(call.arguments) + len(call.keywords) > 1:
        # A `fit` with a single argument, such as a clustering, has no labels and is not training.
        training_data = _training_data(call)
        yield "fit", training_data
        if CHOOSER in data | call.receiver and "test" in splits(data) - training_data:
            yield "choose", data
    if (name == "Normalize" and SCALE in data) or (name in vocabulary.SPLITTING and FITTED in data):
        yield "scale", data


def _training_data(call: Call) -> Tags:
    """The data that a `fit` learns from: its first argument that is data."""
    named = [tags for name, tags in call.keywords.items() if "val" not in name and "test" not in name]
    return next((tags for tags in (*call.arguments, *named) if splits(tags) or loaders(tags)), NOTHING)


def _data_tags(call: Call, data: Tags) -> Tags:
    """Tags that an external function adds to its data."""
    added = set()
    if call.name in vocabulary.STATISTICS and "test" in splits(data) and not _is_of_metrics(call.node):
        added.add(SCALE)
    if call.name == "fit_transform" and not splits(data):
        added.add(FITTED)
    if call.name in vocabulary.CHOOSERS:
        added.add(CHOOSER)
    if call.name in vocabulary.JOINING and {"test", "train"} <= data:
        added.add(MIXED)
    return frozenset(added)


def _is_in_order(call: Call) -> bool:
    """Whether a loader of torch does not shuffle. An argument with an unknown value counts as shuffling."""
    off = frozenset({NO})
    samplers = [keyword.value for keyword in call.node.keywords if keyword.arg == "sampler"]
    if any(isinstance(sampler, ast.Call) and last(sampler.func) == "SequentialSampler" for sampler in samplers):
        return True
    if "**" in call.keywords or any(call.keywords.get(name, off) != off for name in ("sampler", "batch_sampler")):
        return False
    return (call.arguments[2] if len(call.arguments) > 2 else call.keywords.get("shuffle", off)) == off


def _is_of_metrics(node: ast.Call) -> bool:
    """Whether a mean is one of losses or accuracies rather than of data."""
    return any(
        vocabulary.means_metric(last(part)) or isinstance(part, (ast.Compare, ast.List))
        for part in ast.walk(node)
        if isinstance(part, (ast.Name, ast.Attribute, ast.Compare, ast.List))
    )


def _parameters(function: Function) -> list[str]:
    """The names of the parameters of a function."""
    signature = function.args
    return [parameter.arg for parameter in (*signature.posonlyargs, *signature.args, *signature.kwonlyargs)]


def _bound(function: Function, arguments: list[Tags], keywords: dict[str, Tags], owner: Tags | None) -> dict[str, Tags]:
    """The tags of the parameters of a function in a call; without parameters that have none."""
    names = _parameters(function)
    if owner is not None and names[:1] == ["self"]:
        arguments = [owner, *arguments]
    by_name = dict(zip(names, arguments, strict=False))
    by_name |= {name: tags for name, tags in keywords.items() if name in names}
    return {name: tags for name, tags in by_name.items() if tags or name == "self"}
