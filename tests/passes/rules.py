"""How a rule is tested: it fires and the value stays, or it leaves the very same program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.passes.programs import Array, op_counts, program
from webconv.ir import dims
from webconv.ir.graph import Program, Value
from webconv.passes.driver import Rule, rewrite

# Every kind of f32 number; among them what a careless identity changes.
EXTREMES = [0.0, -0.0, 1.0, -1.5, 3e38, -3e38, 1e-40, 7.25, np.inf, -np.inf, np.nan]


@dataclass(frozen=True)
class Fires:
    """`rule` turns `before` into a program of the operators `after`, in alphabetical order.

    The outputs must then be equal to the bit where `exact`, else to 1e-5.
    """

    rule: Rule
    before: Value
    after: str = ""
    exact: bool = True


@dataclass(frozen=True)
class Stays:
    """`rule` does not fire on `before`, and gives `reason` if it gives one."""

    rule: Rule
    before: Value
    reason: str = ""
    also_read: Value | None = None


def name(case: Fires | Stays) -> str:
    """The id for pytest."""
    return f"{case.rule.__name__}-{type(case).__name__.lower()}"


def check(case: Fires | Stays) -> None:
    """Run one case."""
    reasons: list[str] = []
    more = [case.also_read] if isinstance(case, Stays) and case.also_read is not None else []
    before = rewrite(program(case.before, *more), ())  # equal constants are one
    after = rewrite(before, (case.rule,), reasons.append)
    if isinstance(case, Stays):
        assert after is before
        assert reasons[:1] == ([f"{_label(case)}: {case.reason}"] if case.reason else [])
        return
    assert after is not before, "it did not fire"
    written = " ".join(sorted(k for k, n in op_counts(after).items() for _ in range(n)))
    assert written == case.after
    for n in (1, 3):
        x = feeds(before, n, extreme=case.exact)
        want, got = (p.run(x, precision=np.float32)["y0"] for p in (before, after))
        if case.exact:
            np.testing.assert_array_equal(got, want, strict=True)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
        else:
            np.testing.assert_allclose(got, want, 1e-5, 1e-5, strict=True)


def _label(case: Stays) -> str:
    node = case.before.node
    return f"{type(node.op).__name__} {node.name}".strip() + f": {case.rule.__name__}"


def feeds(p: Program, n: int, extreme: bool = False) -> dict[str, Array]:
    """Inputs with all symbols bound to n."""
    rng = np.random.default_rng(n)
    out = {}
    for key, v in p.main.inputs.items():
        shape = tuple(dims.evaluate(d, dict.fromkeys(dims.symbols(d), n)) for d in v.shape)
        if v.type.dtype.kind == "f":
            array = rng.choice(EXTREMES, shape) if extreme else rng.normal(size=shape)
        else:
            array = rng.integers(-2, 9, shape)
        out[key] = array.astype(v.type.dtype.numpy)
    return out
