"""Functions that Chainer computes outside of its graph, or in many steps, as one function each.

While a chain is traced, `composites()` puts these in the place of Chainer's own. They call the
original to compute their values, so a trace sees what the chain gives.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer.functions.array import where as where_module
from chainer.functions.math import ceil as ceil_module
from chainer.functions.math import fix as fix_module
from chainer.functions.math import floor as floor_module
from chainer.functions.math import sign as sign_module
from chainer.functions.pooling import max_pooling_nd as max_pooling_module
from chainer.functions.pooling.upsampling_2d import Upsampling2D
from chainer.utils import conv_nd

UPSAMPLING = ("kh", "kw", "sy", "sx", "ph", "pw", "outh", "outw", "cover_all")


class Composite(chainer.FunctionNode):  # type: ignore[misc]
    """A function that is computed by `original`, a function of arrays to arrays."""

    def __init__(self, original: Callable[..., Any], **attributes: Any) -> None:
        self._original = original
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arrays that the original gives."""
        with composites_off(), chainer.no_backprop_mode():
            made = self._original(*inputs)
        made = made if isinstance(made, tuple) else (made,)
        return tuple(y.array if isinstance(y, chainer.Variable) else np.asarray(y) for y in made)


class Floor(Composite):
    """F.floor."""


class Ceil(Composite):
    """F.ceil."""


class Fix(Composite):
    """F.fix."""


class Sign(Composite):
    """F.sign."""


class MaxPoolingWithIndices(Composite):
    """F.max_pooling_*(return_indices=True), with the indices as the second output."""


class UpsamplingVariable(Composite):
    """F.upsampling_2d, with the indices as the second input."""


class WhereVariable(Composite):
    """F.where, with its condition as the first input."""


ABSENT = object()

_active: list[bool] = []


def is_active() -> bool:
    """True while calls are to be single functions of the graph."""
    return bool(_active) and _active[-1]


@contextlib.contextmanager
def composites_off() -> Iterator[None]:
    """The original functions again, within a composite."""
    _active.append(False)
    try:
        yield
    finally:
        _active.pop()


@contextlib.contextmanager
def composites() -> Iterator[None]:
    """While it lasts, Chainer's functions are those of this file."""
    changes = list(_changes())
    kept = [(place, name, vars(place).get(name, ABSENT)) for place, name, _ in changes]
    _active.append(True)
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in kept:
            if value is ABSENT:
                delattr(place, name)
            else:
                setattr(place, name, value)
        _active.pop()


def _changes() -> Iterator[tuple[Any, str, Any]]:
    # They are made of this file's classes.
    from webconv.frontends.chainer import composites_recurrent, stand_ins

    yield from stand_ins.changes()
    yield from composites_recurrent.changes()
    # Chainer 7 uses names that NumPy has dropped since.
    for name, plain in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(np):
            yield np, name, plain
    pooling = _max_pooling(F.max_pooling_nd)
    yield F, "max_pooling_nd", pooling
    yield max_pooling_module, "max_pooling_nd", pooling
    yield F, "upsampling_2d", _upsampling(F.upsampling_2d)
    pairs = (
        ("floor", floor_module, Floor),
        ("ceil", ceil_module, Ceil),
        ("fix", fix_module, Fix),
        ("sign", sign_module, Sign),
    )
    for name, module, kind in pairs:
        replacement = _unary(getattr(F, name), kind)
        yield F, name, replacement
        yield module, name, replacement
    where = _where(F.where)
    yield F, "where", where
    yield where_module, "where", where
    yield from _graph_kept()


def _graph_kept() -> Iterator[tuple[Any, str, Any]]:
    """What asks Chainer to make no graph, as chains do to run faster: it has no effect."""

    def no_mode(original: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: contextlib.nullcontext() if is_active() else original()

    using = chainer.using_config

    def using_config(name: str, value: Any, *rest: Any, **options: Any) -> Any:
        if is_active() and name == "enable_backprop":
            return contextlib.nullcontext()
        return using(name, value, *rest, **options)

    yield chainer, "no_backprop_mode", no_mode(chainer.no_backprop_mode)
    yield chainer.function, "no_backprop_mode", no_mode(chainer.function.no_backprop_mode)
    yield chainer, "using_config", using_config
    for name in ("unchain", "unchain_backward"):
        yield chainer.Variable, name, lambda variable: None


def _unary(original: Callable[..., Any], kind: type[Composite]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any) -> Any:
        return kind(original).apply((x,))[0] if _active[-1] else original(x)

    return replacement


def _where(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(condition: Any, x: Any, y: Any) -> Any:
        if not _active[-1]:
            return original(condition, x, y)
        return WhereVariable(original).apply((condition, x, y))[0]

    return replacement


def _max_pooling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any, ksize: Any, *rest: Any, **options: Any) -> Any:
        given = inspect.signature(original).bind(x, ksize, *rest, **options)
        given.apply_defaults()
        names = given.arguments
        if not _active[-1] or not names["return_indices"]:
            return original(x, ksize, *rest, **options)
        ndim = x.ndim - 2
        stride = names["ksize"] if names["stride"] is None else names["stride"]
        node = MaxPoolingWithIndices(
            lambda a: original(a, *given.args[1:], **given.kwargs),
            ksize=conv_nd.as_tuple(names["ksize"], ndim),
            stride=conv_nd.as_tuple(stride, ndim),
            pad=conv_nd.as_tuple(names["pad"], ndim),
            cover_all=names["cover_all"],
        )
        return node.apply((x,))

    return replacement


def _upsampling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(x: Any, indexes: Any, *rest: Any, **options: Any) -> Any:
        if not _active[-1] or not isinstance(indexes, chainer.Variable):
            return original(x, indexes, *rest, **options)
        plain = Upsampling2D(indexes.array, *rest, **options)
        node = UpsamplingVariable(
            lambda a, where: original(a, where, *rest, **options),
            **{k: v for k, v in vars(plain).items() if k in UPSAMPLING},
        )
        return node.apply((x, indexes))[0]

    return replacement
