"""Integer functions with every edge defined, the same on every target.

x / 0 = 0, x mod 0 = 0, INT_MIN / -1 wraps, shifts past the width give what single steps would,
float to integer saturates and NaN gives 0. i64 and u64 exist on wasm alone.
"""

from __future__ import annotations

from webconv.backends.expr import Const, Expr, call, select
from webconv.backends.functions import core
from webconv.backends.functions.core import Table, define, differ, equal
from webconv.backends.functions.rounding import is_nan

WIDTH = {"i32": 32, "u32": 32, "i64": 64, "u64": 64}
UNSIGNED = ("u32", "u64")


def _safe(x: Expr, y: Expr) -> Expr:
    """The divisor, or 1 where the quotient is not a number of the type."""
    bad = equal(y, 0)
    if x.type not in UNSIGNED:
        least = Const(-(2 ** (WIDTH[x.type] - 1)), x.type)
        bad = bad | (equal(x, least) & equal(y, -1))
    return select(bad, Const(1, x.type), y)


def safe_div(x: Expr, y: Expr) -> Expr:
    """x / y truncated; x / 0 is 0, INT_MIN / -1 is INT_MIN."""
    return select(equal(y, 0), 0, call("div", x, _safe(x, y)))


def safe_rem(x: Expr, y: Expr) -> Expr:
    """The remainder with the sign of x; 0 for y = 0."""
    safe = _safe(x, y)
    return x - call("div", x, safe) * safe


def safe_mod(x: Expr, y: Expr) -> Expr:
    """The remainder with the sign of y; 0 for y = 0."""
    r = safe_rem(x, y)
    return r if x.type in UNSIGNED else select(differ(r, 0) & ((r ^ y) < 0), r + y, r)


def ipow(x: Expr, y: Expr) -> Expr:
    """x to the y, wrapping; for y < 0 it is 1 / x**-y truncated, and 0 for x = 0."""
    value: Expr = Const(1, x.type)
    square = x
    digits = WIDTH[x.type] - (x.type not in UNSIGNED)
    for k in range(digits):
        value = select(differ(y & (1 << k), 0), value * square, value)
        square = square * square
    if x.type in UNSIGNED:
        return value
    minus_one = select(differ(y & 1, 0), Const(-1, x.type), 1)
    inverse = select(equal(x, 1), x, select(equal(x, -1), minus_one, 0))
    return select(y < 0, inverse, value)


def safe_shl(x: Expr, y: Expr) -> Expr:
    """x << y; 0 for y < 0 and past the width."""
    inside = _inside(y)
    return select(inside, call("shl", x, select(inside, y, 0)), 0)


def safe_shr(x: Expr, y: Expr) -> Expr:
    """x >> y, keeping the sign; for y < 0 and past the width nothing but the sign is left."""
    inside = _inside(y)
    if x.type in UNSIGNED:
        return select(inside, call("shr", x, select(inside, y, 0)), 0)
    return call("shr", x, select(inside, y, WIDTH[y.type] - 1))


def _inside(y: Expr) -> Expr:
    below = y < WIDTH[y.type]
    return below if y.type in UNSIGNED else (y >= 0) & below


def sign(x: Expr) -> Expr:
    """-1, 0 or 1."""
    positive = select(x > 0, Const(1, x.type), 0)
    return positive if x.type in UNSIGNED else select(x < 0, Const(-1, x.type), positive)


def _saturate(kind: str, low: float, end: float, x: Expr) -> Expr:
    """x truncated and limited to [low, end), where end itself means the largest value."""
    inside = (x > low) & (x < end)
    whole = call(kind, call("trunc", select(inside, x, 0.0)))
    least, most = Const(int(low), kind), Const(int(end) - 1, kind)
    limited = select(x >= end, most, select(x <= low, least, whole))
    return select(is_nan(x), 0, limited)


def saturate_i32(x: Expr) -> Expr:
    """x truncated, saturating; NaN is 0."""
    return _saturate("i32", -(2.0**31), 2.0**31, x)


def saturate_u32(x: Expr) -> Expr:
    """x truncated, saturating; NaN is 0."""
    return _saturate("u32", 0.0, 2.0**32, x)


def saturate_i64(x: Expr) -> Expr:
    """x truncated, saturating; NaN is 0."""
    return _saturate("i64", -(2.0**63), 2.0**63, x)


def saturate_u64(x: Expr) -> Expr:
    """x truncated, saturating; NaN is 0."""
    return _saturate("u64", 0.0, 2.0**64, x)


def wrap_i8(x: Expr) -> Expr:
    """The low 8 bits, signed."""
    return core.shift_right(core.shift_left(x, 24), 24)


def wrap_i16(x: Expr) -> Expr:
    """The low 16 bits, signed."""
    return core.shift_right(core.shift_left(x, 16), 16)


def wrap_u8(x: Expr) -> Expr:
    """The low 8 bits."""
    return x & 0xFF


def wrap_u16(x: Expr) -> Expr:
    """The low 16 bits."""
    return x & 0xFFFF


def _typed(kind: str) -> Table:
    builders = (safe_div, safe_rem, safe_mod, ipow, safe_shl, safe_shr, sign)
    return define(kind, *builders, suffix=f"_{kind}")


INTEGERS: Table = (
    _typed("i32")
    | _typed("u32")
    | _typed("i64")
    | _typed("u64")
    | define("f32", saturate_i32, saturate_u32, saturate_i64, saturate_u64)
    | define("i32", wrap_i8, wrap_i16, wrap_u8, wrap_u16)
)
