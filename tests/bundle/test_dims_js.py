"""Dims and descriptors in JavaScript say what they say in Python."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webconv.backends.dims_js import Code, dim_to_js, dims_function, js_literal, string
from webconv.ir import dims
from webconv.ir.errors import GraphError

B, T = dims.symbol("batch"), dims.symbol("time")

SIZES = st.recursive(
    st.integers(-9, 9) | st.sampled_from([B, T]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.integers(1, 7)).map(lambda p: dims.floordiv(*p)),
        st.tuples(inner, inner).map(lambda p: dims.minimum(*p)),
        st.tuples(inner, inner).map(lambda p: dims.maximum(*p)),
    ),
    max_leaves=6,
)


def evaluated(node: str, source: str) -> object:
    done = subprocess.run(
        [node, "--input-type=module", "-"],
        input=f"console.log(JSON.stringify({source}))",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_dims_have_the_values_of_python(node: str) -> None:
    """Floor division rounds down in both: one process for all of the expressions."""
    found: list[dims.Dim] = [
        dims.floordiv(B - T - 7, 3),
        dims.mod(B - T, 4),
        dims.ceildiv(B * T, 5),
    ]

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(SIZES)
    def collect(d: dims.Dim) -> None:
        found.append(d)

    collect()
    points = [(0, 0), (1, 9), (5, 2), (1000, 37)]
    source = ", ".join(f"((s) => {dim_to_js(d)})" for d in found)
    calls = ", ".join(f"{{batch: {b}, time: {t}}}" for b, t in points)
    got = evaluated(node, f"[{source}].map((f) => [{calls}].map((s) => f(s)))")
    want = [[dims.evaluate(d, {"batch": b, "time": t}) for b, t in points] for d in found]
    assert got == want


def test_symbols_of_any_name(node: str) -> None:
    d = dims.symbol("</script>") + dims.symbol("__proto__")
    sizes = 'Object.assign(Object.create(null), {["__proto__"]: 2, "\\u003c/script>": 3})'
    assert evaluated(node, f"((s) => {dim_to_js(d)})({sizes})") == 5


def test_descriptors_are_code() -> None:
    tree = {"shape": [B, 16, T + 1], "f": dims_function([B * T]), "raw": Code("new URL('x')")}
    assert js_literal(tree) == (
        '{ shape: ["batch", 16, (s) => s.time + 1], f: (s) => [s.batch * s.time], '
        "raw: new URL('x') }"
    )


STRINGS = [
    "",
    "a",
    "`${x}`",
    "</script>",
    "<!--",
    "\u2028\u2029",
    "\\",
    "'\"",
    "\0",
    "\r\n",
    "é\ud800",
]


@pytest.mark.parametrize("more", ["", "\nsecond line"])
def test_strings_survive(node: str, more: str) -> None:
    texts = [s + more for s in STRINGS if "\ud800" not in s]
    tree = {"texts": texts, "__proto__": 1, "a b": None, "numbers": [1e300, -0.5, True, 2**53]}
    source = js_literal(tree)
    assert "</" not in source
    assert "\u2028" not in source
    assert evaluated(node, source) == tree


def test_non_finite_numbers_are_code() -> None:
    assert js_literal([float("inf"), -float("inf"), float("nan")]) == "[Infinity, -Infinity, NaN]"


def test_what_no_descriptor_holds_is_a_bug() -> None:
    with pytest.raises(GraphError, match="object"):
        js_literal({"x": object()})


def test_a_string_ends_nothing() -> None:
    assert string("</script>\u2028") == '"\\u003c/script>\\u2028"'
