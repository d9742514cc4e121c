"""Expressions in print, and the tables that they are printed by.

Every operand of a shader is a runtime value where WGSL would otherwise evaluate it while it
compiles: a constant expression that overflows, divides by zero or is not finite is an error there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from webconv.ir.errors import GraphError

# How tightly an expression binds. WGSL wants parentheses around most operands of operands.
PRIMARY, UNARY, PRODUCT, SUM, SHIFT, RELATION, BITS = range(7, 0, -1)
# Longer expressions are not put into others.
LONGEST = 56
VECTORS = {"f32": "vec4f", "i32": "vec4i", "u32": "vec4u", "bool": "vec4<bool>"}
INDENT = "  "


def variable(symbol: str) -> str:
    """The name of a loop's index in a shader; its symbol starts with a percent sign."""
    return symbol.replace("%", "step_")


# (operator, its level, the level its left and its right operand need)
INFIX: dict[str, tuple[str, int, int, int]] = {
    "add": ("+", SUM, SUM, PRODUCT),
    "sub": ("-", SUM, SUM, PRODUCT),
    "mul": ("*", PRODUCT, PRODUCT, UNARY),
    "div": ("/", PRODUCT, PRODUCT, UNARY),
    "rem": ("%", PRODUCT, PRODUCT, UNARY),
    "and": ("&", BITS, UNARY, UNARY),
    "or": ("|", BITS, UNARY, UNARY),
    "xor": ("^", BITS, UNARY, UNARY),
    "eq": ("==", RELATION, SUM, SUM),
    "ne": ("!=", RELATION, SUM, SUM),
    "lt": ("<", RELATION, SUM, SUM),
    "le": ("<=", RELATION, SUM, SUM),
    "gt": (">", RELATION, SUM, SUM),
    "ge": (">=", RELATION, SUM, SUM),
}
# These take a scalar and a vector; others need both alike.
MIXED = ("add", "sub", "mul", "div", "rem")
BUILTINS = ("abs", "min", "max", "fma", "floor", "ceil", "trunc", "round", "sqrt")

# Written once per shader, where it is used.
HELPERS = {
    "floordiv": """\
// a / b rounded down.
fn floordiv(a: i32, b: i32) -> i32 {
  let q = a / b;
  return select(q, q - 1, a != q * b && (a < 0) != (b < 0));
}""",
    **{
        f"runtime_{t}": f"// x, unknown to the compiler.\nfn runtime_{t}(x: {t}) -> {t} {{\n"
        "  return x;\n}"
        for t in ("f32", "i32", "u32")
    },
}


@dataclass(frozen=True)
class Text:
    """An expression in print; `reads` tells whether it loads, `names` what it refers to."""

    code: str
    level: int
    lanes: int = 1
    reads: bool = False
    names: frozenset[str] = frozenset()

    def at(self, level: int) -> str:
        """The code where `level` is needed."""
        return self.code if self.level >= level else f"({self.code})"


def type_name(type: str, lanes: int) -> str:
    """A scalar's or a vector's type."""
    return VECTORS[type] if lanes > 1 else type


def literal(value: int | float | bool, type: str) -> Text:
    """A number; f32s that are not normal are made from their bits at run time."""
    if type == "bool":
        return Text(str(bool(value)).lower(), PRIMARY)
    if type == "f32":
        return _float(np.float32(value))
    if type == "u32":
        return Text(f"{int(value) & 0xFFFFFFFF}u", PRIMARY)
    wrapped = (int(value) + 2**31) % 2**32 - 2**31
    return Text(str(wrapped), PRIMARY if wrapped >= 0 else UNARY)


def _float(x: np.float32) -> Text:
    if not np.isfinite(x):
        raise GraphError(f"{x} is no literal of a shader: make it from its bits")
    if x != 0 and abs(x) < np.finfo(np.float32).tiny:
        return Text(f"bitcast<f32>(runtime_i32({x.view(np.int32)}))", PRIMARY)
    if abs(x) == np.finfo(np.float32).max:
        # Shorter forms lie beyond the largest f32, which is an error.
        return Text(repr(float(x)), PRIMARY if x >= 0 else UNARY)
    code = np.format_float_positional(x, unique=True, trim="0")
    if len(code) > 14:
        code = np.format_float_scientific(x, unique=True, trim="-", exp_digits=1)
    if not any(c in code for c in ".e"):
        code += ".0"
    return Text(code, PRIMARY if x >= 0 and not np.signbit(x) else UNARY)
