"""What options of `convert` change in a program before it is compiled.

Each edit is a function Program -> Program on the model's own names; renaming comes last. Raises
ShapeError or ModelFormatError with the names that exist where one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from webconv.entries import carry_state, cut_entries
from webconv.heads import add_head, head_names
from webconv.ir import ops
from webconv.ir.errors import ModelFormatError, ShapeError
from webconv.ir.graph import Graph, Program, Value, constant
from webconv.ir.op import Array, TensorType
from webconv.passes.substitute import rewire_program
from webconv.stateful import make_stateful


@dataclass(frozen=True)
class Edits:
    """The edits that were asked for, by the name they concern.

    `constants` replace inputs. `stateful` names recurrent layers that carry their states from run
    to run. `states` map an input to the output that is its next value. `entries` map a name to the
    names of inputs and outputs. `heads` map an output to `argmax`, `topk:<k>` or several. `names`
    map old names to new ones.
    """

    constants: Mapping[str, object] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    stateful: Sequence[str] = ()

    def __post_init__(self) -> None:
        if fixed := [name for name in self.cut_inputs if name in self.constants]:
            rule = f"{fixed[0]!r} is made a constant, so no entry can take it as an input"
            raise ModelFormatError(rule)

    @property
    def cut_inputs(self) -> list[str]:
        """What entries take."""
        return list(dict.fromkeys(n for inputs, _ in self.entries.values() for n in inputs))


def edit(program: Program, edits: Edits) -> Program:
    """`program` with all `edits` made."""
    for name, value in edits.constants.items():
        program = fix_input(program, name, value)
    given = edits.cut_inputs
    wanted = {name for _, outputs in edits.entries.values() for name in outputs}
    for layer in edits.stateful:
        program = make_stateful(program, layer, wanted)
    for source, target in edits.states.items():
        if source not in given:
            _require(program, "inputs", source, given)
            program = carry_state(program, source, target)
    if edits.entries:
        program = cut_entries(program, _without_heads(edits))
    for source, target in edits.states.items():
        if source in given:
            program = carry_state(program, source, target)
    # Last, since an entry may take as an input what another gives the largest elements of.
    for name, head in edits.heads.items():
        _require(program, "outputs", name)
        program = add_head(program, name, head)
    _require_sizes(program)
    return rename(program, edits.names) if edits.names else program


def _require_sizes(program: Program) -> None:
    """Raise ShapeError for an entry that uses a size which no input or state of it tells."""
    for entry, graph in program.entries.items():
        if missing := graph.free_symbols:
            rule = f"entry {entry!r}: no input tells {' and '.join(missing)}"
            raise ShapeError(f"{rule}; give the sizes by --input-shape, or take an input with them")


def _without_heads(edits: Edits) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """The entries without what heads add, which comes by itself."""
    own = {n for name, head in edits.heads.items() for n in head_names(name, head) if n != name}
    return {
        entry: (inputs, [name for name in outputs if name not in own])
        for entry, (inputs, outputs) in edits.entries.items()
    }


def _every(program: Program, change: Callable[[Graph], Graph]) -> Program:
    entries = {name: change(graph) for name, graph in program.entries.items()}
    return replace(program, entries=entries)


def _names(program: Program, kind: str) -> list[str]:
    graphs = program.entries.values()
    return list(dict.fromkeys(name for g in graphs for name in getattr(g, kind)))


def _require(program: Program, kind: str, name: str, more: Sequence[str] = ()) -> None:
    known = list(dict.fromkeys([*_names(program, kind), *more]))
    if name not in known:
        raise ModelFormatError(f"there is no {kind[:-1]} {name!r}; there are {', '.join(known)}")


def fix_input(program: Program, name: str, value: object) -> Program:
    """The input `name` becomes the constant `value`, broadcast to its shape."""
    _require(program, "inputs", name)

    olds = [g.inputs[name] for g in program.entries.values() if name in g.inputs]
    return rewire_program(program, {old: constant_input(name, old.type, value) for old in olds})


def constant_input(name: str, t: TensorType, value: object) -> Value:
    """The constant that stands for an input of type `t`: `value` broadcast to its shape."""
    try:
        array: Array = np.asarray(value, t.dtype.numpy)
        exact = np.array_equal(array, np.asarray(value)) or t.dtype.is_float
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise ShapeError(f"input {name!r} is {t}, which {value!r} is not")
    shape = tuple(d for d in t.shape if isinstance(d, int))
    if len(shape) == t.rank:
        try:
            return constant(np.broadcast_to(array, shape).copy(), name)
        except ValueError:
            raise ShapeError(
                f"input {name!r} is {t}, but the value's shape is {array.shape}"
            ) from None
    result: Value = ops.Expand(t.shape)(constant(array), name=name)
    return result


def rename(program: Program, names: Mapping[str, str]) -> Program:
    """Inputs, outputs and states under new names."""
    kinds = ("inputs", "outputs", "reads", "writes")
    known = {name for kind in kinds for name in _names(program, kind)}
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(sorted(known))
        raise ModelFormatError(f"there is no {unknown[0]!r} to rename; there are {there}")

    # The lengths of a list are named after it, or after the first of those that share them.
    pairs = [(name, n) for g in program.entries.values() for name, n in g.lists.inputs.items()]
    lengths = {n: name for name, n in reversed(pairs)}
    followed = {n: f"{names[name]}_lengths" for n, name in lengths.items() if name in names}
    names = {**followed, **names}

    def renamed(values: Mapping[str, Value]) -> dict[str, Value]:
        out = {names.get(name, name): v for name, v in values.items()}
        if len(out) != len(values):
            raise ModelFormatError(f"two values would be called the same: {', '.join(values)}")
        return out

    entries = {
        entry: Graph(
            *(renamed(values) for values in (g.inputs, g.outputs, g.reads, g.writes)),
            lists=g.lists.renamed(names),
        )
        for entry, g in program.entries.items()
    }
    states = tuple(replace(s, name=names.get(s.name, s.name)) for s in program.states)
    if len({s.name for s in states}) != len(states):
        raise ModelFormatError(f"two states would be called the same: {', '.join(names)}")
    return replace(program, entries=entries, states=states)
