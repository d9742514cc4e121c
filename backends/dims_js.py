"""Dims and descriptors as JavaScript source: what bundles hold is code, so nothing needs `eval`.

A descriptor is a tree of dicts, lists, strings, numbers, booleans and None, in which a Dim may
stand for a number, and `Code` for JavaScript of the backend's own. In JavaScript a Dim is a number,
the name of a symbol (a string), or an arrow function of the symbols' values `s`; `size(dim, s)` of
the runner's `shape.js` takes all three.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from webconv.ir import dims
from webconv.ir.dims import Apply, Atom, Dim, Expr, Symbol
from webconv.ir.errors import GraphError

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
# Characters that end a line, a script element or an HTML comment inside of a JavaScript string.
_UNSAFE = re.compile("[\u2028\u2029\x7f-\x9f\ufeff]|</|<!--")
_WIDTH = 96


class Code(str):
    """JavaScript that stands in a descriptor as it is."""


def dim_to_js(d: Dim) -> str:
    """`d` as an expression over `s`, the object of the symbols' values."""
    if isinstance(d, int):
        return str(d)
    out = ""
    for monomial, c in d.terms:
        factors = [_atom(a) for a in monomial]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("-" if not out else " - ") if c < 0 else ("" if not out else " + ")
        out += sign + " * ".join(factors)
    return out


def _atom(a: Atom) -> str:
    match a:
        case Symbol(name=name):
            return f"s.{name}" if _IDENTIFIER.fullmatch(name) else f"s[{string(name)}]"
        case Apply(function="floordiv", a=x, b=y):
            divisor = dim_to_js(y) if isinstance(y, int) else f"({dim_to_js(y)})"
            return f"Math.floor(({dim_to_js(x)}) / {divisor})"
        case Apply(function=function, a=x, b=y):
            return f"Math.{function}({dim_to_js(x)}, {dim_to_js(y)})"
    raise GraphError(f"the dim {a} has no form in JavaScript")


def dim_literal(d: Dim) -> Code:
    """`d` as a number, a symbol's name, or an arrow function of the sizes."""
    if isinstance(d, int):
        return Code(d)
    symbol = dims.bare_atom(d)
    if isinstance(symbol, Symbol):
        return Code(string(symbol.name))
    return Code(f"(s) => {dim_to_js(d)}")


def dims_function(values: Sequence[Dim]) -> Code:
    """An arrow function from the sizes to the array of all `values`: `(s) => [s.batch, 16]`."""
    return Code(f"(s) => [{', '.join(map(dim_to_js, values))}]")


def string(text: str) -> str:
    """A string literal that no content ends, in a module or in a script element."""
    return _UNSAFE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0][0]):04x}{match[0][1:]}"


def _template(text: str) -> str:
    """Several lines, readable: generated kernels are for reading too."""
    escaped = re.sub(r"[\\`]|\$(?=\{)", r"\\\g<0>", text)
    return f"`{_UNSAFE.sub(_escape, escaped)}`"


def js_literal(value: Any, indent: int = 0) -> str:
    """A descriptor as a JavaScript expression; what fits on a line stays on one."""
    match value:
        case Code():
            return str.__str__(value)
        case Expr():
            return dim_literal(value)
        case str():
            printable = "\n" in value and "\r" not in value and "\0" not in value
            return _template(value) if printable else string(value)
        case bool() | None:
            return json.dumps(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case int() | float():
            return json.dumps(value)
        case Mapping():
            items = [f"{_key(k)}: {js_literal(v, indent + 2)}" for k, v in value.items()]
            return _bracketed("{", items, "}", indent)
        case Sequence():
            return _bracketed("[", [js_literal(v, indent + 2) for v in value], "]", indent)
    raise GraphError(f"a descriptor cannot hold {type(value).__name__}")


def _key(name: object) -> str:
    text = str(name)
    if text == "__proto__":
        return '["__proto__"]'  # as a plain key it would set the prototype
    return text if _IDENTIFIER.fullmatch(text) else string(text)


def _bracketed(opening: str, items: Sequence[str], closing: str, indent: int) -> str:
    space = " " if opening == "{" and items else ""
    line = opening + space + ", ".join(items) + space + closing
    if "\n" not in line and indent + len(line) <= _WIDTH:
        return line
    pad = "\n" + " " * (indent + 2)
    return opening + pad + ("," + pad).join(items) + ",\n" + " " * indent + closing
