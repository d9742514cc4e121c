"""WebAssembly's instructions for the functions of kernels, scalar and SIMD.

Bools are 0 or 1 as scalars and all-ones masks as lanes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Row = Callable[..., str]

WASM = {"f32": "f32", "i32": "i32", "u32": "i32", "bool": "i32", "i64": "i64", "u64": "i64"}
SHAPES = {"f32": "f32x4", "i32": "i32x4", "u32": "i32x4", "bool": "i32x4"}


def _op(name: str) -> Row:
    return lambda *args: f"({name} {' '.join(args)})"


def _same(a: str) -> str:
    return a


def _ops(prefix: str, names: str, suffix: str = "") -> dict[str, Row]:
    """An instruction `prefix.name` for each of some names."""
    return {name: _op(f"{prefix}.{name}{suffix}") for name in names.split()}


_FLOAT = "add sub mul div neg abs min max sqrt floor ceil trunc eq ne lt le gt ge"
_COMPARED = "lt le gt ge"
_BITWISE = "and or xor"


def _extremum(compare: str) -> Row:
    return lambda a, b: f"(select {a} {b} ({compare} {a} {b}))"


def _integer(t: str, sign: str) -> dict[str, Row]:
    """The rows of an integer type; `sign` is s or u."""
    rows = {
        **_ops(t, f"add sub mul shl eq ne {_BITWISE}"),
        **_ops(t, f"div rem shr {_COMPARED}", f"_{sign}"),
        "neg": lambda a: f"({t}.sub ({t}.const 0) {a})",
        "not": lambda a: f"({t}.xor {a} ({t}.const -1))",
        "min": _extremum(f"{t}.lt_{sign}"),
        "max": _extremum(f"{t}.gt_{sign}"),
        "f32": _op(f"f32.convert_{t}_{sign}"),
    }
    if sign == "u":
        return {**rows, "abs": _same}
    zero = f"({t}.const 0)"
    return {**rows, "abs": lambda a: f"(select {a} ({t}.sub {zero} {a}) ({t}.ge_s {a} {zero}))"}


def _narrow(sign: str) -> dict[str, Row]:
    return {
        **_integer("i32", sign),
        "i64": _op(f"i64.extend_i32_{sign}"),
        "u64": _op(f"i64.extend_i32_{sign}"),
        "u32": _same,
        "i32": _same,
        "from_bits": _op("f32.reinterpret_i32"),
    }


def _wide(sign: str) -> dict[str, Row]:
    return {
        **_integer("i64", sign),
        "i32": _op("i32.wrap_i64"),
        "u32": _op("i32.wrap_i64"),
        "i64": _same,
        "u64": _same,
    }


# Scalar instructions by type of the first argument (for select: of the second).
SCALAR: dict[str, dict[str, Row]] = {
    "f32": {
        **_ops("f32", _FLOAT),
        "round": _op("f32.nearest"),
        "fma": lambda a, b, c: f"(f32.add (f32.mul {a} {b}) {c})",
        "i32": _op("i32.trunc_sat_f32_s"),
        "u32": _op("i32.trunc_sat_f32_u"),
        "i64": _op("i64.trunc_sat_f32_s"),
        "u64": _op("i64.trunc_sat_f32_u"),
        "bits": _op("i32.reinterpret_f32"),
    },
    "i32": {
        **_narrow("s"),
        "udiv": _op("i32.div_u"),
        "floordiv": lambda a, b: f"(call $floordiv {a} {b})",
    },
    "u32": _narrow("u"),
    "i64": _wide("s"),
    "u64": _wide("u"),
    "bool": {
        **_ops("i32", f"eq ne {_BITWISE}"),
        **_ops("i32", _COMPARED, "_u"),
        "not": _op("i32.eqz"),
        "max": _op("i32.or"),
        "min": _op("i32.and"),
        "f32": _op("f32.convert_i32_u"),
        "i32": _same,
        "u32": _same,
        "i64": _op("i64.extend_i32_u"),
        "u64": _op("i64.extend_i32_u"),
    },
}


def _lanes(sign: str) -> dict[str, Row]:
    """The rows of four i32 or u32."""
    return {
        **_ops("i32x4", "add sub mul eq ne neg"),
        **_ops("v128", f"not {_BITWISE}"),
        **_ops("i32x4", f"min max {_COMPARED}", f"_{sign}"),
        "f32": _op(f"f32x4.convert_i32x4_{sign}"),
        "abs": _op("i32x4.abs") if sign == "s" else _same,
        "u32": _same,
        "i32": _same,
        "from_bits": _same,
    }


# Vector instructions; what is missing is done lane by lane.
VECTOR: dict[str, dict[str, Row]] = {
    "f32": {
        **_ops("f32x4", _FLOAT),
        "round": _op("f32x4.nearest"),
        "fma": lambda a, b, c: f"(f32x4.add (f32x4.mul {a} {b}) {c})",
        "i32": _op("i32x4.trunc_sat_f32x4_s"),
        "u32": _op("i32x4.trunc_sat_f32x4_u"),
        "bits": _same,
    },
    "i32": _lanes("s"),
    "u32": _lanes("u"),
    "bool": {
        **_ops("v128", f"not {_BITWISE}"),
        **_ops("i32x4", "eq ne"),
        "max": _op("v128.or"),
        "min": _op("v128.and"),
        "i32": _op("i32x4.neg"),
        "u32": _op("i32x4.neg"),
        "f32": lambda a: f"(v128.and {a} (v128.const f32x4 1 1 1 1))",
    },
}

RELAXED = {"fma": _op("f32x4.relaxed_madd")}

# Four lanes by one scalar amount.
SHIFTS = {
    ("shl", "i32"): "i32x4.shl",
    ("shl", "u32"): "i32x4.shl",
    ("shr", "i32"): "i32x4.shr_s",
    ("shr", "u32"): "i32x4.shr_u",
}

# Rows that name an argument twice need it in a local.
REPEATS = {"min", "max", "abs"}


def literal(value: float | bool, type: str) -> str:
    """A constant instruction."""
    if type == "f32":
        return f"(f32.const {_float(value)})"
    return f"({WASM[type]}.const {int(value)})"


def splat_literal(value: float | bool, type: str) -> str:
    """Four times a constant."""
    if type == "bool":
        value = -1 if value else 0
    text = _float(value) if type == "f32" else str(int(value))
    return f"(v128.const {SHAPES[type]} {' '.join([text] * 4)})"


def splat(text: str, type: str) -> str:
    """Four times a scalar."""
    match = re.fullmatch(r"\((?:f32|i32)\.load( offset=\d+)? (.*)\)", text)
    if match and type != "bool" and _balanced(match[2]):
        return f"(v128.load32_splat{match[1] or ''} {match[2]})"
    if type == "bool":
        return f"(i32x4.splat (i32.sub (i32.const 0) {text}))"
    return f"({SHAPES[type]}.splat {text})"


def identifier(name: str) -> str:
    """`name` with what WAT identifiers do not allow replaced."""
    return "$" + re.sub(r"[^\w./:]", "_", name, flags=re.ASCII)


def _float(value: float) -> str:
    return f"{float(np.float32(value)):.9g}"


def _balanced(text: str) -> bool:
    """True if `text` is one parenthesised expression."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and k < len(text) - 1:
            return False
    return depth == 0
