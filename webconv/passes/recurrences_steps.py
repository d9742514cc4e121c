"""Steps taken from a sequence one by one, and sequences put together from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from webconv.ir import ops
from webconv.ir.dims import Dim
from webconv.ir.graph import Constant, Node, Value
from webconv.ir.op import normalise_axis
from webconv.ir.ops.recurrent import Recurrent
from webconv.passes.driver import Uses


def reshaped(x: Value, shape: Sequence[Dim]) -> Value:
    """`x` under another shape."""
    made: Value = x if x.shape == tuple(shape) else ops.Reshape(tuple(shape))(x)
    return made


def moved(x: Value, source: int, destination: int) -> Value:
    """`x` with one axis moved."""
    order = [a for a in range(x.type.rank) if a != source]
    order.insert(destination, source)
    made: Value = x if source == destination else ops.Transpose(tuple(order))(x)
    return made


def step(x: Value, t: int) -> Value:
    """`x[t]`."""
    rest = x.shape[1:]
    cut = ops.Slice((t, *[0] * len(rest)), (1, *rest), (1,) * x.type.rank)(x)
    return reshaped(cut, rest)


def stacked(values: Sequence[Value]) -> Value:
    """Values `[...]` along a new first axis: the sequence that they are the steps of, if any.

    The first may stand by itself, as the state after a first step that is like no other.
    """
    found = common_sequence(values)
    if found is not None:
        return reshaped(found, (len(values), *values[0].shape))
    parts = [reshaped(v, (1, *v.shape)) for v in values]
    rest = common_sequence(values[1:]) if len(values) > 1 else None
    if rest is not None and values[0].type == values[1].type:
        parts[1:] = [reshaped(rest, (len(values) - 1, *values[0].shape))]
    made: Value = parts[0] if len(parts) == 1 else ops.Concat(0)(*parts)
    return made


def step_by_index(node: Node, uses: Uses) -> Value | None:
    """gather(x, 3) -> x[3]"""
    match node:
        case Node(ops.Gather(axis), [Value() as x, Value(Node(Constant(index)))]) if not index.ndim:
            n, k = x.shape[axis], int(index)
            if isinstance(n, int) and -n <= k < n:
                front = moved(x, normalise_axis(axis, x.type.rank), 0)
                return step(front, k % n)
    return None


def stack_of_steps(node: Node, uses: Uses) -> Value | None:
    """concat(x[0], x[1], ..., x[n - 1]) -> x, also with one before or behind that is no step"""
    match node:
        case Node(ops.Concat(axis), [Value() as first, _, *_] as parts):
            axis = normalise_axis(axis, first.type.rank)
            values = [v for v in parts if v is not None and v.type == first.type]
            if len(values) < len(parts) or first.shape[axis] != 1:
                return None
            rest = [d for a, d in enumerate(first.shape) if a != axis]
            for start, end in ((0, 0), (1, 0), (0, 1)):
                steps = values[start : len(values) - end]
                found = common_sequence(steps) if len(steps) > 1 else None
                if found is not None:
                    whole = moved(reshaped(found, (len(steps), *rest)), 0, axis)
                    ends = (*values[:start], whole, *values[len(values) - end :])
                    return whole if len(ends) == 1 else node.op(*ends)
    return None


def last_of_steps(node: Node, uses: Uses) -> Value | None:
    """y[T - 1] -> the final state, for y of a recurrent operator or a Scan that is this state

    Of no steps, which a loop may have at other sizes, there is no last; the final state is the
    initial one then, as it is in the loop.
    """
    match node:
        case Node(ops.Slice(starts, sizes, _), [Value() as x]):
            y = x
            match x:
                case Value(Node(ops.Reshape(), [Value() as inner])) if _same(x.shape, inner.shape):
                    y = inner
            steps, *rest = x.shape
            whole = starts[1:] == (0,) * len(rest) and sizes == (1, *rest)
            last = isinstance(steps, int) and starts[0] == steps - 1 and x.shape[0] == y.shape[0]
            final = _final_state(y) if whole and last else None
            return None if final is None else reshaped(final, sizes)
    return None


def _final_state(y: Value) -> Value | None:
    """The final state that the last of the steps in `y` is, if it is one."""
    made = y.node
    match made.op:
        case Recurrent(direction="forward", masked_output=masked) if y is made.outputs[0]:
            _, _, mask = made.op.split(made.inputs)
            return made.outputs[1] if mask is None or masked == "hold" else None
        case ops.Scan(body, carries, _, False) if y.index >= carries:
            results = [*body.outputs.values()]
            shown = results[y.index]
            found = (k for k in range(carries) if results[k] is shown)
            return next((made.outputs[k] for k in found), None)
    return None


def common_sequence(values: Sequence[Value]) -> Value | None:
    """What the values are steps of at equal distances, the axis of the steps in front."""
    first = values[0]
    if any(v.type != first.type for v in values):
        return None
    for x, axis, start in _steps(first):
        second = next((s for s in _steps(values[-1]) if s[:2] == (x, axis)), None)
        distance = 1
        if second is not None and len(values) > 1:
            distance = (second[2] - start) // (len(values) - 1)
        wanted = [(x, axis, start + k * distance) for k in range(len(values))]
        pairs = zip(values, wanted, strict=True)
        if distance and all(w in _steps(v) for v, w in pairs):
            starts = tuple(start if a == axis else 0 for a in range(x.type.rank))
            sizes = tuple(len(values) if a == axis else n for a, n in enumerate(x.shape))
            strides = tuple(distance if a == axis else 1 for a in range(x.type.rank))
            return moved(ops.Slice(starts, sizes, strides)(x), axis, 0)
    return None


def _steps(value: Value) -> Iterator[tuple[Value, int, int]]:
    """What `value` may be a step of, along which axis, and where."""
    cut = value
    match value:
        case Value(Node(ops.Reshape(), [Value(Node(ops.Slice())) as inner])):
            cut = inner
    match cut:
        case Value(Node(ops.Slice(starts, sizes, _), [Value() as x])):
            for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
                rest = [n for a, n in enumerate(x.shape) if a != axis]
                others = [n for a, n in enumerate(sizes) if a != axis]
                whole = rest == others and not any(s for a, s in enumerate(starts) if a != axis)
                if size == 1 and isinstance(start, int) and whole and _same(rest, value.shape):
                    yield x, axis, start


def _same(a: Sequence[Dim], b: Sequence[Dim]) -> bool:
    """True if two shapes differ in axes of size 1 only."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]
