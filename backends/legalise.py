"""Makes lowered entries fit a target: types it has, and its limits, which are data.

GPUs have no 64-bit integers: i64 is computed as i32 and u64 as u32, wrapping; the largest and
smallest i64 mean "to the end" and become those of i32. bool lies in memory as i32. Long folds are
split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from webconv.backends.expr import (
    Call,
    Const,
    Expr,
    Fold,
    Index,
    Load,
    Var,
    rewrite,
)
from webconv.backends.functions import FUNCTIONS
from webconv.backends.kernel import Buffer, Entry, Kernel, Loop, Step, Store
from webconv.backends.split import split_folds
from webconv.ir.dims import Dim

# The elements of GPU storage, by the type that they are computed in on wasm.
ELEMENTS = {"f32": "f32", "i32": "i32", "u32": "u32", "bool": "i32", "i64": "i32", "u64": "u32"}

# What takes the place of a type that GPUs lack.
NARROW = {"i64": "i32", "u64": "u32"}


@dataclass(frozen=True)
class Limits:
    """What a target takes: storage buffers or textures of a kernel, and bytes of one of them."""

    bindings: int
    binding_bytes: int


# The default limits of WebGPU, which every adapter has: https://www.w3.org/TR/webgpu/#limits
WEBGPU = Limits(bindings=8, binding_bytes=128 << 20)


def element(buffer: Buffer) -> str:
    """The type of a buffer's elements in GPU storage: f32, i32 or u32."""
    return ELEMENTS[buffer.compute]


def legalise(entry: Entry, limits: Limits) -> Entry:
    """The same entry within the limits of a target."""
    return replace(entry, steps=split_folds(map_kernels(entry.steps, narrow_integers)))


def map_kernels(steps: tuple[Step, ...], change: Callable[[Kernel], Kernel]) -> tuple[Step, ...]:
    """`change` applied to every kernel."""
    return tuple(
        replace(s, body=map_kernels(s.body, change)) if isinstance(s, Loop) else change(s)
        for s in steps
    )


def map_exprs(kernel: Kernel, replacement: Callable[[Expr], Expr | None]) -> Kernel:
    """The expressions of a kernel, indices included, rewritten bottom-up."""

    def dim(d: Dim) -> Dim:
        new = rewrite(Index(d), replacement)
        assert isinstance(new, Index)
        return new.dim

    def store(s: Store) -> Store:
        guard = None if s.guard is None else rewrite(s.guard, replacement)
        ring = None if s.ring is None else dim(s.ring)
        value = rewrite(s.value, replacement)
        return Store(s.buffer, s.shape, tuple(map(dim, s.index)), value, guard, ring)

    return replace(kernel, stores=tuple(map(store, kernel.stores)))


def narrow_integers(kernel: Kernel) -> Kernel:
    """i64 -> i32, u64 -> u32"""
    if not any(e.type in NARROW or _takes_64(e) for e in kernel.exprs):
        return kernel
    return map_exprs(kernel, _narrow)


def _takes_64(e: Expr) -> bool:
    return isinstance(e, Call) and any(a.type in NARROW for a in e.args)


def _narrow(e: Expr) -> Expr | None:
    """What takes an expression's place; None leaves it, but for its operands."""
    match e:
        case Const(type="i64"):
            return Const(_saturated(int(e.value)), "i32")
        case Const(type="u64"):
            return Const(int(e.value) % 2**32, "u32")
        case Var() if e.type in NARROW:
            return Var(e.name, NARROW[e.type])
        case Load() if e.type in NARROW:
            return rewrite(replace(e, type=NARROW[e.type]), _narrow)
        case Call():
            return _narrow_call(e, tuple(rewrite(a, _narrow) for a in e.args))
        case Fold() if e.type in NARROW:
            type = NARROW[e.type]
            accumulator = Var(e.accumulator.name, type)
            return rewrite(replace(e, accumulator=accumulator, type=type), _narrow)
    return None


def _narrow_call(e: Call, args: tuple[Expr, ...]) -> Expr:
    type = NARROW.get(e.type, e.type)
    function = NARROW.get(e.function, e.function)
    if function in ("i32", "u32") and args[0].type == function:
        return args[0]
    if function.endswith(("_i64", "_u64")):
        function = f"{function[:-2]}32"
        assert function in FUNCTIONS
    return Call(function, args, type)


def _saturated(value: int) -> int:
    if value in (2**63 - 1, -(2**63)):
        return 2**31 - 1 if value > 0 else -(2**31)
    return (value + 2**31) % 2**32 - 2**31
