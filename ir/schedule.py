"""What the runner does on the host between stages: the form that host operators are compiled to.

A schedule is a list of steps over slots, which hold arrays, and over the symbols' values. Slots
and symbols are one flat space for the whole schedule; a loop's body overwrites its own each time.
`webconv.passes.stages` makes schedules, `runtime_js/src/schedule.js` and `run` follow them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Dim
from webconv.ir.lists import NO_LISTS, Lists
from webconv.ir.op import Array, TensorType


@dataclass(frozen=True)
class Binding:
    """`symbol` is the size of `axis` of what is in `slot`."""

    symbol: str
    slot: int
    axis: int


@dataclass(frozen=True)
class Run:
    """Run a stage: an entry that pages do not see."""

    entry: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Read:
    """The elements of an integer array become the values of symbols."""

    slot: int
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Branch:
    """Do `then` or `otherwise`, and take its results.

    `condition` is a slot with a bool scalar, or, as `on`, a Dim that is 0 or not.
    """

    condition: int | None
    on: Dim
    then: Block
    otherwise: Block
    outputs: tuple[int, ...]
    bindings: tuple[Binding, ...]


@dataclass(frozen=True)
class Repeat:
    """Do `body` while its condition holds, at most as often as slot `trips` says.

    `parameters` are the slots of iteration, condition and carries in the body, `initial` those that
    carries start from; the body's results are the condition, the carries, and what is stacked.
    `entering` are bound before an iteration, `bindings` at the end.
    """

    trips: int | None
    condition: int | None
    initial: tuple[int, ...]
    parameters: tuple[int, ...]
    body: Block
    outputs: tuple[int, ...]
    stacked: tuple[TensorType, ...]
    entering: tuple[Binding, ...]
    bindings: tuple[Binding, ...]


Step: TypeAlias = Run | Read | Branch | Repeat


@dataclass(frozen=True)
class Block:
    """Steps, and the slots of their results."""

    steps: tuple[Step, ...]
    results: tuple[int, ...]


@dataclass(frozen=True)
class Schedule:
    """An entry that is done in stages. Its inputs are in the first slots, in order.

    `guards` are those that can be checked before anything runs. `names` of the host operators are
    for people (`inspect`).
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    symbols: tuple[str, ...]
    values: Mapping[str, tuple[str, int]]
    guards: tuple[tuple[Dim, Dim], ...]
    slots: int
    block: Block
    names: tuple[str, ...] = ()
    lists: Lists = NO_LISTS

    @property
    def stages(self) -> tuple[str, ...]:
        """The entries that it runs."""
        return tuple(dict.fromkeys(_stages(self.block)))


def _stages(block: Block) -> Iterator[str]:
    for step in block.steps:
        match step:
            case Run(entry=entry):
                yield entry
            case Branch(then=then, otherwise=otherwise):
                yield from _stages(then)
                yield from _stages(otherwise)
            case Repeat(body=body):
                yield from _stages(body)


# Runs a stage by name on arrays in order, given the symbols' values.
RunStage: TypeAlias = Callable[[str, Sequence[Array], Mapping[str, int]], Sequence[Array]]


def run(
    schedule: Schedule, inputs: Sequence[Array], sizes: Mapping[str, int], stage: RunStage
) -> list[Array]:
    """The outputs in order; `sizes` are the values of `schedule.symbols`."""
    slots: dict[int, Array] = dict(enumerate(inputs))
    known = dict(sizes)
    _run_block(schedule.block, slots, known, stage)
    return [slots[k] for k in schedule.block.results]


def _run_block(
    block: Block, slots: dict[int, Array], sizes: dict[str, int], stage: RunStage
) -> list[Array]:
    for step in block.steps:
        match step:
            case Run(entry=entry, inputs=inputs, outputs=outputs):
                results = stage(entry, [slots[k] for k in inputs], sizes)
                slots.update(zip(outputs, results, strict=True))
            case Read(slot=slot, symbols=symbols):
                sizes.update(zip(symbols, (int(n) for n in slots[slot].flat), strict=True))
            case Branch():
                held = (
                    dims.evaluate(step.on, sizes)
                    if step.condition is None
                    else slots[step.condition].item()
                )
                results = _run_block(step.then if held else step.otherwise, slots, sizes, stage)
                slots.update(zip(step.outputs, results, strict=True))
                _bind(step.bindings, slots, sizes)
            case Repeat():
                _repeat(step, slots, sizes, stage)
    return [slots[k] for k in block.results]


def _repeat(step: Repeat, slots: dict[int, Array], sizes: dict[str, int], stage: RunStage) -> None:
    limit = None if step.trips is None else int(slots[step.trips].item())
    going = step.condition is None or bool(slots[step.condition].item())
    carries = [slots[k] for k in step.initial]
    stacks: list[list[Array]] = [[] for _ in step.stacked]
    k = 0
    while going and (limit is None or k < limit):
        given = (np.array(k), np.array(going), *carries)
        slots.update(zip(step.parameters, given, strict=True))
        _bind(step.entering, slots, sizes)
        first, *results = _run_block(step.body, slots, sizes, stage)
        going, carries = bool(first.item()), results[: len(carries)]
        for stack, array in zip(stacks, results[len(carries) :], strict=True):
            stack.append(array)
        k += 1
    stacked = [
        np.stack(s) if s else np.zeros(_nothing(t, sizes))
        for s, t in zip(stacks, step.stacked, strict=True)
    ]
    slots.update(zip(step.outputs, (*carries, *stacked), strict=True))
    _bind(step.bindings, slots, sizes)


def _nothing(t: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a stack of no iterations: sizes that only an iteration gives are 0."""
    return (0, *(_known(d, sizes) for d in t.shape[1:]))


def _known(d: Dim, sizes: Mapping[str, int]) -> int:
    return dims.evaluate(d, sizes) if dims.symbols(d) <= sizes.keys() else 0


def _bind(
    bindings: Sequence[Binding], slots: Mapping[int, Array], sizes: MutableMapping[str, int]
) -> None:
    for b in bindings:
        sizes[b.symbol] = slots[b.slot].shape[b.axis]
