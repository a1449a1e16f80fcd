"""Tags of the expressions of a script, and the events when they are evaluated."""

from __future__ import annotations

import ast
from typing import Any

from pellucid.lint.scripts import naming, vocabulary
from pellucid.lint.scripts.calls import (
    OFF,
    TaggedCall,
    bound,
    events_of,
    in_order,
    is_mean_of_metrics,
    parameters,
    says_eval,
    steps,
)
from pellucid.lint.scripts.modules import Module
from pellucid.lint.scripts.source import Function, Source, dotted, last
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
    Event,
    Tags,
    models,
    splits,
)

_DEEPEST = 8


class Expressions:
    """The state of a walk through a script, and the tags of its expressions.

    Attributes:
        names: tags of the names in the current function.
        top: tags of the names in its file.
        module: the current file.
        tops: tags of the names in each file that has run.
        attributes: tags of the attributes that the script sets, by attribute name only.
        modes: the possible modes of each network.
        no_grad: whether gradients are off.
        loops: the enclosing loops, with the tags that they iterate over and whether their passes train.
        returned: tags of the results of the current function.
        parts: for each `return` with several values the tags of each, as in `return train_loader, test_loader`.
        gave: tags of the values that the last function returned; empty if unknown.
        several: the same for each call.
        handed: the calls with a network among their arguments.
        entered: the functions that were walked through.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: dict[str, Tags] = {}
        self.top = self.names
        self.module = source.script
        self.tops: dict[Module, dict[str, Tags]] = {source.script: self.names}
        self.attributes: dict[str, Tags] = {}
        self.modes: dict[str, Tags] = {}
        self.no_grad = False
        self.loops: list[tuple[Any, Tags, bool]] = []
        self.returned: Tags = NOTHING
        self.parts: list[list[Tags]] = []
        self.gave: list[Tags] = []
        self.several: dict[ast.AST, list[Tags]] = {}
        self.handed: set[ast.AST] = set()
        self.function = ""
        self.stack: list[Function] = []
        self.entered: set[Function] = set()
        self.events: list[Event] = []
        self.loaders: dict[str, ast.Call] = {}
        self.count = 0
        self._torch, self._learns = source.uses_torch, source.learns
        self._unknown = frozenset({TRAINING, EVALUATION}) if says_eval(source) else frozenset({TRAINING})

    def block(self, statements: list[ast.stmt]) -> None:
        """Walks through statements."""
        raise NotImplementedError

    def top_of(self, module: Module) -> dict[str, Tags]:
        """Tags of the names in a file."""
        raise NotImplementedError

    def note(self, kind: str, node: ast.AST, tags: Tags, mode: Tags = NOTHING, *, learns: bool = False) -> None:
        """Adds an event."""
        self.events.append(Event(kind, node, tags, mode, learns))

    def tags(self, node: ast.AST | None) -> Tags:
        """Tags of an expression."""
        if node is None:
            return NOTHING
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Constant):
            return vocabulary.of_constant(node)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Subscript):
            return self._part(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            ends = self.tags(node.elts[-1]) & set(vocabulary.GIVES) if node.elts else NOTHING
            return frozenset().union(*(self.tags(one) - set(vocabulary.GIVES) for one in node.elts)) | ends
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for generator in node.generators:
                self.bind(generator.target, self.tags(generator.iter), generator.iter)
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            return frozenset().union(*(self.tags(part) for part in parts))
        if isinstance(node, ast.Lambda):
            return NOTHING
        children = [self.tags(one) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        tags_of_children = frozenset().union(*children)
        passed_on = isinstance(node, (ast.IfExp, ast.Starred, ast.Await, ast.NamedExpr))
        return tags_of_children if passed_on else tags_of_children - {SOFTMAX, LOG_SOFTMAX, YES, NO}

    def bind(self, target: ast.expr, tags: Tags, value: ast.AST) -> None:
        """Assigns tags to a name."""
        if isinstance(target, (ast.Tuple, ast.List)):
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            known = self.several.get(value, [])
            for index, one in enumerate(target.elts):
                own = naming.split_of(last(one) if not isinstance(one, ast.Starred) else last(one.value))
                if len(parts) == len(target.elts):
                    self.bind(one, self.tags(parts[index]), parts[index])
                elif len(known) == len(target.elts):
                    self.bind(one, known[index], value)
                else:
                    # Several values are unpacked at once: their names tell the splits.
                    self.bind(one, (tags - splits(tags)) | {own} if own else tags, value)
            return
        if isinstance(target, ast.Starred):
            target = target.value
        name = last(target)
        if not splits(tags) and not models(tags) and name and (own := naming.split_of(name)):
            tags |= {own}
        if naming.means_model(name) and not models(tags) and isinstance(value, ast.Call):
            trained = last(value.func) in ("load", "from_pretrained")
            tags |= {self._model(name, value, trained=trained, new=value not in self.handed)}
        if isinstance(target, ast.Name):
            for part in [one for one in self.names if one.startswith(f"{target.id}[")]:
                del self.names[part]
            self.names[target.id] = tags
            self.names |= {f"{target.id}[{key!r}]": part_tags for key, part_tags in self._parts(value)}
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr] = tags
        elif isinstance(target, ast.Subscript):
            self.bind(target.value, self.tags(target.value) | tags, value)

    def frame(self, function: Function, arguments: dict[str, Tags], owner: Tags) -> Tags:
        """Walks through a function of the files, and returns the tags of its result."""
        if function in self.stack or len(self.stack) >= _DEEPEST:
            self.gave = []
            return NOTHING
        self.entered.add(function)
        saved_state = (
            self.names,
            self.top,
            self.module,
            self.returned,
            self.function,
            self.no_grad,
            self.loops,
            self.parts,
        )
        self.stack.append(function)
        self.parts = []
        self.module = self.source.home(function)
        self.top = self.top_of(self.module)
        self.names, self.returned, self.function, self.loops = dict(arguments), NOTHING, function.name, [*self.loops]
        self.names.setdefault("self", owner)
        self.no_grad |= any(
            last(one.func if isinstance(one, ast.Call) else one) in OFF for one in function.decorator_list
        )
        for parameter in parameters(function):
            self.names.setdefault(parameter, self._by_name(parameter))
        self.loops.append((function, NOTHING, steps(function, self.source)))
        self.block(function.body)
        returned = self.returned
        alike = len({len(one) for one in self.parts}) == 1
        self.gave = [frozenset().union(*parts) for parts in zip(*self.parts, strict=True)] if alike else []
        self.stack.pop()
        self.names, self.top, self.module, self.returned, self.function, self.no_grad, self.loops, self.parts = (
            saved_state
        )
        return returned

    def _parts(self, value: ast.AST) -> list[tuple[Any, Tags]]:
        """The parts of a value with an index or key, as in `loaders["train"]`."""
        if isinstance(value, ast.Dict):
            keys = [one.value if isinstance(one, ast.Constant) else None for one in value.keys]
            return [(key, self.tags(one)) for key, one in zip(keys, value.values, strict=True) if key is not None]
        return list(enumerate(self.several.get(value, [])))

    def _part(self, node: ast.Subscript) -> Tags:
        """Tags of one part of a value; those of the whole if the index is unknown."""
        whole_tags, which = self.tags(node.value), node.slice
        if isinstance(which, ast.Constant):
            known = {f"[{key!r}]": part_tags for key, part_tags in self._parts(node.value)}
            part = f"[{which.value!r}]"
            whole = f"{dotted(node.value)}{part}"
            part_tags = known.get(part, self.names.get(whole, self.top.get(whole)))
            if part_tags is not None:
                return part_tags
        return whole_tags | splits(self.tags(which))

    def _named(self, name: str) -> Tags:
        if name in self.names:
            return self.names[name]
        if name in self.top:
            return self.top[name]
        return self._by_name(name)

    def _by_name(self, name: str) -> Tags:
        if naming.means_model(name):
            tag = f"model::{name}"
            self.modes.setdefault(tag, self._unknown)
            return frozenset({tag})
        own = naming.split_of(name)
        return frozenset({own}) if own else NOTHING

    def _attribute(self, node: ast.Attribute) -> Tags:
        module = self.module.module(dotted(node.value))
        if module is not None and node.attr in (module_names := self.top_of(module)):
            return module_names[node.attr]
        before = self.tags(node.value)
        if node.attr in self.attributes and (dotted(node.value) == "self" or not before):
            return self.attributes[node.attr]
        own = naming.split_of(node.attr)
        if own:
            return frozenset({own})
        if dotted(node.value) == "self":
            return self._by_name(node.attr)
        return before

    def _operation(self, node: ast.BinOp) -> Tags:
        left, right = self.tags(node.left), self.tags(node.right)
        if isinstance(node.op, (ast.Sub, ast.Div)) and SCALE in right and "test" in splits(left):
            self.note("scale", node, left | right)
        return (left | right) - {SOFTMAX, LOG_SOFTMAX, SCALE}

    def _call(self, node: ast.Call) -> Tags:
        name = last(node.func)
        receiver = self.tags(node.func.value) if isinstance(node.func, ast.Attribute) else NOTHING
        arguments = [self.tags(one) for one in node.args]
        keywords = {one.arg or "**": self.tags(one.value) for one in node.keywords}
        data = [tags for name, tags in keywords.items() if name not in vocabulary.NO_DATA]
        data_tags = frozenset().union(*arguments, *data) - {YES, NO}
        if models(data_tags):
            self.handed.add(node)
        if models(receiver) and name in ("train", "eval"):
            self._switch(node, receiver, name)
            return receiver
        if name in vocabulary.KEEPING and isinstance(to := getattr(node.func, "value", None), ast.Name):
            self.names[to.id] = receiver | (data_tags - {SOFTMAX, LOG_SOFTMAX})
        elsewhere = self.module.defines(dotted(node.func)) is None
        call = TaggedCall(node, self._function(node), receiver, arguments, keywords, data_tags, elsewhere)
        for kind, noted in events_of(call):
            self.note(kind, node, noted)
        if name in vocabulary.LAYERS:
            return frozenset({vocabulary.LAYERS[name]})
        if name in vocabulary.HOLDERS:
            kinds = data_tags & set(vocabulary.GIVES)
            return (kinds | {self._model(name, node)}) if name == "Sequential" else kinds
        if name == "CrossEntropyLoss":
            return frozenset({CROSS_ENTROPY})
        if name in vocabulary.LOADERS:
            order = IN_ORDER if in_order(node, arguments, keywords) else ""
            tag = f"loader:{self.source.line(node)}:{node.col_offset}{order}"
            self.loaders[tag] = node
            return (data_tags & {MIXED}) | splits(data_tags) | {tag}
        if name in vocabulary.VALUES and (arguments or receiver):
            return splits(data_tags | receiver) | {vocabulary.VALUES[name]}
        if name == "log" and SOFTMAX in data_tags | receiver:
            return splits(data_tags | receiver) | {LOG_SOFTMAX}
        result = self._of_this_file(node, name, receiver, arguments, keywords)
        if result is not None:
            return result
        return self._of_elsewhere(node, name, receiver, data_tags)

    def _function(self, node: ast.Call) -> Tags:
        """Tags of the called function."""
        return self.tags(node.func) if isinstance(node.func, (ast.Name, ast.Attribute, ast.Call)) else NOTHING

    def _of_elsewhere(self, node: ast.Call, name: str, receiver: Tags, data_tags: Tags) -> Tags:
        """Tags of the result of a function that the files do not define: mostly those of its arguments."""
        functions = self._function(node)
        layer = functions & set(vocabulary.GIVES)
        networks = (
            models(functions) if not isinstance(node.func, ast.Attribute) or dotted(node.func.value) == "self" else []
        )
        if networks:
            return self._run(node, networks, data_tags) | {vocabulary.GIVES[one] for one in layer}
        if layer:
            return splits(data_tags) | {vocabulary.GIVES[one] for one in layer}
        result = (data_tags | receiver) - {SOFTMAX, LOG_SOFTMAX, SCALE, CROSS_ENTROPY}
        if name in vocabulary.THE_SAME:
            result |= receiver
        for one in node.keywords:
            if one.arg == "train" and isinstance(one.value, ast.Constant):
                result |= {"train" if one.value.value else "test"}
        if name in vocabulary.STATISTICS and "test" in splits(result) and not is_mean_of_metrics(node):
            result |= {SCALE}
        if name == "fit_transform" and not splits(result):
            result |= {FITTED}
        if name in vocabulary.CHOOSERS:
            result |= {CHOOSER}
        if name in vocabulary.JOINING and {"test", "train"} <= result:
            result |= {MIXED}
        if name in vocabulary.SPLITTING:
            result -= {MIXED}
        return result if name in (*vocabulary.THE_SAME, "compile", "DataParallel") else result - set(models(result))

    def _of_this_file(
        self, node: ast.Call, name: str, receiver: Tags, arguments: list[Tags], keywords: dict[str, Tags]
    ) -> Tags | None:
        """Tags of the result of a function or class of the files; None if it is not one of them."""
        where = self.module.defines(dotted(node.func))
        home, name = where if where is not None else (None, name)
        if name in (self.source.classes if home is None else home.classes):
            begin = self.source.method(name, "__init__")
            tag = self._model(name, node) if self.source.is_network(name) else ""
            owner = frozenset({tag or f"object:{name}"})
            if begin is not None:
                self.frame(begin, bound(begin, arguments, keywords, owner), owner)
            return owner
        if home is None:
            kinds = [tag.split(":")[1] for tag in receiver if tag.startswith(("object:", "model:"))]
            methods = [method for kind in kinds if (method := self.source.method(kind, name)) is not None]
            if not methods:
                return None
            result = self.frame(methods[0], bound(methods[0], arguments, keywords, receiver), receiver)
        else:
            function = home.functions[name]
            result = self.frame(function, bound(function, arguments, keywords, None), NOTHING)
        self.several[node] = self.gave
        return result

    def _run(self, node: ast.Call, networks: list[str], data_tags: Tags) -> Tags:
        """Handles a call of a network on pictures."""
        parts = splits(data_tags)
        for tag in networks:
            kind = tag.split(":")[1]
            forward = self.source.method(kind, "forward")
            if forward in self.stack:
                continue
            learns = bool(self.loops) and self.loops[-1][2]
            over = frozenset().union(*(tags for _, tags, steps in self.loops if steps))
            # A loop that learns from batches of test data is training, on the wrong data.
            held_out = bool(parts & {"test", "validation"}) and "train" not in parts
            training = learns and not (held_out and not (splits(over) & parts))
            looping = bool(self.loops) and not isinstance(self.loops[-1][0], Function)
            evaluating = held_out or (self._learns and looping and naming.means_evaluating(self.function))
            part_of_one = bool(self.stack) and self.stack[-1].name == "forward"
            if self._torch and (training or evaluating) and not part_of_one:
                off = frozenset({"no-grad"}) if self.no_grad else NOTHING
                mode = self.modes.get(tag, self._unknown) | off
                self.note("model", node, parts | {tag}, mode, learns=training)
            if forward is not None:
                saved_loops, self.loops = self.loops, []
                gives = self.frame(forward, bound(forward, [parts], {}, frozenset({tag})), frozenset({tag}))
                self.loops = saved_loops
                outputs = frozenset({SOFTMAX, LOG_SOFTMAX})
                self.several[node] = [splits(data_tags) | (part & outputs) for part in self.gave]
                parts |= gives & outputs
        return parts

    def _model(self, kind: str, node: ast.Call, *, trained: bool = False, new: bool = True) -> str:
        """Registers a network, in training mode unless it is loaded; `new` resets its mode. Returns its tag."""
        tag = f"model:{kind}:{self.source.line(node)}"
        if new or tag not in self.modes:
            self.modes[tag] = self._unknown if trained else frozenset({TRAINING})
        return tag

    def _switch(self, node: ast.Call, receiver: Tags, name: str) -> None:
        """Handles `train()`, `eval()` and `train(False)`."""
        mode = frozenset({TRAINING if name == "train" else EVALUATION})
        for value in [*node.args, *(one.value for one in node.keywords)]:
            known = isinstance(value, ast.Constant)
            mode = frozenset({TRAINING if value.value else EVALUATION}) if known else frozenset({TRAINING, EVALUATION})
        for tag in models(receiver):
            self.modes[tag] = mode
