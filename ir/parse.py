"""Parses the text form of programs, `webconv.ir.text`; nothing in it is run."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from webconv.ir import dims
from webconv.ir.dims import Dim, Shape
from webconv.ir.dtypes import DTYPES
from webconv.ir.errors import ModelFormatError, WebconvError
from webconv.ir.graph import Constant, Graph, Input, Node, Program, State, Value
from webconv.ir.lists import Lists
from webconv.ir.op import Array, Op, TensorType
from webconv.ir.ops import OPS
from webconv.ir.text import Reference

# The array of a type that lies at a reference, in its shape.
Fetch: TypeAlias = Callable[[TensorType, Reference], Array]


def parse_program(text: str, fetch: Fetch | None = None) -> Program:
    """The program that `text` denotes; raises ModelFormatError with the line that is wrong."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"the text form cannot be read: {error}") from None
    return _Parser(fetch).program(module)


class _Parser:
    """Knows the variables of the graph that it is in."""

    def __init__(self, fetch: Fetch | None) -> None:
        self._fetch = fetch
        self._graphs: dict[str, Graph] = {}
        self._values: dict[str, Value] = {}
        self._symbols: dict[str, Dim] = {}
        self._weights: dict[Reference, Array] = {}

    def program(self, module: ast.Module) -> Program:
        name = "model"
        states: list[State] = []
        entries: dict[str, Graph] = {}
        for line in module.body:
            try:
                match line:
                    case ast.With(items=[ast.withitem(context_expr=ast.Call() as head)]):
                        kind, (key, *_) = _called(head)
                        graph = self._graph(line.body)
                        if kind == "graph":
                            self._graphs[_identifier(key)] = graph
                        else:
                            entries[_text(key)] = graph
                    case ast.Expr(value=ast.Call() as call):
                        kind, (key, *rest) = _called(call)
                        if kind == "program":
                            name = _text(key)
                        elif kind == "symbol":
                            bound = self._dim(rest[0])
                            self._symbols[_text(key)] = dims.symbol(_text(key), bound)
                        else:
                            states.append(self._state(_text(key), *rest))
                    case _:
                        raise KeyError
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise _refused(line, error) from None
        if not entries:
            raise ModelFormatError("the text form holds no entry")
        return Program(entries, tuple(states), name)

    def _state(self, name: str, type: ast.expr, initial: ast.expr | None = None) -> State:
        array = None
        if initial is not None:
            array = self._array(initial)
        return State(name, self._type(type), array)

    def _graph(self, body: list[ast.stmt]) -> Graph:
        self._values = {}
        parts: dict[str, dict[str, Value]] = {k: {} for k in ("input", "output", "read", "write")}
        lists: dict[str, dict[str, Any]] = {k: {} for k in ("input", "output", "least", "more")}
        for line in body:
            try:
                match line:
                    case ast.Assign(targets=[target], value=ast.Call() as call):
                        self._assign(target, call, parts, lists)
                    case ast.Expr(value=ast.Call() as call):
                        kind, (name, value) = _called(call)
                        parts[kind][_text(name)] = self._values[_identifier(value)]
                        _note_list(call, lists)
                    case _:
                        raise KeyError
            except (KeyError, IndexError, TypeError, ValueError, WebconvError) as error:
                raise _refused(line, error) from None
        return Graph(
            parts["input"],
            parts["output"],
            parts["read"],
            parts["write"],
            lists=Lists(lists["input"], lists["output"], lists["least"], lists["more"]),
        )

    def _assign(
        self,
        target: ast.expr,
        call: ast.Call,
        parts: dict[str, dict[str, Value]],
        lists: dict[str, dict[str, Any]],
    ) -> None:
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        variables = [_identifier(t) for t in targets]
        named = {k.arg: k.value for k in call.keywords}
        name = _text(named["name"]) if "name" in named else variables[0]
        if isinstance(call.func, ast.Call):
            inputs = [None if _is_none(a) else self._values[_identifier(a)] for a in call.args]
            node = Node(self._op(call.func), inputs, name)
        elif _identifier(call.func) in ("constant", "weight"):
            node = Node(Constant(self._array(call)), (), name)
        else:
            kind, (key, type, *sizes) = _called(call)
            node = Node(Input(self._type(type), tuple(map(_text, sizes))), (), _text(key))
            parts[kind][_text(key)] = node.outputs[0]
            _note_list(call, lists)
        self._values |= dict(zip(variables, node.outputs, strict=True))

    def _array(self, node: ast.expr) -> Array:
        assert isinstance(node, ast.Call)
        kind, (type, *rest) = _called(node)
        t = self._type(type)
        if kind == "constant":
            shape = tuple(dims.evaluate(d, {}) for d in t.shape)
            values = rest[0].elts if isinstance(rest[0], ast.List) else []
            return np.array([_scalar(v) for v in values], t.dtype.numpy).reshape(shape)
        reference = tuple(ast.literal_eval(r) for r in rest)
        if reference not in self._weights:
            if self._fetch is None:
                raise ValueError("no weights were given")
            self._weights[reference] = self._fetch(t, reference)
        return self._weights[reference]

    def _op(self, call: ast.Call) -> Op:
        attributes = {k.arg: self._attribute(k.value) for k in call.keywords if k.arg}
        return OPS[_identifier(call.func)](**attributes)

    def _attribute(self, node: ast.expr) -> Any:
        match node:
            case ast.Tuple(elts=elts):
                return tuple(self._attribute(e) for e in elts)
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in DTYPES:
                return DTYPES[name]
            case ast.Name(id=name) if name in self._graphs:
                return self._graphs[name]
            case ast.Subscript():
                return self._type(node)
            case ast.Call(func=ast.Name(id="constant" | "weight")):
                return self._array(node)
            case ast.Call(func=ast.Name(id=name)) if name in OPS:
                return self._op(node)
        number = _scalar(node)
        return self._dim(node) if number is None else number

    def _type(self, node: ast.expr) -> TensorType:
        assert isinstance(node, ast.Subscript)
        sizes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        shape: Shape = tuple(map(self._dim, sizes))
        return TensorType(DTYPES[_identifier(node.value)], shape)

    def _dim(self, node: ast.expr) -> Dim:
        return dims.bind(dims.parse(ast.unparse(node)), self._symbols)


def _note_list(call: ast.Call, lists: dict[str, dict[str, Any]]) -> None:
    """Keep which lengths an input or output has that is a list, and their limits."""
    kind, (name, *_) = _called(call)
    for keyword in call.keywords:
        if keyword.arg == "lengths":
            lists[kind][_text(name)] = _text(keyword.value)
        elif keyword.arg in ("least", "more"):
            lists[keyword.arg][_text(name)] = int(ast.literal_eval(keyword.value))


def _called(call: ast.Call) -> tuple[str, list[ast.expr]]:
    return _identifier(call.func), call.args


def _identifier(node: ast.expr) -> str:
    if not isinstance(node, ast.Name):
        raise KeyError(ast.unparse(node))
    return node.id


def _text(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    if not isinstance(value, str):
        raise TypeError("a name must be a string")
    return value


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _scalar(node: ast.expr) -> int | float | bool | None:
    """The number that a literal is (`-1`, `inf`, `-nan`), or None."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _scalar(operand)
            return None if inner is None else -inner
        case ast.Name(id="inf" | "nan" as name):
            return math.inf if name == "inf" else math.nan
    return None


def _refused(line: ast.stmt, error: Exception) -> ModelFormatError:
    if isinstance(error, ModelFormatError):
        return error
    excerpt = ast.unparse(line).splitlines()[0][:80]
    why = f", {error}" if str(error) else ""
    return ModelFormatError(f"the text form, line {line.lineno}: cannot read {excerpt!r}{why}")
