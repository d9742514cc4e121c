"""The table of operator cases that every way to run a program is checked with.

A case is an operator with concrete inputs. Its program takes each input that is not constant by
name (`x0`, `x1`, ...), with symbols for sizes where `symbolic` says so. The reference is the
operator's NumPy evaluation in float64; tolerances are those of a case, and tight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from webconv.ir import dtypes, graph, ops
from webconv.ir.dims import symbol
from webconv.ir.dtypes import from_numpy
from webconv.ir.graph import Graph, Program, Value
from webconv.ir.op import Op, TensorType

Array = Any
T, F = True, False


@dataclass(frozen=True)
class Case:
    """`op` on `inputs`; those at positions `constant` are weights. None is an absent input."""

    name: str
    op: Op
    inputs: tuple[Array | None, ...]
    constant: tuple[int, ...] = ()
    symbolic: tuple[tuple[str | None, ...] | None, ...] = ()
    rtol: float = 1e-5
    atol: float = 1e-6

    def program(self) -> Program:
        """The case as a program of one node."""
        values: list[Value | None] = []
        for k, array in enumerate(self.inputs):
            if array is None or k in self.constant:
                values.append(None if array is None else graph.constant(array))
                continue
            names = self.symbolic[k] if k < len(self.symbolic) else None
            shape = tuple(
                symbol(s) if s else n
                for n, s in zip(array.shape, names or (None,) * array.ndim, strict=True)
            )
            values.append(graph.input(f"x{k}", TensorType(from_numpy(array.dtype), shape)))
        out = self.op(*values, name=self.name)
        outputs = out if isinstance(out, tuple) else (out,)
        inputs = {v.node.name: v for v in values if v is not None and v.constant is None}
        return Program({"main": Graph(inputs, {f"y{k}": v for k, v in enumerate(outputs)})})

    def feeds(self) -> dict[str, Array]:
        """The inputs that are not constant, by name."""
        pairs = enumerate(self.inputs)
        return {f"x{k}": a for k, a in pairs if a is not None and k not in self.constant}


@dataclass
class Table:
    """Collects cases with a generator of inputs that depends on the case's name only."""

    cases: list[Case] = field(default_factory=list)

    def add(
        self, name: str, op: Op, *inputs: Array | Callable[[Any], Array] | None, **options: Any
    ) -> None:
        """A case; inputs may be functions of a random generator."""
        rng = np.random.default_rng(sum(map(ord, name)) * 1009 + len(name))
        arrays = tuple(a(rng) if callable(a) else a for a in inputs)
        self.cases.append(Case(name, op, arrays, **options))


def normal(*shape: int, scale: float = 1.0) -> Callable[[Any], Array]:
    """Normal f32 numbers."""
    return lambda rng: (rng.normal(size=shape) * scale).astype(np.float32)


def integers(low: int, high: int, *shape: int, dtype: Any = np.int32) -> Callable[[Any], Array]:
    """Integers in [low, high)."""
    return lambda rng: rng.integers(low, high, size=shape).astype(dtype)


EXTREMES = np.array(
    [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1e-8,
        -1e-8,
        1e-3,
        3.25,
        -3.25,
        10.0,
        -10.0,
        50.0,
        -50.0,
        87.0,
        -87.0,
        100.0,
        -100.0,
        1e4,
        -1e4,
        1e30,
        -1e30,
        3.4e38,
        -3.4e38,
        1.5,
        2.5,
        -1.5,
        -2.5,
        7.0,
    ],
    np.float32,
)
UNIT = np.linspace(-1, 1, 41, dtype=np.float32)
POSITIVE = np.array([1e-30, 1e-8, 0.1, 0.5, 0.999, 1.0, 1.001, 2.0, 10.0, 1e4, 1e30], np.float32)


def elementwise() -> Iterator[tuple[str, Op, list[Array], dict[str, Any]]]:
    """Every elementwise operator, over extreme values where it is defined on them."""
    domain = {
        "Acos": UNIT,
        "Asin": UNIT,
        "Atanh": UNIT[1:-1],
        "Acosh": POSITIVE[5:],
        "Log": POSITIVE,
        "Sqrt": POSITIVE,
        "Reciprocal": POSITIVE,
        "Log1p": np.append(POSITIVE, UNIT[1:]),
        "Exp": EXTREMES[EXTREMES < 88],
        "Expm1": EXTREMES[EXTREMES < 88],
        "Sinh": EXTREMES[abs(EXTREMES) < 88],
        "Cosh": EXTREMES[abs(EXTREMES) < 88],
        "Sin": EXTREMES[abs(EXTREMES) < 1e5],
        "Cos": EXTREMES[abs(EXTREMES) < 1e5],
        "Tan": EXTREMES[abs(EXTREMES) < 1e5],
    }
    for name, made in ops.ELEMENTWISE.items():
        base = made.__mro__[1].__name__
        if name == "Not":
            yield name, made(), [np.array([T, F, T, T, F])], {}
        elif base in ("Unary", "FloatUnary", "Predicate"):
            yield name, made(), [domain.get(name, EXTREMES)], {}
            if base == "Unary":
                yield f"{name}_i32", made(), [np.array([0, 1, -1, 7, -2147483647], np.int32)], {}
        elif base == "Logical":
            yield name, made(), [np.array([T, T, F, F]), np.array([T, F, T, F])], {}
        elif base == "Bitwise":
            yield from _bitwise(name, made)
        else:
            yield from _binary(name, made)


def _bitwise(name: str, made: type[Op]) -> Iterator[tuple[str, Op, list[Array], dict[str, Any]]]:
    x = np.array([0, 1, -1, 1 << 30, -(1 << 31), 12345], np.int32)
    y = np.array([3, 0, 31, 32, 40, 5], np.int32)
    yield f"{name}_i32", made(), [x, y], {}
    yield f"{name}_u8", made(), [x.astype(np.uint8), y.astype(np.uint8)], {}
    yield f"{name}_i16", made(), [x.astype(np.int16), np.array([3, 0, 15, 16, 31, 5], np.int16)], {}
    least = np.array([5, -5, -128, -1, 127, -128], np.int8)
    yield f"{name}_i8", made(), [least, np.array([-1, -3, 8, 7, 100, -128], np.int8)], {}
    large = np.array([1 << 31, (1 << 32) - 1, 1, 3 << 30, 7, 1 << 31], np.uint32)
    yield f"{name}_u32", made(), [large, np.array([31, 32, 31, 1, 0, 1 << 31], np.uint32)], {}


def _binary(name: str, made: type[Op]) -> Iterator[tuple[str, Op, list[Array], dict[str, Any]]]:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 3, 7)).astype(np.float32) * 3
    x = np.abs(x) if name == "Pow" else x
    yield name, made(), [x, y], {"rtol": 2e-5}
    yield f"{name}_row", made(), [x, y[0]], {"rtol": 2e-5}
    yield f"{name}_column", made(), [x, y[:, :1]], {"rtol": 2e-5}
    if name == "Atan2":
        return
    whole = np.array([7, -7, 7, -7, 0, 5, -(1 << 31), 9], np.int32)
    other = np.array([2, 2, -2, -2, 3, 0, -1, 4], np.int32)
    yield f"{name}_i32", made(), [whole, other], {}
    # Pages give and get i64 as 32 bits, so these stay within them.
    yield (
        f"{name}_i64",
        made(),
        [np.maximum(whole, -9).astype(np.int64), other.astype(np.int64)],
        {},
    )
    small = np.array([250, 200, 3, 0, 255, 17], np.uint8)
    yield f"{name}_u8", made(), [small, small[::-1].copy()], {}


def _parametric(t: Table) -> None:
    for name, op in {
        "leaky_relu": ops.LeakyRelu(0.3),
        "elu": ops.Elu(),
        "selu": ops.Elu(1.6732632, 1.050701),
        "celu": ops.Celu(2.0),
        "hard_sigmoid": ops.HardSigmoid(),
        "affine": ops.Affine(2.0, -1.0),
        "scaled_tanh": ops.ScaledTanh(1.7159, 0.6667),
        "thresholded": ops.ThresholdedRelu(1.0),
        "gelu": ops.Gelu(),
        "gelu_tanh": ops.Gelu(True),
        "swish": ops.Swish(),
        "clip": ops.Clip(-1.0, 2.0),
        "clip_low": ops.Clip(low=0.5),
    }.items():
        t.add(name, op, EXTREMES[abs(EXTREMES) < 1e15])
    t.add("isinf", ops.IsInf(), np.array([1, np.inf, -np.inf, np.nan, 3e38], np.float32))
    t.add("isnan", ops.IsNaN(), np.array([1, np.inf, -np.inf, np.nan, 3e38], np.float32))
    t.add(
        "where",
        ops.Where(),
        np.array([T, F, T]),
        np.array([1, 2, 3], np.float32),
        np.array([np.nan, 5, np.inf], np.float32),
    )
    casts = {
        "f32": np.array([0, 1.5, -1.5, 3e9, -3e9, np.nan, 300, -1], np.float32),
        "i32": np.array([0, 1, -1, 300, 70000, -2147483648], np.int32),
        "u8": np.array([0, 1, 255, 128], np.uint8),
        "bool": np.array([T, F]),
    }
    for source, array in casts.items():
        for target in ("f32", "i32", "u32", "i8", "u8", "i16", "u16", "i64", "bool", "f16"):
            if target == "f16" and source != "f32":
                continue
            values = (
                array[[0, 1, 2, 6, 7]] if source == "f32" and target in ("u32", "f16") else array
            )
            values = values[values >= 0] if target == "u32" else values
            values = np.clip(values, -2e9, 2e9) if (source, target) == ("f32", "i64") else values
            t.add(f"cast_{source}_{target}", ops.Cast(dtypes.DTYPES[target]), values)


# The ends of each integer dtype and what lies beside them; pages give and get 64 bits as 32.
ENDS: dict[str, Array] = {
    name: np.array(
        [d.min, d.min + 1, d.max, d.max - 1, d.max // 2 + 1, 0, 1, 2, 3, 100], f"{name[0]}{bits}"
    )
    for name, bits, d in (
        (name, int(name[1:]) // 8, np.iinfo(f"{name[0]}{min(int(name[1:]), 32) // 8}"))
        for name in ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
    )
}


def _types(t: Table) -> None:
    """Every dtype at its edges: what wraps, what saturates, what is unsigned."""
    for name, ends in ENDS.items():
        wide = name in ("i64", "u64")
        for op in (
            "Add",
            "Sub",
            "Mul",
            "Div",
            "Mod",
            "Fmod",
            "Min",
            "Max",
            "Less",
            "GreaterOrEqual",
        ):
            if wide and op in ("Add", "Sub", "Mul"):
                continue
            other = ends[::-1].copy()
            t.add(f"{op}_ends_{name}", ops.ELEMENTWISE[op](), ends, other)
        for op in () if wide else ("Neg", "Abs", "Sign", "Relu", "BitwiseNot"):
            t.add(f"{op}_ends_{name}", ops.OPS[op](), ends)
        for target in dtypes.DTYPES.values():
            if wide and not target.is_integer:
                t.add(f"cast_{name}_{target}_ends", ops.Cast(target), ends % 1000)
            elif target != dtypes.f16 and not (target.bits == 64 and not target.is_float):
                t.add(f"cast_{name}_{target}_ends", ops.Cast(target), ends)
        matrix = ends.reshape(2, 5)
        for op in ("Max", "Min", *(() if wide else ("Sum", "Prod"))):
            t.add(f"reduce_{op}_{name}_ends", getattr(ops, f"Reduce{op}")((0,)), matrix)
        for op in ("ArgMax", "ArgMin"):
            t.add(f"{op}_{name}_ends", getattr(ops, op)(-1), matrix)
        t.add(f"clip_{name}_ends", ops.Clip(1, 100), ends)
    for name in ("f16", "f64"):
        edges = [0, -0.0, 1.5, -1.5, 65504, -65504, 2**-24, 300.75, -1]
        x = np.array(edges, dtypes.DTYPES[name].numpy)
        for target in dtypes.DTYPES.values():
            values = np.abs(x) if target.kind == "u" else x
            t.add(f"cast_{name}_{target}_edges", ops.Cast(target), values)
        t.add(f"relu_{name}", ops.Relu(), x)
        t.add(f"reduce_max_{name}", ops.ReduceMax(), x)
    for name, values in (("some", [[T, F, F], [F, F, F]]), ("empty", np.zeros((2, 0)))):
        x = np.array(values, bool)
        for op in ("Max", "Min"):
            t.add(f"reduce_{op}_bool_{name}", getattr(ops, f"Reduce{op}")((1,)), x)
            t.add(
                f"reduce_{op}_bool_{name}_symbolic",
                getattr(ops, f"Reduce{op}")((1,), True),
                x,
                symbolic=((None, "a"),),
            )
    floats = np.array([0, -0.0, 1, -2.5, 1e-30, 3e38], np.float32)
    halves = np.array(
        [0, -0.0, 1, -2.5, 2**-24, -(2**-15), 65504, 2**-14, 1023 * 2**-24], np.float16
    )
    for source, target in (
        (floats, "i32"),
        (floats, "u32"),
        (floats.view(np.int32), "f32"),
        (floats.view(np.uint32), "f32"),
        (halves, "i16"),
        (halves, "u16"),
        (halves.view(np.int16), "f16"),
        (halves.view(np.uint16), "f16"),
        (ENDS["u8"], "i8"),
        (ENDS["i8"], "u8"),
        (ENDS["u16"], "i16"),
        (ENDS["i16"], "u16"),
        (ENDS["u32"], "i32"),
        (ENDS["i32"], "u32"),
        (np.array([T, F]), "u8"),
    ):
        kind = from_numpy(source.dtype)
        t.add(f"bit_cast_{kind}_{target}", ops.BitCast(dtypes.DTYPES[target]), source)


def _movement(t: Table) -> None:
    t.add("reshape", ops.Reshape((6, 4)), normal(2, 3, 4))
    t.add("transpose_5d", ops.Transpose((4, 2, 0, 3, 1)), normal(2, 3, 4, 5, 6))
    t.add(
        "transpose_symbolic",
        ops.Transpose((1, 0, 2)),
        normal(3, 5, 4),
        symbolic=(("a", "b", None),),
    )
    t.add("slice_negative", ops.Slice((4, 0), (3, 2), (-2, 3)), normal(6, 7))
    t.add("slice_empty", ops.Slice((0, 0), (0, 3), (1, 1)), normal(6, 7))
    t.add("expand", ops.Expand((3, 2, 5)), normal(2, 1))
    t.add("expand_symbolic", ops.Expand((symbol("a"), 4)), normal(3, 1), symbolic=(("a", None),))
    t.add("concat", ops.Concat(1), normal(2, 3), normal(2, 1), normal(2, 5))
    t.add("concat_20", ops.Concat(-1), *(normal(3, k % 4 + 1) for k in range(20)))
    t.add(
        "concat_symbolic",
        ops.Concat(0),
        normal(3, 4),
        normal(5, 4),
        symbolic=(("a", None), ("b", None)),
    )
    t.add("concat_empty", ops.Concat(0), normal(0, 4), normal(5, 4), symbolic=(("a", None), None))
    for mode in ("constant", "edge", "reflect", "wrap"):
        t.add(
            f"pad_{mode}",
            ops.Pad((2, 1), (1, 3), mode, 0.5 if mode == "constant" else 0),
            normal(4, 5),
        )
    t.add("pad_crop", ops.Pad((-1, 1), (0, -2)), normal(4, 5))
    t.add("pad_symbolic", ops.Pad((2, 0), (1, 0), "reflect"), normal(4, 5), symbolic=(("a", None),))


def _indexing(t: Table) -> None:
    t.add("gather", ops.Gather(0), normal(5, 3), integers(-5, 5, 4, 2))
    t.add("gather_middle", ops.Gather(1), normal(2, 5, 3), integers(-5, 5, 4))
    t.add("gather_range", ops.Gather(0), normal(5, 3), np.array([7, -9, 100], np.int32))
    t.add(
        "gather_i64", ops.Gather(0), normal(5, 3), integers(-5, 5, 4, dtype=np.int64), constant=(0,)
    )
    t.add("gather_scalar", ops.Gather(0), normal(5, 3), np.array(2, np.int32))
    t.add("gather_elements", ops.GatherElements(1), normal(3, 5), integers(-5, 5, 3, 4))
    t.add("gather_nd", ops.GatherND(0), normal(3, 4, 5), integers(0, 3, 6, 2))
    t.add("gather_nd_batch", ops.GatherND(1), normal(3, 4, 5), integers(0, 4, 3, 2, 1))
    for reduction in ("none", "add", "mul", "max", "min"):
        t.add(
            f"scatter_{reduction}",
            ops.ScatterElements(1, reduction),
            normal(3, 5),
            np.array([[0, 0, 2], [4, 4, -1], [1, 1, 1]], np.int32),
            normal(3, 3),
        )
    t.add(
        "scatter_short",
        ops.ScatterElements(0),
        normal(6, 5),
        np.array([[1, 9], [1, 0]], np.int32),
        normal(2, 2),
    )
    t.add(
        "scatter_nd",
        ops.ScatterND("add"),
        normal(4, 3),
        np.array([[1], [3], [1]], np.int32),
        normal(3, 3),
    )
    t.add(
        "scatter_nd_points",
        ops.ScatterND(),
        normal(4, 3),
        np.array([[1, 2], [3, 0], [1, 2]], np.int32),
        normal(3),
    )
    _scatter_edges(t)
    _search(t)
    for exclusive in (F, T):
        for reverse in (F, T):
            t.add(
                f"cumsum_{exclusive:d}{reverse:d}",
                ops.CumSum(1, exclusive, reverse),
                normal(2, 9, 3),
            )
    t.add("cumsum_symbolic", ops.CumSum(0), normal(9, 5), symbolic=(("a", None),))
    t.add("cumprod", ops.CumProd(1, T, T), normal(2, 9, 3))
    t.add("cumprod_i32", ops.CumProd(0), integers(1, 4, 30))
    t.add("cumprod_symbolic", ops.CumProd(0), normal(9, 5), symbolic=(("a", None),))
    t.add("cumsum_i32", ops.CumSum(0), integers(-50, 50, 30))
    t.add("topk", ops.TopK(3), normal(4, 10))
    t.add("topk_smallest", ops.TopK(4, 0, False), normal(9, 3))
    t.add("topk_ties", ops.TopK(5), np.array([[1, 3, 3, 0, 3, 1, 1]], np.float32))
    t.add("topk_all", ops.TopK(7, 0), integers(-3, 3, 7))
    t.add("topk_symbolic", ops.TopK(2), normal(3, 8), symbolic=(("a", "b"),))


def _scatter_edges(t: Table) -> None:
    """Duplicates, indices below -n and from n on, no updates at all, sizes as symbols."""
    rows = np.array([[1], [-1], [1], [4], [-5]], np.int32)
    for reduction in ("none", "add", "mul", "max", "min"):
        t.add(
            f"scatter_nd_rows_{reduction}",
            ops.ScatterND(reduction),
            normal(4, 3),
            rows,
            normal(5, 3),
        )
        t.add(
            f"scatter_nd_i8_{reduction}",
            ops.ScatterND(reduction),
            integers(-128, 127, 4, dtype=np.int8),
            rows,
            integers(-128, 127, 5, dtype=np.int8),
        )
    none = np.zeros((0, 1), np.int32)
    t.add("scatter_nd_none", ops.ScatterND(), normal(4, 3), none, normal(0, 3))
    t.add(
        "scatter_nd_whole",
        ops.ScatterND(),
        normal(2, 3),
        np.zeros((2, 0), np.int32),
        normal(2, 2, 3),
    )
    t.add(
        "scatter_none_empty",
        ops.ScatterElements(0),
        normal(4, 3),
        np.zeros((0, 3), np.int32),
        normal(0, 3),
    )
    t.add(
        "scatter_nd_grid",
        ops.ScatterND(),
        normal(3, 4, 5),
        integers(-3, 3, 2, 3, 1, dtype=np.int64),
        normal(2, 3, 4, 5),
    )
    t.add(
        "scatter_nd_symbolic",
        ops.ScatterND(),
        normal(3, 4, 2),
        integers(0, 3, 5, 2),
        normal(5, 2),
        symbolic=(("a", "b", None), ("m", None), ("m", None)),
    )
    t.add(
        "scatter_symbolic",
        ops.ScatterElements(0, "add"),
        normal(6, 2),
        integers(-7, 7, 5, 2),
        normal(5, 2),
        symbolic=(("a", None), ("m", None), ("m", None)),
    )
    t.add(
        "scatter_max_nan",
        ops.ScatterElements(0, "max"),
        np.array([1, np.nan, 3], np.float32),
        np.array([0, 1, 2], np.int32),
        np.array([np.nan, 5, 5], np.float32),
    )
    t.add("gather_none", ops.Gather(0), normal(5, 3), np.zeros((0, 2), np.int32))
    t.add("gather_nd_none", ops.GatherND(), normal(5, 3), np.zeros((0, 1), np.int32))
    t.add("gather_elements_none", ops.GatherElements(1), normal(5, 3), np.zeros((5, 0), np.int32))
    t.add("gather_nd_range", ops.GatherND(), normal(5, 3), np.array([[-1, 3], [-6, -3]], np.int64))
    t.add("topk_none", ops.TopK(0), normal(3, 4))
    t.add("topk_nan", ops.TopK(4), np.array([[1, np.nan, -np.inf, np.inf, -0.0, 0.0]], np.float32))
    t.add("topk_u8", ops.TopK(3), integers(0, 255, 9, dtype=np.uint8))


def _search(t: Table) -> None:
    ascending = np.array([-3, -1, -1, 0, 4, 4, 4, 9], np.int32)
    values = np.array([[-9, -3, -1, 0, 1], [4, 5, 9, 10, -2]], np.int32)
    for right in (F, T):
        t.add(f"search_{right:d}", ops.SearchSorted(right), ascending, values)
        t.add(
            f"search_symbolic_{right:d}",
            ops.SearchSorted(right),
            ascending,
            values,
            symbolic=(("n",), ("a", None)),
        )
        t.add(
            f"search_f32_{right:d}",
            ops.SearchSorted(right),
            ascending / np.float32(2),
            values / np.float32(2),
        )
        t.add(f"search_one_{right:d}", ops.SearchSorted(right), np.array([4], np.int32), values)
        t.add(f"search_nothing_{right:d}", ops.SearchSorted(right), ascending[:0], values)


def _quantized(t: Table) -> None:
    """Ties, both ends, infinities; scales per tensor and per axis."""
    x = np.array([-3e37, -1e9, -300, -2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 300, 1e9, 3e37], "f4")
    for dtype in (dtypes.i8, dtypes.u8, dtypes.i16, dtypes.u16):
        for zero in (0, 3):
            for multiply in (F, T):
                t.add(
                    f"quantize_{dtype}_{zero}_{multiply:d}",
                    ops.Quantize(dtype, multiply),
                    x,
                    np.float32(0.5),
                    np.float32(zero),
                )
    t.add(
        "quantize_axis",
        ops.Quantize(dtypes.u8),
        normal(3, 4, 5, scale=20),
        np.array([[0.5], [0.25], [1], [0.125]], np.float32),
        np.array([[0], [128], [255], [7]], np.float32),
        constant=(1, 2),
        symbolic=(("a", None, "b"),),
    )


def _reduction(t: Table) -> None:
    for name in ("Sum", "Mean", "Prod", "Max", "Min"):
        op = getattr(ops, f"Reduce{name}")
        for k, axes in enumerate([None, (0,), (-1,), (0, 2), (1,)]):
            t.add(f"reduce_{name}_{k}", op(axes, k % 2 == 1), normal(3, 4, 5))
        t.add(f"reduce_{name}_symbolic", op((1,)), normal(3, 7, 5), symbolic=((None, "a", None),))
    # Long rows: wasm runs their terms in lanes.
    rows = np.random.default_rng(0).normal(size=(5, 39)).astype(np.float32)
    rows[1, 3], rows[2, 38], rows[3, 17], rows[4] = np.inf, -np.inf, -np.inf, -np.inf
    for op in (ops.ReduceMax, ops.ReduceMin):
        t.add(f"{op.__name__}_lanes", op((-1,)), rows)
        t.add(f"{op.__name__}_lanes_symbolic", op((-1,)), rows, symbolic=(("a", "b"),))
        t.add(f"{op.__name__}_lanes_both", op((1, 2)), normal(3, 5, 9))
    t.add("reduce_sum_i32", ops.ReduceSum((0,)), integers(-9, 9, 5, 3))
    t.add("reduce_max_u8", ops.ReduceMax((1,)), integers(0, 255, 5, 3, dtype=np.uint8))
    t.add("reduce_sum_empty", ops.ReduceSum((0,)), normal(0, 3), symbolic=(("a", None),))
    t.add("reduce_sum_million", ops.ReduceSum(), normal(1000, 1000), atol=1e-2)
    t.add("reduce_mean_long", ops.ReduceMean((1,)), normal(3, 10000), symbolic=((None, "a"),))
    for op in (ops.ArgMax, ops.ArgMin):
        t.add(f"{op.__name__}", op(1), normal(3, 7, 2))
        t.add(f"{op.__name__}_last", op(-1, True, True), integers(0, 3, 3, 7))
        t.add(f"{op.__name__}_nan", op(-1), np.array([[1, np.nan, 3, np.nan]], np.float32))
    for op in (ops.Softmax, ops.LogSoftmax):
        t.add(f"{op.__name__}", op(-1), normal(3, 36, scale=5))
        t.add(f"{op.__name__}_axis", op(1), normal(3, 5, 4))
        t.add(
            f"{op.__name__}_large",
            op(-1),
            np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]], np.float32),
        )
        t.add(f"{op.__name__}_symbolic", op(-1), normal(3, 11), symbolic=(("a", "b"),))
    t.add("normalize", ops.Normalize((-1,)), normal(3, 16), atol=1e-5)
    t.add("normalize_rms", ops.Normalize((1, 2), 1e-3, False), normal(3, 5, 4))
    t.add(
        "normalize_symbolic",
        ops.Normalize((1,)),
        normal(3, 9, 4),
        symbolic=(("a", "b", None),),
        atol=1e-5,
    )


def _linear(t: Table) -> None:
    for m, k, n in (
        (1, 1, 1),
        (1, 5, 8),
        (3, 7, 5),
        (4, 16, 16),
        (9, 33, 12),
        (2, 3, 1),
        (5, 8, 2),
    ):
        t.add(
            f"matmul_{m}_{k}_{n}",
            ops.MatMul(),
            normal(m, k),
            normal(k, n),
            constant=(1,),
            atol=3e-6,
        )
        t.add(f"matmul_dynamic_{m}_{k}_{n}", ops.MatMul(), normal(m, k), normal(k, n), atol=3e-6)
    t.add("matmul_batch", ops.MatMul(), normal(2, 3, 4, 5), normal(3, 5, 6))
    t.add(
        "matmul_symbolic",
        ops.MatMul(),
        normal(6, 9),
        normal(9, 20),
        constant=(1,),
        symbolic=(("m", None),),
    )
    t.add(
        "matmul_symbolic_k",
        ops.MatMul(),
        normal(2, 3, 5),
        normal(2, 5, 4),
        symbolic=((None, None, "k"), (None, "k", None)),
    )
    # From eight rows on, a right side that is data is copied into panels.
    for k, n in ((5, 1), (5, 3), (0, 4), (1, 8), (6, 11), (5, 16)):
        t.add(f"matmul_panels_{k}_{n}", ops.MatMul(), normal(9, k), normal(k, n), atol=3e-6)
    t.add("matmul_weights_batch", ops.MatMul(), normal(2, 3, 4, 5), normal(3, 5, 11), constant=(1,))
    t.add("matmul_panels_batch", ops.MatMul(), normal(2, 1, 8, 5), normal(1, 3, 5, 11))
    t.add(
        "matmul_panels_symbolic",
        ops.MatMul(),
        normal(2, 3, 5),
        normal(1, 5, 11),
        symbolic=(("b", "m", "k"), (None, "k", "n")),
    )
    t.add("matmul_panels_i32", ops.MatMul(), integers(-9, 9, 9, 5), integers(-9, 9, 5, 7))
    t.add("matmul_long", ops.MatMul(), normal(2, 9000), normal(9000, 3), constant=(1,), atol=1e-3)
    one, two = ((1, 1),) * 2, ((0, 0),) * 2
    conv = ops.Conv
    t.add("conv1d", conv((1,), (1,), ((1, 1),)), normal(2, 9, 3), normal(3, 3, 8), constant=(1,))
    t.add(
        "conv1d_causal",
        conv((1,), (2,), ((4, 0),)),
        normal(2, 9, 3),
        normal(3, 3, 5),
        constant=(1,),
    )
    t.add(
        "conv2d",
        conv((1, 1), (1, 1), one),
        normal(2, 6, 7, 3),
        normal(3, 3, 3, 16),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_strides",
        conv((2, 3), (1, 1), ((0, 1), (1, 0))),
        normal(1, 8, 9, 4),
        normal(3, 2, 4, 6),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_dynamic",
        conv((1, 1), (1, 1), two),
        normal(1, 5, 5, 2),
        normal(2, 2, 2, 3),
        atol=1e-5,
    )
    t.add(
        "conv2d_groups",
        conv((1, 1), (1, 1), one, 2),
        normal(1, 5, 6, 4),
        normal(3, 3, 2, 6),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_groups_wide",
        conv((1, 1), (1, 1), one, 2),
        normal(1, 5, 6, 8),
        normal(3, 3, 4, 32),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_depthwise",
        conv((1, 1), (2, 2), ((2, 2),) * 2, 8),
        normal(1, 6, 6, 8),
        normal(3, 3, 1, 8),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_depthwise_two",
        conv((1, 1), (1, 1), one, 4),
        normal(1, 6, 6, 4),
        normal(3, 3, 1, 8),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "conv2d_symbolic",
        conv((2, 2), (1, 1), one),
        normal(2, 7, 6, 3),
        normal(3, 3, 3, 8),
        constant=(1,),
        symbolic=(("n", "h", "w", None),),
        atol=1e-5,
    )
    t.add(
        "conv3d",
        conv((1, 1, 1), (1, 1, 1), ((1, 0),) * 3),
        normal(1, 4, 5, 3, 2),
        normal(2, 2, 2, 2, 4),
        constant=(1,),
        atol=1e-5,
    )
    tr = ops.ConvTranspose
    t.add(
        "convT1d",
        tr((2,), (1,), ((0, 0),)),
        normal(2, 5, 3),
        normal(3, 8, 3),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "convT2d",
        tr((2, 2), (1, 1), ((1, 1), (0, 1)), (1, 0)),
        normal(1, 4, 5, 3),
        normal(3, 4, 6, 3),
        constant=(1,),
        atol=1e-5,
    )
    t.add(
        "convT2d_dynamic",
        tr((1, 2), (2, 1), ((0, 0), (0, 0))),
        normal(1, 3, 4, 2),
        normal(2, 3, 5, 2),
        atol=1e-5,
    )
    t.add(
        "convT2d_groups",
        tr((2, 1), (1, 1), ((0, 0), (0, 0)), (), 2),
        normal(1, 3, 4, 4),
        normal(2, 2, 3, 4),
        constant=(1,),
        atol=1e-5,
    )
    pool = {"kernel": (2, 2)}
    t.add("maxpool", ops.MaxPool((2, 2), (1, 1), two, **pool), normal(2, 6, 7, 3))
    t.add(
        "maxpool_pads",
        ops.MaxPool((1, 2), (1, 2), one, kernel=(3, 2)),
        normal(1, 6, 7, 3, scale=-3),
    )
    t.add(
        "maxpool_symbolic",
        ops.MaxPool((2, 2), (1, 1), two, **pool),
        normal(2, 7, 6, 4),
        symbolic=((None, "h", "w", None),),
    )
    few = integers(-2, 3, 2, 6, 7, 3, dtype=np.float32)  # Ties go to the first.
    t.add("argmaxpool", ops.ArgMaxPool((2, 1), (1, 2), ((1, 0), (0, 2)), **pool), few)
    t.add(
        "argmaxpool_symbolic",
        ops.ArgMaxPool((2, 2), (1, 1), one, kernel=(3, 3)),
        integers(-128, -120, 1, 5, 6, 4, dtype=np.int8),
        symbolic=((None, "h", "w", None),),
    )
    t.add(
        "argmaxpool_3d",
        ops.ArgMaxPool((2,) * 3, (1,) * 3, ((0, 1),) * 3, (2,) * 3),
        normal(1, 3, 4, 5, 2),
    )
    rows = np.array([[-0.0, 0.0, -np.inf, -np.inf, 1.0, np.inf, np.nan, np.nan, 2.0]], np.float32)
    t.add(
        "argmaxpool_extremes", ops.ArgMaxPool((1,), (1,), ((1, 0),), kernel=(2,)), rows[..., None]
    )
    t.add("avgpool", ops.AveragePool((2, 2), (1, 1), two, **pool), normal(2, 6, 7, 3))
    t.add("avgpool_pads", ops.AveragePool((2, 2), (1, 1), one, kernel=(3, 3)), normal(1, 6, 7, 3))
    t.add(
        "avgpool_include",
        ops.AveragePool((2, 2), (1, 1), one, kernel=(3, 3), count_include_pad=T),
        normal(1, 6, 7, 3),
    )


def _image(t: Table) -> None:
    """Positions lie inside and far outside, at whole numbers, halves, and where there are none."""
    for mode in ("nearest", "linear", "cubic"):
        for outside in ("zeros", "border", "reflection"):
            for corners in (F, T):
                t.add(
                    f"sample_{mode}_{outside}{'_corners' * corners}",
                    ops.Sample(mode, outside, corners),
                    normal(2, 4, 3, 4),
                    normal(2, 5, 2, scale=4),
                    rtol=2e-5,
                    atol=2e-5,
                )
    halves = np.array([[-9.5], [-1], [-0.5], [0], [0.5], [1.5], [2], [2.5], [3], [70]], np.float32)
    extremes = np.array([[np.nan], [np.inf], [-np.inf], [3e38], [-3e38], [-0.0]], np.float32)
    for outside in ("zeros", "border", "reflection"):
        t.add(
            f"sample_halves_{outside}",
            ops.Sample("nearest", outside),
            normal(1, 3, 2),
            halves[None],
        )
    for outside in ("zeros", "border"):
        t.add(
            f"sample_far_{outside}", ops.Sample("linear", outside), normal(1, 3, 2), extremes[None]
        )
    t.add("sample_one", ops.Sample("cubic", "reflection", T), normal(1, 1, 2), halves[None])
    t.add("sample_space", ops.Sample(), normal(1, 2, 3, 2, 5), normal(1, 3, 2, 3, scale=1.5))
    t.add("sample_none", ops.Sample(), normal(1, 2, 3, 2), np.zeros((1, 0, 2), np.float32))
    t.add(
        "sample_symbolic",
        ops.Sample("linear", "reflection"),
        normal(2, 4, 5, 3),
        normal(2, 3, 2, scale=5),
        symbolic=(("n", "h", "w", None), ("n", "p", None)),
        rtol=2e-5,
        atol=2e-5,
    )
    blocks = ops.Col2Im((1, 2), (2, 1), ((1, 0), (0, 1)), (2, 3), (6, 8))
    t.add("col2im", blocks, normal(2, 5, 4, 2, 3, 4))
    t.add("col2im_1d", ops.Col2Im((3,), (2,), ((2, 1),), (3,), (9,)), normal(2, 3, 3, 1))


def _recurrent(t: Table) -> None:
    cells: dict[str, tuple[Any, int]] = {
        "LSTM": (ops.LSTM, 4),
        "GRU": (ops.GRU, 3),
        "RNN": (ops.RNN, 1),
    }
    for name, (cell, g) in cells.items():
        for direction in ("forward", "reverse", "bidirectional"):
            d = 2 if direction == "bidirectional" else 1
            for variant in ("plain", "symbolic", "masked", "initial"):
                t.add(
                    f"{name}_{direction}_{variant}",
                    *_recurrent_case(cell, g, d, direction, variant),
                    constant=(1, 2, 3, 4),
                    atol=2e-6,
                    **({"symbolic": (("t", "b", None),)} if variant == "symbolic" else {}),
                )
    _recurrent_options(t)


def _recurrent_case(cell: Any, g: int, d: int, direction: str, variant: str) -> tuple[Any, ...]:
    steps, batch, size, h = (7, 3, 5, 8) if variant != "masked" else (6, 2, 4, 5)
    extra: list[Any] = [] if cell is ops.RNN else [None]
    states = [None] * (2 if cell is ops.LSTM else 1)
    mask = None
    if variant == "initial":
        states = [normal(d, batch, h) for _ in states]  # type: ignore[misc]
    if variant == "masked":
        mask = np.array([[1, 1], [1, 0], [0, 1], [1, 0], [1, 0], [0, 0]], bool)
    op = cell(direction=direction)
    inputs = [
        normal(steps, batch, size),
        normal(d, size, g, h),
        normal(d, h, g, h, scale=0.5),
        normal(d, g, h),
    ]
    return (op, *inputs, *extra, *states, mask)


def _recurrent_options(t: Table) -> None:
    base = [normal(6, 2, 4), None, None, None]

    def sized(g: int, h: int = 9, d: int = 1) -> list[Any]:
        return [base[0], normal(d, 4, g, h), normal(d, h, g, h, scale=0.5), normal(d, g, h)]

    options = {"constant": (1, 2, 3, 4), "atol": 2e-6}
    t.add("LSTM_peepholes", ops.LSTM(), *sized(4), normal(1, 3, 9), **options)
    t.add("LSTM_matrix_peepholes", ops.LSTM(), *sized(4), normal(1, 9, 3, 9, scale=0.5), **options)
    t.add("LSTM_clip", ops.LSTM(clip=0.5, input_forget=T), *sized(4), **options)
    t.add("LSTM_no_bias", ops.LSTM(), *sized(4)[:3], **options)
    # Sizes that are called as loop variables once were.
    names = (("s11", "i1", None),)
    t.add("LSTM_names", ops.LSTM("bidirectional"), *sized(4, d=2), symbolic=names, **options)
    relu, hard = ops.Relu(), ops.HardSigmoid()
    t.add(
        "LSTM_activations",
        ops.LSTM(activations=(hard, hard, relu, hard, ops.Softsign())),
        *sized(4),
        **options,
    )
    two = (ops.Tanh(), ops.Relu())
    t.add("RNN_two_activations", ops.RNN("bidirectional", two), *sized(1, d=2), **options)
    t.add("GRU_after", ops.GRU(reset_after=T), *sized(3), normal(1, 9), **options)
    t.add("GRU_after_no_bias", ops.GRU(reset_after=T), *sized(3), **options)
    t.add(
        "GRU_after_bidirectional",
        ops.GRU("bidirectional", reset_after=T),
        *sized(3, 12, 2),
        normal(2, 12),
        **options,
    )
    t.add("GRU_chainer", ops.GRU(update_mixes_new=T), *sized(3), **options)
    mask = np.array([[0, 1], [1, 1], [0, 1], [1, 0], [1, 0], [0, 0]], bool)
    t.add(
        "LSTM_matrix_peepholes_masked",
        ops.LSTM("bidirectional"),
        *sized(4, d=2),
        normal(2, 9, 3, 9, scale=0.5),
        normal(2, 2, 9),
        normal(2, 2, 9),
        mask,
        **options,
    )
    t.add(
        "LSTM_masked_zero",
        ops.LSTM("bidirectional", masked_output="zero"),
        *sized(4, d=2),
        None,
        None,
        None,
        mask,
        **options,
    )
    for name, (cell, g) in {"LSTM": (ops.LSTM, 4), "GRU": (ops.GRU, 3)}.items():
        t.add(
            f"{name}_projected",
            cell("bidirectional"),
            normal(5, 2, 2 * g * 9),
            None,
            normal(2, 9, g, 9),
            normal(2, g, 9),
            constant=(2, 3),
            atol=2e-6,
        )
    computed = {"constant": (), "atol": 2e-6}
    t.add("LSTM_computed_weights", ops.LSTM(), *sized(4), normal(1, 3, 9), **computed)
    t.add("LSTM_computed_weights_8", ops.LSTM("bidirectional"), *sized(4, 8, 2), **computed)
    t.add("RNN_computed_weights", ops.RNN("reverse"), *sized(1), **computed)
    t.add("GRU_computed_weights", ops.GRU("bidirectional"), *sized(3, d=2), **computed)
    after = ops.GRU(reset_after=T)
    t.add("GRU_after_computed_weights", after, *sized(3), normal(1, 9), **computed)
    t.add("LSTM_one_step", ops.LSTM(), normal(1, 1, 4), *sized(4)[1:], **options)
    t.add(
        "LSTM_one_unit",
        ops.LSTM(),
        normal(3, 2, 4),
        normal(1, 4, 4, 1),
        normal(1, 1, 4, 1),
        normal(1, 4, 1),
        **options,
    )


def table() -> list[Case]:
    """All cases, names unique."""
    t = Table()
    for name, op, inputs, options in elementwise():
        t.add(f"{name}", op, *inputs, **options)
    families = (
        *(_parametric, _types, _movement, _indexing),
        *(_quantized, _reduction, _linear, _image, _recurrent),
    )
    for family in families:
        family(t)
    names = [c.name for c in t.cases]
    assert len(set(names)) == len(names), "case names must be unique"
    return t.cases


CASES = table()


def expected(case: Case) -> dict[str, Array]:
    """The reference outputs."""
    return case.program().run(case.feeds())


def check(case: Case, got: dict[str, Array], want: dict[str, Array]) -> None:
    """Compare by the pass rule with the case's tolerances."""
    assert list(got) == list(want)
    for name, w in want.items():
        g = np.asarray(got[name])
        assert g.shape == w.shape, f"{name}: {g.shape} is not {w.shape}"
        if w.dtype.kind != "f":
            np.testing.assert_array_equal(g.astype(np.int64), w.astype(np.int64), err_msg=name)
            continue
        np.testing.assert_allclose(
            g, w.astype(np.float32), rtol=case.rtol, atol=case.atol, err_msg=name
        )


def describe(cases: Sequence[Case]) -> list[str]:
    """The ids for pytest."""
    return [c.name for c in cases]
