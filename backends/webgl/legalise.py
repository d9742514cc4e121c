"""Entries as WebGL2 takes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from webconv.backends.kernel import Buffer, Entry, Kernel
from webconv.backends.legalise import map_kernels, narrow_integers
from webconv.backends.webgl.folds import split_folds
from webconv.backends.webgl.fuse import fused
from webconv.backends.webgl.loops import Stacks
from webconv.backends.webgl.merge import merged
from webconv.backends.webgl.rename import renamed
from webconv.backends.webgl.rows import split_rows
from webconv.backends.webgl.unroll import unrolled


def legalise(entry: Entry) -> tuple[Entry, Collection[Buffer]]:
    """The entry, and the buffers that have a block per iteration of a loop."""
    steps = map_kernels(entry.steps, narrow_integers)
    stacks = Stacks()
    steps = merged(stacks.steps(steps))
    steps = fused(steps, {b for b, _ in entry.outputs.values()})
    steps = tuple(split_folds(steps))
    steps = map_kernels(split_rows(steps), _unrolled)
    return replace(entry, steps=renamed(steps)), stacks.history


def _unrolled(kernel: Kernel) -> Kernel:
    stores = tuple(replace(s, value=unrolled(s.value)) for s in kernel.stores)
    return replace(kernel, stores=stores)
