"""Random programs for hypothesis: every operator of the registry, with attributes that are valid.

A program is made from a seed and a length, which reaches more than drawing each choice would; a
shorter length gives the beginning of the same program, so failures still shrink.

Numbers on a coarse grid stay exact through most operators. What jumps (rounding, comparisons,
sorting) takes such numbers only, so that a rounding elsewhere cannot show as a jump.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from webconv.ir import dtypes, ops
from webconv.ir.dims import product, symbol
from webconv.ir.dtypes import DType
from webconv.ir.graph import Graph, Node, Program, State, Value, constant, input, toposort
from webconv.ir.op import Op, TensorType, broadcast

Array = Any
N = symbol("n")
FLOAT, INT = dtypes.f64, dtypes.i32
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5)


class Builder:
    """A pool of values that grows by one operator at a time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.rng = np.random.default_rng(random.randrange(10**6))
        self.pool: list[Value] = []
        self.rough: set[Value] = set()
        self.inputs: dict[str, Value] = {}

    # -- choices -----------------------------------------------------------------------------------

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def choice(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) < percent

    def axis(self, x: Value, static: bool = False) -> int:
        axes = [a for a, n in enumerate(x.shape) if not static or (isinstance(n, int) and n > 0)]
        axis = int(self.choice(axes))
        return axis - x.type.rank if self.chance(30) else axis

    def order(self, rank: int) -> tuple[int, ...]:
        return tuple(self.random.sample(range(rank), rank))

    # -- values ------------------------------------------------------------------------------------

    def grid(self, *shape: int, dtype: DType = FLOAT) -> Array:
        if dtype == dtypes.bool_:
            return self.rng.random(shape) < 0.5
        whole = self.rng.integers(-8, 9, shape)
        if dtype.is_float:
            return (whole / 4).astype(dtype.numpy)
        return (np.abs(whole) if dtype.kind == "u" else whole).astype(dtype.numpy)

    def new_input(self, rank: int, dtype: DType = FLOAT) -> Value:
        shape = [self.choice((1, 2, 3, 4, 8)) for _ in range(rank)]
        if rank and (not self.inputs or self.chance(50)):
            shape[0] = N  # the first input binds it
        elif rank and self.chance(4):
            shape[self.integer(0, rank - 1)] = 0
        name = f"x{len(self.inputs)}"
        self.inputs[name] = input(name, TensorType(dtype, tuple(shape)))
        return self.add(self.inputs[name])

    def add(self, value: Value, rough: bool = False) -> Value:
        self.pool.append(value)
        if rough or any(v in self.rough for v in value.node.inputs if v is not None):
            self.rough.add(value)
        return value

    def pick(
        self,
        dtype: DType | None = FLOAT,
        rank: int | None = None,
        test: Callable[[Value], bool] = lambda v: True,
        exact: bool = False,
    ) -> Value:
        """A value of the pool, more likely a late one; else a new input."""
        fits = [
            v
            for v in self.pool
            if (dtype is None or v.type.dtype == dtype)
            and (rank is None or v.type.rank == rank)
            and not (exact and v in self.rough)
            and test(v)
        ]
        if fits and not self.chance(10):
            return fits[-1] if self.chance(75) else self.choice(fits)
        while True:
            made = self.new_input(self.integer(0, 3) if rank is None else rank, dtype or FLOAT)
            if test(made):
                return made

    def weight(self, *shape: int) -> Value:
        return constant(self.rng.integers(-8, 9, shape).astype(FLOAT.numpy) / 8)

    def operand(self, x: Value) -> Value:
        """What broadcasts against x: a constant, or another value that is like it."""
        like = [v for v in self.pool if v.type == x.type]
        if like and self.chance(40):
            return self.choice(like)
        if self.chance(30):
            return constant(np.asarray(self.choice(SPECIAL)).astype(x.type.dtype.numpy))
        first = self.integer(0, x.type.rank)
        shape = tuple(n if isinstance(n, int) and self.chance(70) else 1 for n in x.shape[first:])
        if self.chance(15):
            array = np.full(shape, self.choice(SPECIAL)).astype(x.type.dtype.numpy)
        else:
            array = self.grid(*shape, dtype=x.type.dtype)
        if self.chance(15):
            return ops.Expand(x.shape)(constant(array))
        return constant(array[None] if self.chance(5) else array)

    def sized(self, rank: int) -> Value:
        """Of a rank, with a static last axis that is not empty."""

        def static(v: Value) -> bool:
            return isinstance(v.shape[-1], int) and v.shape[-1] > 0

        return self.pick(rank=rank, test=static)


Maker = Callable[[Builder], Any]
# What grows fast takes numbers that are limited; what is undefined somewhere, others.
DOMAINS: dict[str, Callable[[Value], Value]] = {
    **dict.fromkeys(
        ("Exp", "Expm1", "Sinh", "Cosh", "Tan", "Gelu"), lambda x: ops.Clip(-4.0, 4.0)(x)
    ),
    **dict.fromkeys(
        ("Log", "Log1p", "Sqrt", "Reciprocal"), lambda x: ops.Affine(1.0, 0.5)(ops.Abs()(x))
    ),
    **dict.fromkeys(("Acos", "Asin", "Atanh"), lambda x: ops.Clip(-0.75, 0.75)(x)),
    "Acosh": lambda x: ops.Affine(1.0, 1.25)(ops.Abs()(x)),
}
JUMPS = ("Sign", "Ceil", "Floor", "Round", "Trunc", "IsNaN", "IsInf")
EXACT = (
    "Identity",
    "Neg",
    "Abs",
    "Relu",
    "Not",
    "BitwiseNot",
    "Clip",
    "Add",
    "Sub",
    "Min",
    "Max",
    *JUMPS,
)


def unary(name: str, op: Op | None = None) -> Maker:
    """A maker for an operator of one input, of floats unless it takes other dtypes."""
    made = op or getattr(ops, name)()

    def make(b: Builder) -> Value:
        dtype = {"Not": dtypes.bool_, "BitwiseNot": INT}.get(name, FLOAT)
        x = b.pick(dtype, exact=name in JUMPS)
        if name in DOMAINS and not b.chance(3 if x not in b.rough else 0):
            x = b.add(DOMAINS[name](x), True)
        return b.add(made(x), name not in EXACT and dtype == FLOAT)

    return make


def binary(name: str) -> Maker:
    """A maker for an operator of two inputs."""
    base = getattr(ops, name).__mro__[1].__name__

    def make(b: Builder) -> Value:
        only = {"Logical": dtypes.bool_, "Bitwise": INT, "Atan2": FLOAT}
        dtype = only.get(base) or only.get(name) or b.choice((FLOAT, FLOAT, INT))
        jumps = base == "Comparison" or name in ("Mod", "Fmod", "Atan2")
        x = b.pick(dtype, exact=jumps)
        y = b.operand(x)
        if jumps:
            y = b.choice([v for v in b.pool if v.type == x.type and v not in b.rough])
            y = y if b.chance(50) else constant(b.grid(dtype=dtype))
        if name == "Pow" and dtype == FLOAT:
            x = b.add(ops.Clip(0.25, 4.0)(x))
            y = constant(np.asarray(b.choice((1.0, 2.0, -1.0, 0.5, 3.0))))
        if b.chance(20) and broadcast((y.shape, x.shape))[0] == x.shape and name != "Pow":
            x, y = y, x
        if name == "Div" and y in b.rough:  # the sign of a zero is no promise
            y = b.add(ops.Affine(1.0, 0.5)(ops.Abs()(y)), True)
        return b.add(getattr(ops, name)()(x, y), name not in EXACT and dtype == FLOAT)

    return make


def cast(b: Builder) -> Value:
    x = b.pick(b.choice((None, INT, dtypes.u8)), exact=True)
    targets = [FLOAT, INT, dtypes.bool_, dtypes.i16, dtypes.u8, dtypes.i64]
    return b.add(ops.Cast(b.choice(targets))(x))


def where(b: Builder) -> Value:
    x = b.pick(b.choice((FLOAT, INT)))
    if b.chance(20):
        c = constant(np.full((1,) * b.integer(0, x.type.rank), b.chance(50)))
    else:
        other = b.pick(exact=True)
        c = ops.Greater()(other, b.weight())
        if other.shape != x.shape:
            c = constant(b.grid(*(1 for _ in x.shape), dtype=dtypes.bool_))
    return b.add(ops.Where()(c, x, b.operand(x)))


def reshape(b: Builder) -> Value:
    x = b.pick(b.choice((FLOAT, FLOAT, INT)))
    k = b.integer(0, x.type.rank)
    shapes = [
        (*x.shape[:k], 1, *x.shape[k:]),
        (*x.shape[:k], product(x.shape[k:])),
        (product(x.shape),),
    ]
    if x.type.rank and x.shape[-1] in (4, 8):
        shapes.append((*x.shape[:-1], 2, int(x.shape[-1]) // 2))
    shapes.append(tuple(n for n in x.shape if n != 1))
    return b.add(ops.Reshape(b.choice(shapes))(x))


def transpose(b: Builder) -> Value:
    x = b.pick(b.choice((FLOAT, FLOAT, INT)), test=lambda v: v.type.rank > 1)
    return b.add(ops.Transpose(b.order(x.type.rank))(x))


def slice_(b: Builder) -> Value:
    x = b.pick(None)
    starts, sizes, steps = [], [], []
    for n in x.shape:
        if not isinstance(n, int) or n == 0 or b.chance(50):
            start, size, step = 0, n, 1
        elif b.chance(25):
            start, size, step = n - 1, n, -1
        else:
            step = b.integer(1, 2)
            start = b.integer(0, n - 1)
            size = b.integer(0, (n - 1 - start) // step + 1)
        starts.append(start), sizes.append(size), steps.append(step)
    return b.add(ops.Slice(tuple(starts), tuple(sizes), tuple(steps))(x))


def expand(b: Builder) -> Value:
    x = b.pick(None)
    shape = tuple(b.choice((3, N)) if n == 1 and b.chance(60) else n for n in x.shape)
    lead = (b.choice((1, 2)),) if b.chance(30) and x.type.rank < 4 else ()
    return b.add(ops.Expand((*lead, *shape))(x))


def concat(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0)
    axis = b.axis(x)
    parts = [x]
    for _ in range(b.integer(0, 3)):
        like = [
            v for v in b.pool if v.type.dtype == FLOAT and _differ(v, x) <= {axis % x.type.rank}
        ]
        parts.insert(b.integer(0, len(parts)), b.choice(like))
    return b.add(ops.Concat(axis)(*parts))


def _differ(v: Value, x: Value) -> set[int]:
    if v.type.rank != x.type.rank:
        return {-1}
    return {a for a, (m, n) in enumerate(zip(v.shape, x.shape, strict=True)) if m != n}


def pad(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0)
    mode = b.choice(("constant", "constant", "edge", "reflect", "wrap"))
    sizes = [n if isinstance(n, int) else 0 for n in x.shape]
    before = tuple(b.integer(0, 2) if n > 1 else 0 for n in sizes)
    after = tuple(b.integer(-1, 2) if n > 1 else 0 for n in sizes)
    if b.chance(20):
        before = after = (0,) * len(sizes)
    fill = b.choice((0.0, -1.5)) if mode == "constant" else 0.0
    return b.add(ops.Pad(before, after, mode, fill)(x))


def iota(b: Builder) -> Value:
    return b.add(ops.Iota(b.choice((1, 4, 5, N)))())


def ids(b: Builder, rank: int | None = None) -> Value:
    return b.pick(INT, rank)


def gather(b: Builder) -> Value:
    if b.chance(60):
        return b.add(ops.Gather(0)(b.weight(b.integer(1, 6), b.integer(1, 4)), ids(b)))
    x = b.pick(test=lambda v: any(isinstance(n, int) and n for n in v.shape))
    return b.add(ops.Gather(b.axis(x, static=True))(x, ids(b, b.integer(0, 2))))


def gather_elements(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0 and all(isinstance(n, int) and n for n in v.shape))
    shape = tuple(b.integer(1, int(n)) for n in x.shape)
    return b.add(ops.GatherElements(b.axis(x))(x, constant(b.grid(*shape, dtype=INT))))


def gather_nd(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0 and all(isinstance(n, int) and n for n in v.shape))
    k = b.integer(1, x.type.rank)
    return b.add(ops.GatherND(0)(x, constant(b.grid(b.integer(1, 3), k, dtype=INT))))


def scatter_elements(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0 and all(isinstance(n, int) and n for n in v.shape))
    shape = tuple(b.integer(1, int(n)) for n in x.shape)
    op = ops.ScatterElements(b.axis(x), b.choice(("none", "add", "mul", "max", "min")))
    y = op(x, constant(b.grid(*shape, dtype=INT)), constant(b.grid(*shape)))
    return b.add(y, op.reduction == "mul")


def scatter_nd(b: Builder) -> Value:
    x = b.pick(test=lambda v: v.type.rank > 0 and all(isinstance(n, int) and n for n in v.shape))
    k, m = b.integer(1, x.type.rank), b.integer(1, 3)
    op = ops.ScatterND(b.choice(("none", "add", "max")))
    rest = [int(n) for n in x.shape[k:] if isinstance(n, int)]
    return b.add(op(x, constant(b.grid(m, k, dtype=INT)), constant(b.grid(m, *rest))))


def cumsum(b: Builder) -> Value:
    x = b.pick(b.choice((FLOAT, INT)), test=lambda v: v.type.rank > 0)
    return b.add(ops.CumSum(b.axis(x), b.chance(50), b.chance(50))(x))


def cumprod(b: Builder) -> Value:
    x = b.pick(b.choice((FLOAT, INT)), test=lambda v: v.type.rank > 0)
    return b.add(ops.CumProd(b.axis(x), b.chance(50), b.chance(50))(x), True)


def bit_cast(b: Builder) -> Value:
    """There and back, since the last bits of floats differ."""
    return b.add(ops.BitCast(INT)(ops.BitCast(dtypes.u32)(b.pick(INT))))


def topk(b: Builder) -> Value:
    x = b.pick(test=lambda v: any(isinstance(n, int) and n for n in v.shape), exact=True)
    axis = b.axis(x, static=True)
    n = x.shape[axis]
    assert isinstance(n, int)
    values, indices = ops.TopK(b.integer(1, n), axis, b.chance(50))(x)
    b.add(indices)
    return b.add(values)


def search_sorted(b: Builder) -> Value:
    ascending = constant(np.sort(b.grid(b.integer(1, 9), dtype=INT)))
    return b.add(ops.SearchSorted(b.chance(50))(ascending, b.pick(INT)))


def quantize(b: Builder) -> Value:
    x = b.pick(exact=True)
    scale = constant(np.array(b.choice((0.25, 0.5, 1.0, 2.0))))
    zero = constant(np.array(float(b.integer(0, 9))))
    whole = ops.Quantize(b.choice((dtypes.i8, dtypes.u8, dtypes.i16)), b.chance(50))(x, scale, zero)
    return b.add(ops.Cast(INT)(whole))


def reduce(name: str) -> Maker:
    def make(b: Builder) -> Value:
        x = b.pick(test=lambda v: v.type.rank > 0)
        axes = tuple(a for a in range(x.type.rank) if b.chance(50)) if b.chance(80) else None
        return b.add(
            getattr(ops, name)(axes, b.chance(50))(x), name in ("ReduceMean", "ReduceProd")
        )

    return make


def arg(name: str) -> Maker:
    def make(b: Builder) -> Value:
        x = b.pick(test=lambda v: any(isinstance(n, int) and n for n in v.shape), exact=True)
        return b.add(getattr(ops, name)(b.axis(x, True), b.chance(50), b.chance(50))(x))

    return make


def rows(name: str) -> Maker:
    def make(b: Builder) -> Value:
        x = b.pick(test=lambda v: v.type.rank > 0)
        return b.add(getattr(ops, name)(b.axis(x))(x), True)

    return make


def normalize(b: Builder) -> Value:
    x = b.sized(b.integer(1, 3))
    return b.add(ops.Normalize((b.axis(x),), 0.1, b.chance(50))(x), True)


def affine_around(b: Builder, x: Value) -> Value:
    """x, perhaps scaled and shifted along its last axis as batch normalisations do."""
    for op, chance in ((ops.Sub, 20), (ops.Div, 20), (ops.Mul, 40), (ops.Add, 40)):
        if b.chance(chance):
            n = x.shape[-1] if b.chance(80) and isinstance(x.shape[-1], int) else 1
            c = b.rng.integers(1, 8, (n,)) / 4 * b.rng.choice([-1, 1], (n,))
            x = b.add(op()(x, constant(c)), op in (ops.Div, ops.Mul))
    return x


def matmul(b: Builder) -> Value:
    x = affine_around(b, b.sized(b.integer(2, 3)))
    y = ops.MatMul()(x, b.weight(int(x.shape[-1]), b.choice((1, 3, 8))))  # type: ignore[call-overload]
    return affine_around(b, b.add(y, True))


def window(b: Builder, spatial: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(b.integer(1, 2) for _ in range(spatial)) for _ in range(2))


def channels_last(b: Builder) -> Value:
    """[N, S, C] with S large enough for any window."""
    x = b.sized(b.choice((3, 3, 4)))
    grow = tuple(4 if 0 < a < x.type.rank - 1 else 0 for a in range(x.type.rank))
    nothing = (0,) * x.type.rank
    x = b.add(ops.Pad(grow, nothing)(x))
    first = (0, x.type.rank - 1, *range(1, x.type.rank - 1))
    if b.chance(20):  # as a frontend of NCHW models has it
        back = tuple(np.argsort(first).tolist())
        x = b.add(ops.Transpose(back)(ops.Relu()(b.add(ops.Transpose(first)(x)))))
    return affine_around(b, x) if b.chance(30) else x


def conv(b: Builder) -> Value:
    x = channels_last(b)
    strides, dilations = window(b, x.type.rank - 2)
    pads = tuple((b.integer(0, 1), b.integer(0, 1)) if b.chance(40) else (0, 0) for _ in strides)
    channels = int(x.shape[-1])  # type: ignore[call-overload]
    groups = b.choice([g for g in (1, 2, channels) if channels % g == 0])
    kernel = [b.integer(1, 2) for _ in strides]
    w = b.weight(*kernel, channels // groups, groups * b.integer(1, 3))
    return affine_around(b, b.add(ops.Conv(strides, dilations, pads, groups)(x, w), True))


def conv_transpose(b: Builder) -> Value:
    x = channels_last(b)
    strides, dilations = window(b, x.type.rank - 2)
    channels = int(x.shape[-1])  # type: ignore[call-overload]
    groups = b.choice([g for g in (1, 2, channels) if channels % g == 0])
    kernel = [b.integer(1, 2) for _ in strides]
    w = b.weight(*kernel, b.integer(1, 3), channels)
    op = ops.ConvTranspose(strides, dilations, tuple((0, 0) for _ in strides), (), groups)
    return affine_around(b, b.add(op(x, w), True))


def pool(name: str) -> Maker:
    def make(b: Builder) -> Value:
        x = channels_last(b)
        if name == "ArgMaxPool" and x in b.rough:  # where the maximum is, jumps
            x = b.add(constant(b.grid(2, 5, 3)))
        strides, dilations = window(b, x.type.rank - 2)
        pads = tuple((b.integer(0, 1), 0) for _ in strides)
        op = getattr(ops, name)(strides, dilations, pads, kernel=(2,) * len(strides))
        return b.add(op(x), name == "AveragePool")

    return make


def sizes(b: Builder) -> Value:
    x = b.pick()
    return b.add(ops.Cast(FLOAT)(ops.Sizes((x.type.size, *x.shape))()))


def sample(b: Builder) -> Value:
    """Positions within and around the elements of x."""
    x = channels_last(b)
    rank = x.type.rank - 2
    count = b.integer(1, 3)
    where = ops.Expand((x.shape[0], count, rank))(constant(b.grid(count, rank)))
    outside = b.choice(("zeros", "border", "reflection"))
    op = ops.Sample(b.choice(("nearest", "linear", "cubic")), outside, b.chance(50))
    return b.add(op(x, where), True)


def col2im(b: Builder) -> Value:
    n = b.integer(3, 5)
    windows = n - 1
    x = b.pick(rank=1, test=lambda v: isinstance(v.shape[0], int) and v.shape[0] > 0)
    blocks = ops.Expand((2, windows, 2, *x.shape))(x)
    return b.add(ops.Col2Im((1,), (1,), ((0, 0),), (2,), (n,))(blocks))


def recurrent(name: str) -> Maker:
    def make(b: Builder) -> Value:
        x = sequence(b)
        cell = getattr(ops, name)
        op = cell(b.choice(("forward", "reverse", "bidirectional")))
        d, h, g = op.directions, b.choice((1, 3, 8)), cell.gates
        weights = [b.weight(d, int(x.shape[-1]), g, h), b.weight(d, h, g, h)]  # type: ignore[call-overload]
        bias = b.weight(d, g, h) if b.chance(70) else None
        outputs = op(x, *weights, bias)
        for v in outputs[1:]:
            b.add(v, True)
        return b.add(outputs[0], True)

    return make


def sequence(b: Builder) -> Value:
    """[T, B, I]: rows of a table, one-hot vectors, or numbers."""
    if b.chance(30):
        return affine_around(b, b.sized(3))
    tokens = ids(b, 2)
    if b.chance(50):
        x = b.add(ops.Gather(0)(b.weight(b.integer(1, 5), b.integer(1, 6)), tokens))
    else:
        classes = constant(np.arange(b.integer(1, 5), dtype=np.int32))
        x = ops.Cast(FLOAT)(ops.Equal()(ops.Reshape((*tokens.shape, 1))(tokens), classes))
    return ops.Transpose((1, 0, 2))(x) if b.chance(50) else x


def scan(b: Builder) -> Value:
    """Running results over the first axis, whose body is a random graph too."""
    x = b.pick(test=lambda v: v.type.rank > 0)
    step = TensorType(FLOAT, x.shape[1:])
    inner = Builder(b.random)
    inner.inputs = {name: input(name, step) for name in ("carry", "step")}
    inner.pool = list(inner.inputs.values())
    inner.rough = set(inner.pool)
    y = inner.pool[0]
    for _ in range(b.integer(1, 4)):
        grown = b.choice((ops.Add(), ops.Mul(), ops.Max()))(y, inner.operand(y))
        y = grown if grown.type == step else y
        y = inner.add(b.choice((ops.Neg(), ops.Tanh(), ops.Identity()))(y))
    y = ops.Tanh()(ops.Add()(y, inner.inputs["step"]))
    body = Graph(inner.inputs, {"carry": y, "y": y})
    first = ops.Expand(step.shape)(b.weight())
    last, ys = ops.Scan(body, 1, 1, b.chance(30))(first, x)
    b.add(last, True)
    return b.add(ys, True)


MAKERS: dict[str, Maker] = {
    **{
        name: unary(name) if issubclass(op, ops.Unary) else binary(name)
        for name, op in ops.ELEMENTWISE.items()
    },
    **{
        type(op).__name__: unary(type(op).__name__, op)
        for op in (
            *(ops.Affine(2.0, -1.0), ops.BitwiseNot(), ops.Celu(), ops.Clip(-1.0, 1.5), ops.Elu()),
            *(ops.Gelu(), ops.HardSigmoid(), ops.IsInf(), ops.LeakyRelu(), ops.ScaledTanh()),
            *(ops.Swish(), ops.ThresholdedRelu(-9.0)),
        )
    },
    **{"Where": where, "Cast": cast, "Reshape": reshape, "Transpose": transpose, "Slice": slice_},
    **{"Expand": expand, "Concat": concat, "Pad": pad, "Iota": iota, "Gather": gather},
    **{"GatherElements": gather_elements, "GatherND": gather_nd, "CumSum": cumsum, "TopK": topk},
    **{"CumProd": cumprod, "BitCast": bit_cast},
    **{"SearchSorted": search_sorted, "Quantize": quantize},
    **{
        "ScatterElements": scatter_elements,
        "ScatterND": scatter_nd,
        "MatMul": matmul,
        "Conv": conv,
    },
    **{"ConvTranspose": conv_transpose, "Normalize": normalize, "Scan": scan},
    **{name: pool(name) for name in ("MaxPool", "AveragePool", "ArgMaxPool")},
    **{"Sizes": sizes, "Sample": sample, "Col2Im": col2im},
    **{name: recurrent(name) for name in ("RNN", "GRU", "LSTM")},
    **{name: arg(name) for name in ("ArgMax", "ArgMin")},
    **{name: rows(name) for name in ("Softmax", "LogSoftmax")},
    **{f"Reduce{name}": reduce(f"Reduce{name}") for name in ("Sum", "Mean", "Prod", "Max", "Min")},
}
# Drawn more often than once each: what rules look for.
FREQUENT = (
    *("Transpose", "Reshape", "Add", "Mul", "Slice", "Expand", "Concat", "Neg", "Cast", "Gather"),
    *("MatMul", "Conv", "ConvTranspose", "LSTM", "GRU", "Relu", "Where", "Pad"),
)


def random_program(seed: int, length: int) -> Program:
    """About `length` operators with one to four outputs, and perhaps a state."""
    b = Builder(Random(seed))
    b.new_input(b.integer(1, 4))
    name = "Add"
    for _ in range(length):
        if not b.chance(15):  # many rules look for the same operator twice
            name = b.choice(FREQUENT) if b.chance(40) else b.choice(MAKERS)
        if all(v.type.rank <= 5 for v in b.pool):
            MAKERS[name](b)
    b.random.seed(seed)  # the same choices for every length
    results = [b.pool[-1], *(b.choice(b.pool) for _ in range(b.integer(0, 3)))]
    outputs = {f"y{k}": v for k, v in enumerate(results)}
    if not b.chance(20):
        return Program({"main": Graph(b.inputs, outputs)})
    state = input("state", results[0].type)
    writes = {"state": ops.Where()(constant(np.array(True)), results[0], state)}
    graph = Graph(b.inputs, outputs, {"state": state}, writes)
    return Program({"main": graph}, (State("state", results[0].type),))


programs = st.builds(random_program, st.integers(0, 2**32 - 1), st.integers(1, 24))


def sizes(value: Value, n: int) -> tuple[int, ...]:
    """The shape of an input for a size of the symbol."""
    return tuple(n if isinstance(d, type(N)) else d for d in value.shape)


def feeds(program: Program, n: int, seed: int) -> dict[str, Array]:
    """Inputs on the grid."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, v in program.main.inputs.items():
        whole = rng.integers(-8, 9, sizes(v, n))
        out[name] = whole / 4 if v.type.dtype.is_float else whole.astype(v.type.dtype.numpy)
    return out


def as_f32(program: Program) -> Program:
    """The program with f64 replaced by f32."""
    entries = {name: _graph_f32(graph) for name, graph in program.entries.items()}
    states = tuple(State(s.name, _type_f32(s.type)) for s in program.states)
    return Program(entries, states)


def _graph_f32(graph: Graph) -> Graph:
    groups = (graph.inputs, graph.outputs, graph.reads, graph.writes)
    values: dict[Value, Value] = {}
    for node in toposort(v for group in groups for v in group.values()):
        inputs = [None if v is None else values[v] for v in node.inputs]
        new = Node(_op_f32(node.op), inputs, node.name)
        values |= dict(zip(node.outputs, new.outputs, strict=True))
    return Graph(*({name: values[v] for name, v in group.items()} for group in groups))


def _type_f32(t: TensorType) -> TensorType:
    return TensorType(dtypes.f32, t.shape) if t.dtype == FLOAT else t


def _op_f32(op: Op) -> Op:
    match op:
        case ops.Input(t):
            return ops.Input(_type_f32(t))
        case ops.Constant(array) if array.dtype == np.float64:
            return ops.Constant(array.astype(np.float32))
        case ops.Cast(to) if to == FLOAT:
            return ops.Cast(dtypes.f32)
        case ops.Scan(body, carries, sequences, reverse):
            return ops.Scan(_graph_f32(body), carries, sequences, reverse)
    return op
