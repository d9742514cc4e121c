"""A chain with its example inputs: what a call of it does, with other sizes, values or lists."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import chainer
import numpy as np

from webconv.frontends.chainer.example import (
    Change,
    array_of,
    is_numbers,
    names_of,
    resized,
)
from webconv.frontends.chainer.example import Dim as NamedSize
from webconv.frontends.chainer.lines import failed_line, reason
from webconv.frontends.chainer.ragged import is_ragged
from webconv.frontends.chainer.record import Sources, named_outputs, parameters, record
from webconv.frontends.chainer.states import States
from webconv.frontends.chainer.tape import Tape
from webconv.ir import dims
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.op import Array

Sizes = Mapping[str, int]


@dataclass
class Argument:
    """An argument of the call: one array, or a list of arrays."""

    label: str
    names: list[str]
    arrays: list[Array]
    axes: list[tuple[NamedSize | None, ...]]
    listed: bool

    @property
    def is_list(self) -> bool:
        """True if the arrays can be sequences of one list."""
        return self.listed and is_ragged(self.arrays)


@dataclass
class Traced:
    """A chain with its example inputs; `method` is called if it is not the chain itself.

    With `first` it is called as when nothing has been kept yet, and the states after the call are
    outputs too. `entries` are all entries of the chain, if it has several, and `carried` the
    states that any of them reads. `starred` is the list whose arrays are arguments of their own,
    and `beside` has the lists whose sequences are as long as those of another, with its name.
    """

    chain: Any
    examples: Sequence[Any]
    names: Sequence[str] | None = None
    input_shapes: Mapping[str, tuple[dims.Dim, ...]] = field(default_factory=dict)
    first: bool = False
    method: Callable[..., Any] | None = None
    entries: Sequence[Traced] = ()
    carried: Collection[str] = ()
    starred: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    _tapes: dict[Any, Tape] = field(default_factory=dict, init=False, repr=False)
    _totals: list[Mapping[str, float]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        labels = self.names or parameter_names(self.method or self.chain, len(self.examples))
        if len(labels) != len(self.examples):
            raise UnsupportedError(f"{len(self.examples)} inputs need as many names: {labels}")
        pairs = zip(labels, self.examples, strict=True)
        self.arguments = [_argument(label, value) for label, value in pairs]
        self._name_axes()
        self.states = States(self.chain)

    def _name_axes(self) -> None:
        known = {n: (a, k) for a in self.arguments for k, n in enumerate(a.names)}
        for name, shape in self.input_shapes.items():
            if name not in known:
                listed = ", ".join(known)
                raise ModelFormatError(f"there is no input {name!r}; there are {listed}")
            argument, k = known[name]
            argument.arrays[k], argument.axes[k] = _renamed(name, argument.arrays[k], shape)

    @property
    def counts(self) -> dict[str, int]:
        """How many sequences the lists have, by the name that other arrays' axes may have too."""
        return {f"{a.label}_count": len(a.arrays) for a in self.arguments if a.is_list}

    @property
    def sizes(self) -> dict[str, int]:
        """The example's size of every name but those of lists; ShapeError if a name has two."""
        found = dict(self.counts)
        for argument in self.arguments:
            for axes in argument.axes:
                for n in axes:
                    if n is not None and found.setdefault(n.name, int(n)) != n:
                        raise ShapeError(
                            f"size {n.name} is {found[n.name]} here and {int(n)} there"
                        )
        return {name: n for name, n in found.items() if name not in self.counts}

    def arrays(self, sizes: Sizes, change: Change | None = None) -> dict[str, Array]:
        """The inputs by name, with other sizes or other values."""
        made = {}
        for argument in self.arguments:
            rows = zip(argument.names, argument.arrays, argument.axes, strict=True)
            for name, array, axes in rows:
                shape = [
                    n if axis is None else sizes.get(axis.name, n)
                    for n, axis in zip(array.shape, axes, strict=True)
                ]
                new = resized(array, shape)
                made[name] = new if change is None else change(new)
        return made

    def call(self, variables: Mapping[str, Any]) -> Any:
        """What the chain makes of the inputs by name."""
        given: list[Any] = []
        for argument in self.arguments:
            own = [variables[name] for name in argument.names]
            given += own if argument.label == self.starred or not argument.listed else [own]
        return (self.method or self.chain)(*given)

    def variables(self, sizes: Sizes, change: Change | None = None) -> dict[str, Any]:
        """The inputs as Variables."""
        arrays = self.arrays({**self.sizes, **sizes}, change)
        made = {name: chainer.Variable(array) for name, array in arrays.items()}
        for variable in made.values():
            variable.node.is_input = True
        return made

    def takes(self, sizes: Sizes) -> bool:
        """True if the chain can be called with these sizes."""
        try:
            self.tape(sizes)
        except ModelFormatError:
            return False
        return True

    def tape(self, sizes: Sizes, change: Change | None = None) -> Tape:
        """What a call with these sizes does; it is called once."""
        key = (frozenset(sizes.items()), change)
        if key not in self._tapes:
            self._tapes[key] = self._recorded(sizes, change)
        return self._tapes[key]

    def _recorded(self, sizes: Sizes, change: Change | None) -> Tape:
        variables = self.variables(sizes, change)
        states: dict[str, Any] = {}

        def run() -> tuple[Any, Mapping[str, Any]]:
            with self.states.carried(self._calls(sizes), self.first) as carried:
                states.update(carried.before)
                made = named_outputs(self.call(variables))
                after = carried.after()
                if self.first:
                    return {**made, **after}, {}
                if lost := [n for n in self.carried if n in states and n not in after]:
                    raise UnsupportedError(
                        f"it resets {', '.join(lost)} and leaves it so, which is no computation; "
                        "leave it out, and call runner.states.reset() in the page"
                    )
                return made, after

        def sources() -> Sources:
            return Sources(variables, states, parameters(self.chain), self.carried)

        others = [f"{n} {k}" for n, k in sizes.items() if self.sizes.get(n, k) != k]
        tape = record(run, sources, self.chain, ", ".join(others))
        self._check_parameters()
        lists = {a.label: a.names for a in self.arguments if a.is_list}
        return dataclasses.replace(tape, lists=lists, beside=self.beside, counted=self.counted())

    def _check_parameters(self) -> None:
        """Raises ModelFormatError if a second call changes parameters; the first makes some."""
        if len(self._totals) > 1:
            return
        named = [(n.strip("/"), p.array) for n, p in self.chain.namedparams()]
        totals = {n: float(np.abs(a).sum(dtype=float)) for n, a in named if a is not None}
        before = self._totals[0] if self._totals else totals
        pairs = [(n, before.get(n, total), total) for n, total in totals.items()]
        changed = [n for n, a, b in pairs if not np.isclose(a, b, 1e-4, equal_nan=True)]
        if changed:
            raise ModelFormatError(
                f"each call changes parameters ({', '.join(changed)}); load their weights, or "
                "change them when the chain is made"
            )
        self._totals.append(totals)

    def counted(self) -> dict[str, dict[int, dims.Dim]]:
        """Axes of inputs, by name, that are as long as a list has sequences."""
        found: dict[str, dict[int, dims.Dim]] = {}
        for argument in self.arguments:
            for name, axes in zip(argument.names, argument.axes, strict=True):
                for k, axis in enumerate(axes):
                    if axis is not None and axis.name in self.counts:
                        found.setdefault(name, {})[k] = dims.symbol(axis.name)
        return found

    def _calls(self, sizes: Sizes) -> list[Callable[[], Any]]:
        """Calls that tell the shapes of all states: the own one, or those of all entries."""
        if not self.entries:
            return [lambda: self.call(self.variables(sizes))]
        return [partial(entry._call_after_others, sizes) for entry in self.entries]

    def _call_after_others(self, sizes: Sizes) -> Any:
        try:
            return self.call(self.variables(sizes))
        except Exception as error:  # The chain is the user's code, which may raise anything.
            raise ModelFormatError(
                f"entries called one after another fail at {failed_line(error)}: {reason(error)}; "
                "sizes that entries share must have one name (webconv.Dim), or be one number"
            ) from error


def signature(chain: Any) -> inspect.Signature:
    """The arguments that a chain, or a function, is called with."""
    return inspect.signature(getattr(chain, "forward", chain))


def parameter_names(chain: Any, count: int) -> list[str]:
    """Names for the arguments of a call of a chain, or of a function."""
    names: list[str] = []
    for p in signature(chain).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            rest = count - len(names)
            names += [p.name] if rest == 1 else [f"{p.name}_{k}" for k in range(rest)]
        elif p.kind is not p.VAR_KEYWORD and len(names) < count:
            names.append(p.name)
    return names if len(names) == count else [f"input_{k}" for k in range(count)]


def _argument(label: str, value: Any) -> Argument:
    listed = isinstance(value, list | tuple) and not is_numbers(value)
    values = [_array(label, v) for v in value] if listed else [_array(label, value)]
    names = [f"{label}_{k}" for k in range(len(values))] if listed else [label]
    axes = [names_of(v) for v in values]
    return Argument(label, names, [np.asarray(v) for v in values], axes, listed)


def _array(label: str, value: Any) -> Array:
    if isinstance(value, chainer.Variable):
        value = value.array
    array = value if isinstance(value, np.ndarray) else array_of(value)
    if array.dtype.kind not in "biuf":
        kind = array.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise UnsupportedError(
            f"input {label!r} must be an array of numbers, not {kind}; what is no input can be "
            "given by an entry: {'main': (lambda x: chain(x, None), x)}"
        )
    return array


def _renamed(
    name: str, array: Array, shape: Sequence[dims.Dim]
) -> tuple[Array, tuple[NamedSize | None, ...]]:
    if len(shape) != array.ndim:
        raise ShapeError(
            f"input {name!r} has the example's shape {list(array.shape)}, which {list(shape)} "
            "does not fit"
        )
    axes: list[NamedSize | None] = []
    for d, n in zip(shape, array.shape, strict=True):
        if isinstance(d, str):
            d = dims.symbol(d)
        if isinstance(d, dims.Expr) and dims.bare_atom(d) is None:
            raise ShapeError(f"input {name!r}: a size is a number or a name, not {d}")
        axes.append(NamedSize(str(d), n) if isinstance(d, dims.Expr) else None)
    fixed = [d if isinstance(d, int) else n for d, n in zip(shape, array.shape, strict=True)]
    return resized(array, fixed), tuple(axes)
