"""WebGL2 without a browser: placements, passes, printed shaders, figures."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases import CASES, Case, check, expected
from webconv.backends import interpret, webgl
from webconv.backends.compiled import Compiled, gather_weights
from webconv.backends.dims_js import js_literal
from webconv.backends.expr import Const
from webconv.backends.interpret import evaluate_expr
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store, kernels
from webconv.backends.legalise import map_kernels, narrow_integers
from webconv.backends.lower import lower
from webconv.backends.webgl.folds import split_folds
from webconv.backends.webgl.fuse import fused
from webconv.backends.webgl.loops import Stacks
from webconv.backends.webgl.merge import merged
from webconv.backends.webgl.placement import holds, invert, names, ordered
from webconv.backends.webgl.rows import split_rows
from webconv.backends.webgl.shader import identifiers
from webconv.backends.webgl.unroll import unrolled
from webconv.ir import dims, graph, ops
from webconv.ir.dims import Dim, Symbol, symbol
from webconv.ir.dtypes import f32
from webconv.ir.graph import Graph, Program, constant
from webconv.ir.op import TensorType

GOLDEN = Path(__file__).parent / "golden"
BY_NAME = {c.name: c for c in CASES}


def compiled(program: Program) -> Compiled:
    """The program for WebGL."""
    entries = {name: lower(program, name) for name in program.entries}
    return webgl.compile(program, entries, gather_weights(entries.values()))


def shaders(case: str) -> str:
    """The programs of a case in print."""
    programs = compiled(BY_NAME[case].program()).descriptor["programs"]
    return "\n".join(p["code"] for p in programs)


class TestPlacement:
    """From an element of the output back to the point that stores it."""

    def axes(self, *extents: Dim) -> list[Axis]:
        return [Axis(Symbol(f"i{k}", n), n) for k, n in enumerate(extents)]

    def test_order_of_axes_is_that_of_strides(self) -> None:
        batch = symbol("batch")
        a, b, c = self.axes(batch, 3, 8)
        assert ordered(b.index * 8 * batch + a.index * 8 + c.index, [a, b, c]) == (b, a, c)

    @pytest.mark.parametrize("offset", ["8*i0 + 8*i1 + i2", "25*i0 + 8*i1 + i2", "i2 + 1"])
    def test_what_is_no_numbering_has_no_order(self, offset: str) -> None:
        a = self.axes(2, 3, 8)
        named = {x.symbol.name: x.index for x in a}
        assert ordered(dims.bind(dims.parse(offset), named), a) is None

    PLACES: dict[str, tuple[tuple[int, ...], tuple[int, ...], Callable[..., tuple[Dim, ...]]]] = {
        "panels": ((2, 13), (2, 2, 8), lambda b, p, j: (b, p * 8 + j)),
        "shifted": ((4, 9), (4, 3), lambda i, j: (i, j + 5)),
        "reversed": ((7,), (7,), lambda s: (6 - s,)),
        "strided": ((9, 2), (3, 2), lambda i, j: (i * 3 + 1, j)),
        "both directions": ((5, 2), (2, 5), lambda d, s: (s + d * (4 - 2 * s), d)),
        "chunks": ((7, 2), (2, 3, 3), lambda d, c, s: (c * 3 + s + d * (6 - 6 * c - 2 * s), d)),
        "gaps": ((2, 20), (2, 2, 3), lambda b, p, j: (b, p * 8 + j)),
    }

    @pytest.mark.parametrize("name", PLACES)
    def test_inverse(self, name: str) -> None:
        shape, extents, place = self.PLACES[name]
        axes = self.axes(*extents)
        index = place(*(a.index for a in axes))
        buffer = Buffer("y", f32, shape)
        store = Store(buffer, shape, index, Const(0.0, "f32"))
        coords = tuple(Axis(Symbol(f"x{k}", n), n) for k, n in enumerate(shape))
        inverse = invert(store, dict(names(axes)), coords)
        assert inverse is not None
        reached = {}
        for point in itertools.product(*map(range, extents)):
            values = {a.symbol.name: i for a, i in zip(axes, point, strict=True)}
            element = tuple(dims.evaluate(i, values) for i in index)
            if all(0 <= i < n for i, n in zip(element, shape, strict=True)):
                reached[element] = point
        condition = holds([_resolved(c, inverse.resolve) for c in inverse.conditions])
        for element in itertools.product(*map(range, shape)):
            at = {f"x{k}": i for k, i in enumerate(element)}
            inside = condition is None or bool(evaluate_expr(condition, at))
            assert inside == (element in reached)
            if inside:
                point = tuple(dims.evaluate(inverse.resolve(a.index), at) for a in axes)
                assert point == reached[element]


def _resolved(e: Any, resolve: Callable[[Dim], Dim]) -> Any:
    from webconv.backends.expr import rewrite

    return rewrite(e, lambda _: None, resolve)


def _unrolled(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    def change(k: Kernel) -> Kernel:
        return replace(k, stores=tuple(replace(s, value=unrolled(s.value)) for s in k.stores))

    return map_kernels(steps, change)


PASSES: dict[str, Callable[[tuple[Step, ...]], tuple[Step, ...]]] = {
    "merged": merged,
    "fused": lambda steps: fused(steps, ()),
    "split_folds": lambda steps: tuple(split_folds(steps)),
    "split_rows": split_rows,
    "unrolled": _unrolled,
}


class TestPasses:
    """Each pass keeps what the interpreter computes."""

    @pytest.mark.parametrize("name", PASSES)
    @pytest.mark.parametrize(
        "case",
        ["concat_20", "concat_symbolic", "Softmax", "LogSoftmax_symbolic", "normalize",
         "matmul_long", "matmul_3_7_5", "reduce_sum_million", "reduce_mean_long", "conv2d",
         "LSTM_bidirectional_plain", "GRU_forward_symbolic", "RNN_reverse_masked", "ArgMax_nan"],
    )  # fmt: skip
    def test_value_is_kept(self, name: str, case: str) -> None:
        chosen = BY_NAME[case]
        entry = lower(chosen.program())
        outputs = {b for b, _ in entry.outputs.values()}
        change = PASSES[name] if name != "fused" else lambda steps: fused(steps, outputs)
        entry = replace(entry, steps=change(map_kernels(entry.steps, narrow_integers)))
        got = interpret.run(entry, chosen.feeds(), gpu=True)
        check(replace(chosen, atol=max(chosen.atol, 1e-5)), got, expected(chosen))

    def test_each_pass_has_a_case(self) -> None:
        for name, case in {
            "merged": "concat_20",
            "fused": "Softmax",
            "split_folds": "reduce_sum_million",
            "split_rows": "LSTM_forward_symbolic",
            "unrolled": "matmul_3_7_5",
        }.items():
            steps = lower(BY_NAME[case].program()).steps
            assert PASSES[name](steps) != steps, name

    def test_a_part_of_twenty_takes_two_draws(self) -> None:
        steps = merged(lower(BY_NAME["concat_20"].program()).steps)
        assert len(steps) == 2
        assert all(len(k.reads) <= 16 for k in kernels(steps))

    def test_fold_with_a_short_result_is_not_split(self) -> None:
        steps = lower(BY_NAME["reduce_Sum_0"].program()).steps
        assert tuple(split_folds(steps)) == steps

    def test_rows_of_a_large_product(self) -> None:
        """Four rows at a time, then one draw that puts them together; 35 is no multiple of 4."""
        rng = np.random.default_rng(0)
        x = graph.input("x", TensorType(f32, (symbol("m"), 40)))
        w = constant(rng.normal(size=(40, 12)).astype("f4"))
        program = Program({"main": Graph({"x": x}, {"y": ops.MatMul()(x, w)})})
        entry = lower(program)
        entry = replace(entry, steps=split_rows(entry.steps))
        first, second = kernels(entry.steps)
        assert (len(first.stores), len(second.stores)) == (4, 1)
        given = {"x": rng.normal(size=(35, 40)).astype("f4")}
        got, want = interpret.run(entry, given)["y"], program.run(given)["y"]
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)

    def test_stacks_of_a_recurrence_are_its_states(self) -> None:
        entry = lower(BY_NAME["LSTM_forward_plain"].program())
        stacks = Stacks()
        steps = stacks.steps(entry.steps)
        (loop,) = [s for s in steps if isinstance(s, Loop)]
        assert all(b.ring == 2 for b in stacks.history)
        assert {b for k in kernels(loop.body) for b in k.writes} == stacks.history

    def test_stack_of_what_is_no_state_has_a_texture_of_its_own(self) -> None:
        stacks = Stacks()
        stacks.steps(lower(BY_NAME["LSTM_masked_zero"].program()).steps)
        assert any(b.name.endswith(".steps") for b in stacks.history)


class TestShaders:
    """What is printed."""

    @pytest.mark.parametrize(
        "case",
        [
            "LSTM_forward_symbolic",
            "Softmax",
            "concat",
            "topk",
            "matmul_4_16_16",
            "maxpool_symbolic",
        ],
    )
    def test_golden(self, case: str, request: pytest.FixtureRequest) -> None:
        path = GOLDEN / f"webgl_{case}.glsl"
        got = shaders(case)
        if request.config.getoption("--golden"):
            path.write_text(got)
        assert got == path.read_text(), "see --golden"

    @pytest.mark.parametrize("case", CASES[::5], ids=lambda c: c.name)
    def test_nothing_that_glsl_does_not_take(self, case: Case) -> None:
        for p in compiled(case.program()).descriptor["programs"]:
            code = p["code"]
            assert not re.search(r"\b(inf|nan)\b", re.sub("//.*", "", code))
            assert "__" not in code
            assert code.isascii()
            assert len(p["samplers"]) <= 16
            assert code.count("layout(location") <= 4

    @pytest.mark.parametrize(
        "name", ["*/alert(1)//", "</script>`${x}", "a\nb", "\u2028", "__proto__", "gl_x"]
    )
    def test_hostile_names(self, name: str) -> None:
        x = graph.input(name, TensorType(f32, (symbol(name), 5)))
        y = ops.Tanh()(ops.Add()(x, x, name=name), name=name)
        program = Program({"main": Graph({name: x}, {name: y})})
        text = js_literal(compiled(program).descriptor)
        assert "</script" not in text
        assert "\u2028" not in text
        code = compiled(program).descriptor["programs"][0]["code"]
        assert "__" not in re.sub("//.*", "", code)
        assert re.fullmatch(r"[\w./:; ()+*\-=<>?\[\],{}&|!^%\n]*", code, re.ASCII)

    def test_equal_shaders_are_one_program(self) -> None:
        x = graph.input("x", TensorType(f32, (4, 1, 8)))
        h, descriptors = x, []
        for k in range(3):
            rng = np.random.default_rng(k)
            w = [rng.normal(size=s).astype("f4") for s in ((1, 8, 4, 8), (1, 8, 4, 8), (1, 4, 8))]
            y = ops.LSTM()(h, *map(constant, w), name=f"lstm_{k}")[0]
            h = ops.Reshape((4, 1, 8))(y)
            descriptors.append(compiled(Program({"main": Graph({"x": x}, {"y": h})})).descriptor)
        counts = [len(d["programs"]) for d in descriptors]
        # The second layer's input is drawn, not uploaded; the third has nothing new.
        assert counts[1] <= counts[0] + 2
        assert counts[2] == counts[1]
        assert "lstm_1" in "".join(p["code"] for p in descriptors[2]["programs"])

    def test_same_bytes_whatever_the_hash_seed(self) -> None:
        script = (
            "from tests.backends.test_webgl import BY_NAME, compiled\n"
            "from webconv.backends.dims_js import js_literal\n"
            "import hashlib\n"
            "for n in list(BY_NAME)[::7] + ['matmul_4_16_16', 'maxpool_symbolic']:\n"
            "    text = js_literal(compiled(BY_NAME[n].program()).descriptor)\n"
            "    print(hashlib.sha256(text.encode()).hexdigest())\n"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "PYTHONHASHSEED": seed},
                cwd=Path(__file__).parents[2],
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(printed) == 1


class TestFigures:
    """What inspect prints."""

    @pytest.mark.parametrize("cell", ["LSTM", "RNN"])
    @pytest.mark.parametrize("direction", ["forward", "bidirectional"])
    def test_draws_of_a_layer(self, cell: str, direction: str) -> None:
        steps = 7
        stats = compiled(BY_NAME[f"{cell}_{direction}_plain"].program()).stats
        outputs = 3 if cell == "LSTM" else 2
        # All outputs of the case are read: each final state is one more draw.
        assert stats["draws"]["main"] <= steps + 4 + outputs - 1

    def test_bytes_follow_the_blocks(self) -> None:
        short = compiled(BY_NAME["LSTM_forward_symbolic"].program()).stats["peak_bytes"]["main"]
        assert short > 0


def test_identifiers_have_no_double_underscore_where_a_long_name_is_cut() -> None:
    made = identifiers(["a" * 79 + "_b", "a" * 79 + "_c"], "t_")
    assert len(set(made)) == 2
    assert not any("__" in name for name in made)
