"""The form of a loop whose steps are written out: what is the same in them, and what enters.

From a value of the last step (`last`) and the value at the same place of the step before
(`before`) the operators are followed as long as they are the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from webconv.ir import ops
from webconv.ir.graph import Value
from webconv.passes.recurrences_likeness import (
    Different,
    alike,
    input_pairs,
    is_new,
    is_sequence,
    is_step,
    may_enter,
    require,
)
from webconv.passes.recurrences_places import Places
from webconv.passes.recurrences_steps import common_sequence
from webconv.passes.recurrences_totals import REDUCTIONS

# At how many steps it is seen whether what enters them is a sequence.
LOOKS = (3, 4, 8, 16, 32, 64)

# What a cell's gates are sums of (`recurrences_sums`): with these a step is more than its states.
SUMS = (ops.Add, ops.Mul, ops.MatMul, ops.Slice, ops.Concat, ops.Reshape)


@dataclass
class Loop:
    """Equal steps. `kinds` and the keys are values of the step before the last.

    `steps` has what stands for them in each step, the last step first; `entering` has, by a state
    that leaves the step, the state that enters it.
    """

    kinds: dict[Value, str] = field(default_factory=dict)
    entering: dict[Value, Value] = field(default_factory=dict)
    steps: list[dict[Value, Value]] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Value]:
        """The values of a kind: same, state, sequence or shared."""
        return [v for v, k in self.kinds.items() if k == kind]

    def mark(self, value: Value, kind: str) -> None:
        """Remember what `value` is; raises Different if it is something else too."""
        if self.kinds.setdefault(value, kind) != kind:
            raise Different

    def column(self, value: Value) -> list[Value | None]:
        """What stands for a value, the first step first."""
        return [row.get(value) for row in reversed(self.steps)]


class Finder:
    """The loop whose last two steps give `last` and `before`."""

    def __init__(self, places: Places, last: Value, before: Value, deep: bool) -> None:
        self.places, self.last, self.before, self.deep = places, last, before, deep
        self.earlier = self._earlier()
        self.loop = Loop(steps=[{}, {}])

    def found(self) -> Loop | None:
        """The loop; None if it is none over a sequence. Raises Different if the steps differ."""
        self._compare()
        if not self.loop.of_kind("sequence"):
            return None
        for value, kind in self.loop.kinds.items():
            if kind != "shared":
                self.loop.steps[1][value] = value
        self.loop.steps[0].update({w: v for v, w in self.loop.entering.items()})
        self._complete_last()
        steps = self.loop.steps
        with contextlib.suppress(Different):
            while True:
                steps.append(self._row_before())
                # Looked at now and then, since many places of deep networks are over no sequence.
                if len(steps) in LOOKS and not self._is_over_sequence():
                    return None
        self._take_choices()
        self._take_other_outputs()
        return self._without_cycles()

    def _earlier(self) -> Value:
        """The value that `before` is computed of as `last` is of `before`."""
        seen: dict[Value, Value] = {}
        stack = [(self.last, self.before)]
        while stack:
            v, w = stack.pop()
            if not is_new(seen, v, w):
                continue
            if v is not self.before and v is not w and self.places.depends(v, self.before):
                stack += input_pairs(v, w)
            elif not v.node.inputs:
                require(v is w or may_enter(v, w))
        earlier = seen.get(self.before)
        if earlier is None or earlier.type != self.last.type:
            raise Different
        if not self.places.depends(self.before, earlier):
            raise Different
        return earlier

    def _compare(self) -> None:
        """Mark what the last step and the one before it are made of."""
        loop, places = self.loop, self.places
        seen: dict[Value, Value] = {}
        stack = [(self.last, self.before)]
        states: list[tuple[Value, Value]] = []
        while stack or states:
            if not stack:
                v, w = states.pop(0)
                if self._leaves(v):
                    require(w not in loop.entering.values())
                    loop.entering[v] = w
                else:
                    del loop.kinds[w]
                    self._mark_same(v, w)
                    stack = input_pairs(v, w)
                continue
            v, w = stack.pop()
            if not is_new(seen, v, w):
                continue
            if v is w:
                loop.mark(w, "shared")
            elif v is not self.before and places.depends(v, self.before):
                self._mark_same(v, w)
                stack += input_pairs(v, w)
            elif v is self.before or places.depends(v, self.earlier):
                require(v.type == w.type)
                loop.mark(w, "state")
                states.append((v, w))
            elif self._is_shown(v, w):
                self._mark_same(v, w)
                stack += input_pairs(v, w)
            else:
                require(v.type == w.type and is_step(v, w))
                loop.mark(w, "sequence")
                require(loop.steps[0].setdefault(w, v) is v)

    def _mark_same(self, v: Value, w: Value) -> None:
        require(not self.places.depends(w, self.before))
        self.loop.mark(w, "same")
        require(self.loop.steps[0].setdefault(w, v) is v)

    def _is_shown(self, v: Value, w: Value) -> bool:
        """True if products that depend on no state are to be in the Scan."""
        fits = self.deep and isinstance(v.node.op, SUMS) and common_sequence([w, v]) is None
        return fits and alike(v, w)

    def _leaves(self, v: Value) -> bool:
        """True if the step before the last computes a state, False if the last one does.

        Neither must need what the result of the step before gives.
        """
        known = dict(self.loop.kinds)
        try:
            self._grow(v)
        except Different:
            self.loop.kinds = known
            return False
        return True

    def _grow(self, root: Value) -> None:
        """Mark what a state is made of that the last step does not compute."""
        states = [*self.loop.of_kind("state"), self.earlier]
        stack = [root]
        while stack:
            w = stack.pop()
            if w in self.loop.kinds:
                continue
            if w.constant is not None:
                self.loop.mark(w, "shared")
                continue
            require(self.places.any_depends([w], states))
            self.loop.mark(w, "same")
            stack += [v for v in w.node.inputs if v is not None]

    def _complete_last(self) -> None:
        """Find values of the last step that its result does not need."""
        loop = self.loop
        last = loop.steps[0]
        for w in sorted(loop.of_kind("same"), key=lambda v: self.places.place[v.node]):
            if w in last:
                continue
            shared = {v: v for v in w.node.inputs if v and loop.kinds[v] == "shared"}
            inputs = [v and (last.get(v) or shared.get(v)) for v in w.node.inputs]
            if all((a is None) == (b is None) for a, b in zip(inputs, w.node.inputs, strict=True)):
                made = self.places.made_of(w.node.op, inputs)
                if made is not None:
                    last[w] = made.outputs[w.index]

    def _row_before(self) -> dict[Value, Value]:
        """One more step, before those that are known; raises Different if there is none."""
        loop = self.loop
        first = loop.steps[-1]
        row: dict[Value, Value] = {}
        stack = [(leaving, first[entering]) for leaving, entering in loop.entering.items()]
        while stack:
            w, v = stack.pop()
            if not is_new(row, w, v):
                continue
            kind = loop.kinds[w]
            require(v.type == w.type and (v is w or kind != "shared"))
            if kind == "same":
                stack += input_pairs(w, v)
        return {w: v for w, v in row.items() if loop.kinds[w] != "shared"}

    def _take_choices(self) -> None:
        """Mark choices of what a step computes, so that a mask is with the state that it holds."""
        loop = self.loop
        inside = [row[w] for row in loop.steps for w in loop.of_kind("same") if w in row]
        for node in self.places.choices:
            inputs = [v for v in node.inputs if v is not None]
            made = node.outputs[0]
            if made in loop.kinds:
                continue
            if not any(loop.kinds.get(v) == "same" for v in inputs):
                continue
            others = [v for v in inputs if v not in loop.kinds]
            if self.places.any_depends(others, inside):
                continue
            changing = [v for v in inputs if loop.kinds.get(v, "shared") != "shared"]
            if not all(v in row for v in changing for row in loop.steps):
                continue  # The last step may lack what its result does not need.
            rows = [[row.get(v, v) for v in inputs] for row in loop.steps]
            found = [self.places.made_of(node.op, row) for row in rows]
            if all(found):
                loop.mark(made, "same")
                for v in inputs:
                    loop.kinds.setdefault(v, "shared")
                for row, n in zip(loop.steps, found, strict=True):
                    row[made] = n.outputs[0]  # type: ignore[union-attr]

    def _take_other_outputs(self) -> None:
        """Mark all that the operators of a step give, so that none is computed for it again."""
        loop = self.loop
        for w in loop.of_kind("same"):
            for other in w.node.outputs:
                if other not in loop.kinds:
                    loop.mark(other, "same")
                    for row in loop.steps:
                        if w in row:
                            row[other] = row[w].node.outputs[other.index]

    def _without_cycles(self) -> Loop | None:
        """The loop with as many steps as do not enter themselves; None if there is no sequence."""
        loop = self.loop
        own = loop.of_kind("same")
        sequences = loop.of_kind("sequence")
        if any(w not in loop.steps[0] for w in sequences):
            return None
        kinds = {type(w.node.op) for w in own}
        if len(kinds) == 1 and kinds <= {*REDUCTIONS}:
            return None  # `recurrences_totals` does it at once.
        while len(loop.steps) > 1:
            inside = [row[w] for row in loop.steps for w in own if w in row]
            entering = [row[w] for row in loop.steps for w in sequences]
            entering += [loop.steps[-1][w] for w in loop.entering.values()]
            entering += loop.of_kind("shared")
            if not self.places.any_depends(entering, inside):
                return loop if self._is_over_sequence() else None
            loop.steps.pop()
        return None

    def _is_over_sequence(self) -> bool:
        """True if what enters the steps that are known is a sequence."""
        return any(is_sequence(self.loop.column(w)) for w in self.loop.of_kind("sequence"))
