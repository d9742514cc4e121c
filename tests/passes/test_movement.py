"""Movement: dropped where nothing moves, composed where two meet."""

from __future__ import annotations

import pytest

from tests.passes import rules
from tests.passes.programs import given
from tests.passes.rules import Fires, Stays
from webconv.ir import ops
from webconv.ir.dims import symbol
from webconv.ir.graph import Value
from webconv.passes import movement as m

N, M = symbol("n"), symbol("m")
x, y = given("x", N, 4, 6), given("y", N, 4, 6)
T, Reshape, Expand, Slice, Pad, Concat = (
    *(ops.Transpose, ops.Reshape, ops.Expand, ops.Slice, ops.Pad, ops.Concat),
)
part = given("p", N, 1, 6)
joined = Concat(1)(x, part)
empty = given("e", N, 0, 6)


def cut(v: Value, starts: tuple[int, ...], sizes: tuple[int, ...], steps: tuple[int, ...]) -> Value:
    return Slice((0, *starts), (N, *sizes), (1, *steps))(v)


CASES = [
    Fires(m.drop_transpose, ops.Relu()(T((0, 1, 2))(x)), "Relu"),
    Stays(m.drop_transpose, T((0, 2, 1))(x)),
    Fires(m.join_transposes, T((1, 2, 0))(T((2, 0, 1))(x)), "Transpose"),
    Fires(m.join_transposes, T((2, 0, 1))(T((2, 0, 1))(x)), "Transpose"),
    Stays(m.join_transposes, T((1, 0, 2))(Reshape((N, 8, 3))(x))),
    Fires(m.drop_same_shape, ops.Relu()(Reshape((N, 4, 6))(x)), "Relu"),
    Fires(m.drop_same_shape, ops.Relu()(Expand((N, 4, 6))(x)), "Relu"),
    Stays(m.drop_same_shape, Reshape((N, 24))(x)),
    Stays(m.drop_same_shape, Expand((2, N, 4, 6))(x)),
    Fires(m.join_reshapes, Reshape((N, 3, 8))(Reshape((N, 24))(x)), "Reshape"),
    Stays(m.join_reshapes, Reshape((M, 4, 6))(Reshape((M * 24,))(x))),  # where n == m is checked
    Stays(m.join_reshapes, Reshape((N, 24))(T((0, 2, 1))(x))),
    Fires(m.join_expands, Expand((5, N, 4, 6))(Expand((N, 4, 6))(part)), "Expand"),
    Stays(m.join_expands, Expand((5, N, 1, 6))(part)),
    Fires(m.drop_slice, ops.Relu()(cut(x, (0, 0), (4, 6), (1, 1))), "Relu"),
    Fires(m.drop_slice, ops.Relu()(cut(part, (0, 0), (1, 6), (-1, 1))), "Relu"),
    Stays(m.drop_slice, cut(x, (3, 0), (4, 6), (-1, 1))),
    Stays(m.drop_slice, cut(x, (0, 1), (4, 5), (1, 1))),
    Fires(m.join_slices, cut(cut(x, (3, 1), (4, 5), (-1, 1)), (1, 4), (3, 3), (1, -2)), "Slice"),
    Stays(m.join_slices, cut(ops.Relu()(x), (1, 4), (3, 3), (1, -2))),
    Fires(m.drop_pad, ops.Relu()(Pad((0, 0, 0), (0, 0, 0))(x)), "Relu"),
    Stays(m.drop_pad, Pad((0, 1, 0), (0, -1, 0))(x)),
    Fires(m.flatten_concat, ops.Relu()(Concat(1)(x)), "Relu"),
    Fires(m.flatten_concat, Concat(1)(x, empty, y), "Concat"),
    Fires(m.flatten_concat, Concat(-2)(Concat(1)(x, part), part, y), "Concat"),
    Stays(m.flatten_concat, Concat(2)(Concat(1)(x, part), Concat(1)(part, y))),
    Stays(m.flatten_concat, Concat(1)(joined, x), also_read=joined),
]


@pytest.mark.parametrize("case", CASES, ids=rules.name)
def test_rule(case: Fires | Stays) -> None:
    rules.check(case)
