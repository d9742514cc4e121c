"""Scan: a Loop over the lowered body, carries in double buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webconv.backends.lowering.indexing import loop, readable
from webconv.backends.tensor import Context, Tensor, stored, view
from webconv.ir import dims, ops
from webconv.ir.dims import Dim
from webconv.ir.op import Op


def scan(ctx: Context, op: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Runs the body's steps once per element of the sequences' first axis."""
    n, m = op.carries, op.carries + op.sequences
    sequences = [readable(ctx, t) for t in inputs[n:m]]
    time = sequences[0].shape[0]
    rings = [ctx.temp(t.dtype, t.shape, 2, f"{ctx.name}.carry") for t in inputs[:n]]
    for ring, t in zip(rings, inputs, strict=False):
        ctx.write(t, ring, lambda index: index, ring=0)
    results = list(op.body.outputs.values())
    stacks = [ctx.temp(v.type.dtype, (time, *v.shape)) for v in results[n:]]
    symbol = ctx.symbol(time, "s")
    s = dims.atom(symbol)
    now: Dim = time - 1 - s if op.reverse else s

    def body() -> None:
        given = [stored(ring, ring=s) for ring in rings]
        given += [view(x, x.shape[1:], lambda i, x=x: x.at((now, *i))) for x in sequences]  # type: ignore[misc]
        given += [readable(ctx, x) for x in inputs[m:]]
        values = dict(zip(op.body.inputs.values(), given, strict=True))
        tensors = ctx.lower_graph(op.body, values)
        for ring, v in zip(rings, results, strict=False):
            ctx.write(tensors[v], ring, lambda index: index, ring=s + 1)
        for stack, v in zip(stacks, results[n:], strict=True):
            ctx.write(tensors[v], stack, lambda index: (now, *index), stack.shape)

    loop(ctx, symbol, time, body)
    finals = [Tensor(r.dtype, r.shape, stored(r, ring=time).at) for r in rings]
    return (*finals, *(stored(b) for b in stacks))


LOWERINGS: dict[type[Op], Callable[..., Any]] = {ops.Scan: scan}
