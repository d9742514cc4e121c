"""GLSL ES 3.00 as tables: types, operators, functions, literals.

GLSL has no implicit casts, compares vectors by functions, and knows no `mix` of integers; what it
lacks stands in HELPERS, printed where it is used. PROLOGUE goes before every shader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from webconv.ir.errors import GraphError

SCALARS = {"f32": "float", "i32": "int", "u32": "uint", "bool": "bool", "ivec2": "ivec2"}
VECTORS = {"f32": "vec4", "i32": "ivec4", "u32": "uvec4", "bool": "bvec4"}
INDENT = "  "
# Longer expressions are not put into others.
LONGEST = 72

# How tightly an expression binds.
PRIMARY, UNARY, PRODUCT, SUM, SHIFT, RELATION, AND, XOR, OR, LOGIC, CHOICE = range(11, 0, -1)

# (operator, level) between operands of any lanes.
INFIX: dict[str, tuple[str, int]] = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "udiv": ("/", PRODUCT),
    "and": ("&", AND),
    "or": ("|", OR),
    "xor": ("^", XOR),
    "shl": ("<<", SHIFT),
    "shr": (">>", SHIFT),
}
# (operator between scalars, function of vectors)
COMPARISONS = {
    "eq": ("==", "equal"),
    "ne": ("!=", "notEqual"),
    "lt": ("<", "lessThan"),
    "le": ("<=", "lessThanEqual"),
    "gt": (">", "greaterThan"),
    "ge": (">=", "greaterThanEqual"),
}
# (operator between scalars, helper of vectors)
LOGICAL = {"and": ("&&", "both"), "or": ("||", "either")}
BUILTINS = {
    **{name: name for name in ("abs", "min", "max", "floor", "ceil", "trunc", "sqrt")},
    **{name: name for name in ("block", "at_line")},
    "round": "roundEven",
    "bits": "floatBitsToInt",
    "from_bits": "intBitsToFloat",
}

PROLOGUE = """\
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
#ifdef BITS
#define FLOATS isampler2D
#define FLOAT4 ivec4
#define floats intBitsToFloat
#define stored floatBitsToInt
#else
#define FLOATS sampler2D
#define FLOAT4 vec4
#define floats
#define stored
#endif
uniform int zero;
// Where texel t of a texture that is only read lies.
ivec2 at_line(int t) {
  return ivec2(t & 4095, t >> 12);
}
// Where texel t of a texture that is drawn to lies.
ivec2 at_band(int t) {
  return ivec2((t >> 1) & 4095, (t & 1) | ((t >> 13) << 1));
}
// The texel that a fragment computes.
int texel(ivec2 p) {
  return (p.x << 1) | (p.y & 1) | ((p.y >> 1) << 13);
}
// Where block i of n texels begins.
ivec2 block(int i, int n) {
  int w = min((n + 1) >> 1, 4096), columns = 4096 / w, row = i / columns;
  return ivec2((i - row * columns) * w, row * ((n + 8191) >> 13 << 1));
}
vec4 fetch(FLOATS s, ivec2 p) {
  return floats(texelFetch(s, p, 0));
}
ivec4 ifetch(isampler2D s, ivec2 p) {
  return texelFetch(s, p, 0);
}
"""

# Row k of a batch becomes row `rows[k]` of what there was: `inner` elements along and below an
# axis of `before` rows, of which there are `count` now.
SELECT = """\
// states.select
uniform SAMPLER s;
uniform isampler2D rows;
uniform int inner, count, before;
out VECTOR o;
void main() {
  int t = texel(ivec2(gl_FragCoord.xy));
  VECTOR found;
  for (int c = 0; c < 4; c++) {
    int e = 4 * t + c, line = e / inner, outer = line / count, k = line - outer * count;
    int row = texelFetch(rows, at_line(k >> 2), 0)[k & 3];
    int from = (outer * before + row) * inner + e - line * inner;
    found[c] = texelFetch(s, at_band(from >> 2), 0)[from & 3];
  }
  o = found;
}
"""


def select_programs() -> list[dict[str, Any]]:
    """The programs that select rows of states: of floats and of integers."""
    return [
        {
            "samplers": ["s", "rows"],
            "sizes": ["inner", "count", "before"],
            "code": SELECT.replace("SAMPLER", sampler).replace("VECTOR", vector),
        }
        for sampler, vector in (("FLOATS", "FLOAT4"), ("isampler2D", "ivec4"))
    ]


HELPERS = {
    "floordiv": """\
// a / b rounded down.
int floordiv(int a, int b) {
  int q = a / b;
  return (a < 0) != (b < 0) && q * b != a ? q - 1 : q;
}
ivec4 floordiv(ivec4 a, ivec4 b) {
  ivec4 q = a / b;
  return q - ivec4(bvec4(ivec4(lessThan(a ^ b, ivec4(0))) & ivec4(notEqual(q * b, a))));
}""",
    "both": """\
bvec4 both(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) & ivec4(b));
}""",
    "either": """\
bvec4 either(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) | ivec4(b));
}""",
    "pick": """\
ivec4 pick(bvec4 c, ivec4 a, ivec4 b) {
  return b ^ ((a ^ b) & -ivec4(c));
}
uvec4 pick(bvec4 c, uvec4 a, uvec4 b) {
  return uvec4(pick(c, ivec4(a), ivec4(b)));
}
bvec4 pick(bvec4 c, bvec4 a, bvec4 b) {
  return bvec4(pick(c, ivec4(a), ivec4(b)));
}""",
}


def _each(fetch: str, place: str, sampler: str, vector: str) -> str:
    parts = ",\n    ".join(f"{fetch}(s, {place}(e.{c} >> 2))[e.{c} & 3]" for c in "xyzw")
    return (
        f"{vector} {fetch}_each_{place}({sampler} s, ivec4 e) {{\n  return {vector}({parts});\n}}"
    )


# Four elements from anywhere: `fetch_each_at_line` and so on.
HELPERS |= {
    f"{fetch}_each_{place}": _each(fetch, place, sampler, vector)
    for place in ("at_line", "at_band")
    for fetch, sampler, vector in (("fetch", "FLOATS", "vec4"), ("ifetch", "isampler2D", "ivec4"))
}


@dataclass(frozen=True)
class Text:
    """An expression in print; `names` are the values that it refers to."""

    code: str
    level: int
    type: str
    lanes: int = 1
    names: frozenset[str] = frozenset()

    def at(self, level: int) -> str:
        """The code where `level` is needed."""
        return self.code if self.level >= level else f"({self.code})"


def type_name(type: str, lanes: int) -> str:
    """A scalar's or a vector's type."""
    return VECTORS[type] if lanes > 1 else SCALARS[type]


def literal(value: int | float | bool, type: str) -> Text:
    """A number; integers wrap to 32 bits."""
    if type == "bool":
        return Text(str(bool(value)).lower(), PRIMARY, type)
    if type == "f32":
        return _float(np.float32(value))
    if type == "u32":
        return Text(f"{int(value) & 0xFFFFFFFF}u", PRIMARY, type)
    wrapped = (int(value) + 2**31) % 2**32 - 2**31
    if wrapped == -(2**31):
        return Text("(-2147483647 - 1)", PRIMARY, type)
    return Text(str(wrapped), PRIMARY if wrapped >= 0 else UNARY, type)


def _float(x: np.float32) -> Text:
    if not np.isfinite(x):
        raise GraphError(f"{x} is no literal of a shader: make it from its bits")
    code = np.format_float_positional(x, unique=True, trim="0")
    if len(code) > 14:
        code = np.format_float_scientific(x, unique=True, trim="-", exp_digits=1)
    if not any(c in code for c in ".e"):
        code += ".0"
    return Text(code, UNARY if np.signbit(x) else PRIMARY, "f32")
