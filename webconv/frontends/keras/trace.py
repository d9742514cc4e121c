"""Runs the calls of a model on symbolic tensors, which makes the graph.

What travels is a `Tensor`: a value, and the mask that Keras would carry along with it. A layer that
is unsupported gives no tensors; what depends on it is skipped, so that all problems are found.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from webconv.frontends.keras.arguments import bind_arguments
from webconv.frontends.keras.errors import Problems, label, shown
from webconv.frontends.keras.tree import Layer, Model, Ref, Tensor, flatten, map_leaves, refs
from webconv.ir import graph, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Input, State, Value
from webconv.ir.op import TensorType

Found = TypeVar("Found")
# What several calls gave; a call has its number, behind those of the models around it.
Given = list[tuple[tuple[int, ...], tuple[Value, ...]]]


class Key(NamedTuple):
    """Call `call` of a layer."""

    layer: str
    call: int


class Tracer:
    """What one conversion gathers: problems, and the states with their latest values."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.states: dict[str, State] = {}
        self.reads: dict[str, Value] = {}
        self.writes: dict[str, Value] = {}
        self._layers: dict[str, Given] = {}
        # Where the states of recurrent layers start that are given some, by layer and state.
        self._starts: dict[str, dict[str, Given]] = {}
        self._calls: list[int] = []
        self._unmasked: set[Value] = set()
        self._path: list[str] = []
        self._owners: dict[str, Layer] = {}

    def start(self, model: Model, inputs: Sequence[Tensor | None]) -> Any:
        """The outputs of the model that is converted."""
        self._owners = {n: node for n, node in model.layers.items() if isinstance(node, Layer)}
        return self.model(model, inputs)

    def forget_masks(self, *values: Value | None) -> None:
        """Take the masks away that travel with `values`, for all who read these from now on."""
        self._unmasked.update(v for v in values if v is not None)

    def _known_mask(self, leaf: Any) -> Any:
        return leaf._replace(mask=None) if _is_among(leaf, self._unmasked) else leaf

    def own_name(self, layer: Layer) -> str:
        """What the states of a layer are called after: its name, which another may have too."""
        outer = self._path[:-1] if self._path[-1:] == [layer.name] else self._path
        names = itertools.chain(
            (layer.name, "/".join([*outer, layer.name])),
            (f"{layer.name}_{k}" for k in itertools.count(1)),
        )
        return next(n for n in names if self._owners.setdefault(n, layer) is layer)

    def read_state(self, name: str, type: TensorType) -> Value:
        """The state's value: what was last written in this run, else what the last run left."""
        if name in self.writes:
            return self.writes[name]
        if name not in self.reads:
            self.states[name] = State(name, type)
            self.reads[name] = graph.input(name, type)
        return self.reads[name]

    def write_state(self, name: str, value: Value) -> None:
        """Make `value` the state's next value."""
        self.states.setdefault(name, State(name, value.type))
        self.writes[name] = value

    def start_of(self, layer: Layer, state: str, value: Value) -> Value:
        """`value` as what `layer` starts from, which entries may call `layer/state`.

        It has a node of its own: h and c may start at one value, and go on apart.
        """
        path = self._path if self._path[-1:] == [layer.name] else [*self._path, layer.name]
        found = self._starts.setdefault("/".join(path), {})
        start: Value = ops.Reshape(value.shape)(value)
        found.setdefault(state, []).append((tuple(self._calls), (start,)))
        return start

    def model(self, model: Model, inputs: Sequence[Tensor | None]) -> Any:
        """The outputs of `model` in the structure that its configuration gives them."""
        starts = flatten(model.inputs)
        if len(starts) != len(inputs):
            rule = f"{len(starts)} inputs are needed, but {len(inputs)} are given"
            raise ModelFormatError(f"{model.label}: {rule}")
        done: dict[Key, Any] = {}
        for start, tensor in zip(starts, inputs, strict=True):
            model.call(start)
            done[Key(start.layer, start.call)] = tensor
        for key in _order(model, done):
            done[key] = self._call(model, key, done)
        return map_leaves(lambda leaf: _pick(model, leaf, done), model.outputs)

    def _call(self, model: Model, key: Key, done: dict[Key, Any]) -> Any:
        call, node = model.call(Ref(*key, 0)), model.layers[key.layer]
        needed = [*refs(call.args), *refs(call.kwargs)]
        if any(_pick(model, ref, done) is None for ref in needed):
            return None
        args, kwargs = (
            map_leaves(lambda leaf: _pick(model, leaf, done), x) for x in (call.args, call.kwargs)
        )
        self._calls.append(key.call)
        try:
            if isinstance(node, Layer):
                if node.class_name == "InputLayer":
                    raise ModelFormatError(f"{model.label}: {node.label} is not among input_layers")
                return self.layer(node, args, kwargs)
            if not args or not needed:
                where = label(node.class_name, node.name)
                raise ModelFormatError(f"{model.label}: {where} is used without an input")
            return self.nested(node, args[0])
        finally:
            self._calls.pop()

    def nested(self, model: Model, argument: Any) -> Any:
        """The outputs of a model that is used as a layer."""
        if isinstance(argument, dict) and not isinstance(model.inputs, dict):
            argument = [argument.get(ref.layer) for ref in flatten(model.inputs)]
        with self._inside(model.name):
            outputs = self.model(model, flatten(argument))
        self._remember(model.name, outputs)
        return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs

    def layer(self, layer: Layer, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The outputs of `layer` as Tensors, perhaps in lists, or None if it is unsupported."""
        layer.tracer = self
        args, kwargs = (map_leaves(self._known_mask, x) for x in (args, kwargs))
        try:
            bound = bind_arguments(layer, args, kwargs)
            with self._inside(layer.name):
                outputs = layer.rule.function(layer, *bound.args, **(layer.config | bound.kwargs))
        except (UnsupportedError, ShapeError) as e:
            # Operators put their name in front, which often is the layer's too.
            said = str(e).removeprefix(f"{layer.class_name}: ")
            text = said if said.startswith(layer.label) else f"{layer.label}: {said}"
            if isinstance(e, ShapeError):
                raise ShapeError(text) from None
            self.problems.add(text)
            return None
        first_mask = bound.mask if layer.rule.keeps_mask else None
        result = _masked(outputs, first_mask, layer.name)
        self._remember(layer.name, result)
        return result

    @contextlib.contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        self._path.append(name)
        try:
            yield
        finally:
            self._path.pop()

    def _remember(self, name: str, outputs: Any) -> None:
        """Note the outputs of a layer or model; those of a further call come behind."""
        found = tuple(leaf.value for leaf in flatten(outputs) if isinstance(leaf, Tensor))
        full = "/".join([*self._path, name])
        self._layers.setdefault(full, []).append((tuple(self._calls), found))

    @property
    def named(self) -> dict[str, tuple[Value, ...]]:
        """What layers gave, by name, and where their states start, as `name/h`.

        Those inside of others are `outer/name`, and `name` where only one is called so.
        """
        found = {
            f"{name}/{state}": given
            for name, states in _with_short_names(self._starts).items()
            for state, given in states.items()
        }
        found |= _with_short_names(self._layers)
        return {name: _by_call(given) for name, given in found.items()}


def _by_call(given: Given) -> tuple[Value, ...]:
    """All values, those of the first call first."""
    return tuple(v for _, values in sorted(given, key=lambda one: one[0]) for v in values)


def _with_short_names(found: Mapping[str, Found]) -> dict[str, Found]:
    """What is found by full names, and by their last part where only one ends in that."""
    inner = [full for full in found if "/" in full]
    count = Counter(full.rpartition("/")[2] for full in inner)
    short = {full.rpartition("/")[2]: found[full] for full in inner}
    return {**{name: v for name, v in short.items() if count[name] == 1}, **found}


def _masked(outputs: Any, mask: Value | None, name: str) -> Any:
    """What a layer function returned, as Tensors; nodes without a name get the layer's."""
    if outputs is None:
        return None
    leaves = flatten(outputs)
    first = leaves[0] if leaves else None
    for leaf in leaves:
        for value in leaf if isinstance(leaf, Tensor) else (leaf,):
            if value is not None:
                name_nodes(value, name)

    def tensor(leaf: Any) -> Tensor:
        return leaf if isinstance(leaf, Tensor) else Tensor(leaf, mask if leaf is first else None)

    return map_leaves(tensor, outputs)


def _is_among(leaf: Any, values: Collection[Value]) -> bool:
    return isinstance(leaf, Tensor) and leaf.value in values


def name_nodes(value: Value, name: str) -> None:
    """Give `name` to the nodes behind `value` that have none: those a layer has just made."""
    stack = [value.node] if name else []
    while stack:
        node = stack.pop()
        if node.name or isinstance(node.op, Input):
            continue
        node.name = name
        stack += [v.node for v in node.inputs if v]


def _order(model: Model, done: dict[Key, Any]) -> list[Key]:
    """The calls that the outputs need, in the order in which Keras makes them.

    Calls that are farther from the outputs come first, and all calls of a layer are as far as the
    farthest. It matters to layers with states, and to masks that a layer takes away.
    """
    calls = _arguments_first(model, done)
    depths: dict[Key, int] = {}
    farthest: dict[str, int] = {}
    for key in reversed(calls):
        depth = max(depths.get(key, 0), farthest.get(key.layer, 0))
        depths[key] = farthest[key.layer] = depth
        for needed in _needs(model, key):
            if needed not in done:
                depths[needed] = max(depth + 1, depths.get(needed, 0))
    return sorted(depths, key=lambda key: -depths[key])


def _needs(model: Model, key: Key) -> list[Key]:
    call = model.call(Ref(*key, 0))
    return [Key(ref.layer, ref.call) for ref in (*refs(call.args), *refs(call.kwargs))]


def _arguments_first(model: Model, done: dict[Key, Any]) -> list[Key]:
    """The calls that the outputs need, arguments first; iterative, so depth is no limit."""
    order: list[Key] = []
    finished: dict[Key, bool] = dict.fromkeys(done, True)
    stack = [Key(r.layer, r.call) for r in reversed(list(refs(model.outputs)))]
    while stack:
        key = stack.pop()
        if finished.get(key):
            continue
        if key in finished:
            finished[key] = True
            order.append(key)
            continue
        finished[key] = False
        stack.append(key)
        for needed in reversed(_needs(model, key)):
            if finished.get(needed) is False:
                where = f"{model.label}: the graph has a cycle"
                raise ModelFormatError(f"{where} through {shown(needed.layer)}")
            stack.append(needed)
    return order


def _pick(model: Model, leaf: Any, done: dict[Key, Any]) -> Any:
    """The tensor that a Ref means, or the leaf itself."""
    if not isinstance(leaf, Ref):
        return leaf
    outputs = done.get(Key(leaf.layer, leaf.call))
    if outputs is None or leaf.output is None:
        return outputs
    found = [outputs] if isinstance(outputs, Tensor) else flatten(outputs)
    if not 0 <= leaf.output < len(found):
        rule = f"layer {shown(leaf.layer)} has {len(found)} outputs, so there is no {leaf.output}"
        raise ModelFormatError(f"{model.label}: {rule}")
    return found[leaf.output]
