"""Matrix products, einsum and determinants, beside onnxruntime and NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model
from webconv.frontends.einsum import einsum
from webconv.frontends.onnx.convert import convert
from webconv.ir import dtypes, graph
from webconv.ir.errors import ShapeError
from webconv.ir.op import TensorType

Array = Any
RNG = np.random.default_rng(11)


def normal(*shape: int) -> Array:
    """Normal f32 numbers."""
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("c", [(4, 6), (6,), (4, 1), (1, 6), (), None])
def test_gemm(opset: int, transposed: tuple[int, int], c: tuple[int, ...] | None) -> None:
    a, b = transposed
    inputs = {
        "a": normal(*((5, 4) if a else (4, 5))),
        "b": normal(*((6, 5) if b else (5, 6))),
        "c": None if c is None else normal(*c),
    }
    if c is None:
        del inputs["c"]
        opset = max(opset, 11)
    agree("Gemm", inputs, ("b",), opset=opset, transA=a, transB=b, alpha=0.5, beta=-2.0)


def test_gemm_of_integers_and_symbols() -> None:
    a, b, c = RNG.integers(-9, 9, (3, 4, 4)).astype(np.int32)
    want = a.T @ b + c
    made = model("Gemm", {"a": a, "b": b, "c": c}, transA=1, shapes={"c": ["n", "m"]})
    got = run_program(convert(made, Path(), {}, {}), {"a": a, "b": b, "c": c})["y0"]
    np.testing.assert_array_equal(got, want)


SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((4,), (2, 4, 3)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_products_of_vectors_and_stacks(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    agree("MatMul", {"x": normal(*left), "y": normal(*right)})
    agree("MatMul", {"x": normal(*left), "y": normal(*right)}, ("y",))


EQUATIONS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij,jk->ik", ((2, 3), (3, 4))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("ij->ji", ((2, 3),)),
    ("ba", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ij->i", ((2, 3),)),
    ("i,i->", ((4,), (4,))),
    ("i,j->ij", ((3,), (4,))),
    ("ii->i", ((3, 3),)),
    ("ii", ((3, 3),)),
    ("...ii->...i", ((2, 3, 3),)),
    ("iij,jkk->ik", ((2, 2, 3), (3, 4, 4))),
    ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
    ("...ij,...jk->...ik", ((2, 3, 4), (2, 4, 5))),
    ("bhwc,hkc->bhwk", ((2, 3, 4, 5), (3, 6, 5))),
    ("ab,bc,cd,da->", ((2, 3), (3, 4), (4, 5), (5, 2))),
    ("ab,cd,ef->fa", ((2, 2), (3, 3), (4, 4))),
    ("ab,ab->ab", ((2, 3), (2, 3))),
    ("b n h , b m h -> b n m", ((2, 3, 4), (2, 5, 4))),
    ("zB,Ba->az", ((2, 3), (3, 4))),
    ("a...b->b...", ((2, 3, 4, 5),)),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays = {f"x{k}": normal(*s) for k, s in enumerate(shapes)}
    made = model("Einsum", arrays, equation=equation, opset=12)
    program = convert(made, Path(), {}, {})
    want = np.einsum(equation, *arrays.values())
    for got in (program.run(arrays), run_program(program, arrays)):
        np.testing.assert_allclose(got["y0"], want, 1e-5, 1e-5)
        assert got["y0"].shape == want.shape


def test_einsum_broadcasts_and_keeps_symbols() -> None:
    agree(
        "Einsum",
        {"x": normal(2, 3, 4), "y": normal(2, 5, 4)},
        equation="bij,bkj->bik",
        shapes={"x": ["b", "i", 4], "y": ["b", "k", 4]},
    )
    x, y = normal(1, 3), normal(4, 3)
    program = convert(model("Einsum", {"x": x, "y": y}, equation="ij,ij->j"), Path(), {}, {})
    got = run_program(program, {"x": x, "y": y})["y0"]
    np.testing.assert_allclose(got, (x * y).sum(0), 1e-5)


def test_einsum_of_integers_is_exact() -> None:
    x, y = RNG.integers(-(2**30), 2**30, (2, 3, 3)).astype(np.int32)
    program = convert(model("Einsum", {"x": x, "y": y}, equation="ij,jk->ik"), Path(), {}, {})
    np.testing.assert_array_equal(run_program(program, {"x": x, "y": y})["y0"], x @ y)


@pytest.mark.parametrize(
    ("equation", "rule"),
    [
        ("ij,jk->ik", "is of 2 operands, but there are 1"),
        ("ijk->i", "does not fit"),
        ("i?->i", "is not of the form"),
        ("ij->ii", "has a label in its result twice"),
        ("ij->k", "has a label in its result twice or from nowhere"),
        ("......->", "is not of the form"),
    ],
)
def test_einsum_equations_that_do_not_fit(equation: str, rule: str) -> None:
    with pytest.raises(ShapeError, match=rule):
        einsum(equation, graph.input("x", TensorType(dtypes.f32, (2, 3))))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 13])
def test_determinants(n: int) -> None:
    x = normal(3, 2, n, n)
    if n > 1:
        x[0, 0, :, 0] = 0  # singular
        x[0, 1, :-1, 0] = 0  # no pivot but the last
        x[1, 0] = np.eye(n)[::-1]
    made = model("Det", {"x": x}, opset=22, shapes={"x": ["a", 2, n, n]})
    program = convert(made, Path(), {}, {})
    want = np.linalg.det(x.astype(float))
    np.testing.assert_allclose(program.run({"x": x})["y0"], want, 1e-9, 1e-9)
    atol = 3e-6 * float(np.linalg.norm(x.astype(float), axis=-1).prod(-1).max(initial=1))
    np.testing.assert_allclose(run_program(program, {"x": x})["y0"], want, 1e-5, atol)


def test_determinants_of_what_is_not_square() -> None:
    with pytest.raises(ShapeError, match="matrices must be square"):
        convert(model("Det", {"x": normal(2, 3)}, opset=22), Path(), {}, {})
