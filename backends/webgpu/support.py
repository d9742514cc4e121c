"""What kernels call and what their frames compute with: our mathematics, and sizes, as WGSL."""

from __future__ import annotations

import re
from collections.abc import Callable

from webconv.backends.functions import FUNCTIONS
from webconv.backends.linearise import Emitter, Layout, Ref
from webconv.backends.webgpu.text import HELPERS, type_name
from webconv.backends.webgpu.wgsl import Printer
from webconv.ir.dims import Apply, Dim, Symbol
from webconv.ir.errors import GraphError


def comment(text: str) -> str:
    """Text out of a model, safe in a comment."""
    return re.sub(r"[^\w ./:,-]+", "_", text, flags=re.ASCII)


def print_support(printer: Printer) -> list[str]:
    """The helpers and functions that the printer's code calls, called ones first."""
    printed: dict[tuple[str, int], str] = {}
    helpers = dict(printer.helpers)

    def add(name: str, lanes: int) -> None:
        if (name, lanes) in printed:
            return
        inner = Printer()
        text = print_function(inner, name, lanes)
        for called in inner.functions:
            add(*called)
        helpers.update(inner.helpers)
        printed[name, lanes] = text

    for called in printer.functions:
        add(*called)
    return [*(HELPERS[h] for h in sorted(helpers)), *printed.values()]


def print_function(printer: Printer, name: str, lanes: int) -> str:
    """One of FUNCTIONS, for one value or for four at once."""
    function = FUNCTIONS[name]
    em = Emitter(Layout())
    parameters = []
    for p in function.parameters:
        ref = Ref(p.name, p.type, lanes)
        em.depths[ref] = 0
        em.scopes[0].names[p.name] = ref
        parameters.append(f"{p.name}: {type_name(p.type, lanes)}")
    result = em.expr(function.body)
    lines = printer.body(em.scopes[0].statements, result)
    kind = type_name(function.body.type, lanes)
    doc = comment(function.doc.split(":")[0].rstrip("."))
    return (
        f"// {doc}\n"
        f"fn {name}_{lanes}({', '.join(parameters)}) -> {kind} {{\n" + "\n".join(lines) + "\n}"
    )


_APPLIED = {"min": "min({}, {})", "max": "max({}, {})", "floordiv": "(({}) / ({}))"}


def print_dim(d: Dim, size: Callable[[str], str]) -> str:
    """A size as WGSL; its divisions are of what is not negative."""
    if isinstance(d, int):
        return str(d)
    terms = []
    for monomial, c in d.terms:
        factors = [] if c == 1 and monomial else [str(c)]
        for a in monomial:
            if isinstance(a, Symbol):
                factors.append(size(a.name))
            elif isinstance(a, Apply):
                args = (print_dim(x, size) for x in (a.a, a.b))
                factors.append(_APPLIED[a.function].format(*args))
            else:
                raise GraphError(f"{a} is no size")
        terms.append(" * ".join(factors))
    return " + ".join(terms)
