"""Which axes of several kernels are one and the same coordinate, independent of its other values.

A workgroup may run a point of such a coordinate through all the kernels, with barriers, and never
needs what another workgroup stored: every element of a buffer that the kernels share is reached at
one value of the coordinate only. That is read off the index expressions: an access whose index in
some axis of the buffer *is* the coordinate reaches only elements with that index. Two views of a
buffer agree if that axis has the same extent and the same elements behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webconv.backends.expr import Load
from webconv.backends.kernel import Axis, Buffer, Kernel, Loop, Step, Store
from webconv.ir import dims
from webconv.ir.dims import Dim

# (extent, elements behind): the elements e of a buffer with (e // behind) % extent == coordinate.
Part = tuple[Dim, Dim]


@dataclass(frozen=True)
class Coordinate:
    """`axes` names the axis of each kernel that it stands for."""

    extent: Dim
    axes: Mapping[str, str]


def accesses(kernel: Kernel) -> Iterator[Load | Store]:
    """Every load and store of a kernel."""
    yield from (e for e in kernel.exprs if isinstance(e, Load))
    yield from kernel.stores


def shared_buffers(steps: Sequence[Step], inside: bool = False) -> set[Buffer]:
    """Buffers that a kernel stores to and another, or another iteration, touches."""
    touched: dict[Buffer, int] = {}
    written: set[Buffer] = set()
    for kernel, repeated in _kernels(steps, inside):
        for b in dict.fromkeys((*kernel.reads, *kernel.writes)):
            both = b in kernel.reads and b in kernel.writes
            touched[b] = touched.get(b, 0) + (2 if both or repeated else 1)
        written |= set(kernel.writes)
    return {b for b in written if touched[b] > 1}


def _kernels(steps: Sequence[Step], inside: bool) -> Iterator[tuple[Kernel, bool]]:
    for step in steps:
        if isinstance(step, Loop):
            yield from _kernels(step.body, True)
        else:
            yield step, inside


def parts(access: Load | Store, axis: Axis) -> list[Part]:
    """The ways in which an access stays within one value of `axis`."""
    index = axis.index
    found = []
    for k, i in enumerate(access.index):
        if i == index and access.shape[k] == axis.extent:
            found.append((access.shape[k], dims.product(access.shape[k + 1 :])))
    return found


def coordinates(steps: Sequence[Step], most: int = 2) -> list[Coordinate]:
    """Independent coordinates of all kernels in `steps`, as many as there are up to `most`."""
    kernels = [k for k, _ in _kernels(steps, False)]
    shared = shared_buffers(steps)
    found: list[Coordinate] = []
    anchor = max(kernels, key=lambda k: len(k.axes))
    for axis in anchor.axes:
        if len(found) == most:
            break
        taken = {(name, a) for c in found for name, a in c.axes.items()}
        made = _extend(kernels, shared, anchor, axis, taken)
        if made is not None:
            found.append(made)
    return found


def _extend(
    kernels: Sequence[Kernel],
    shared: set[Buffer],
    anchor: Kernel,
    axis: Axis,
    taken: set[tuple[str, str]],
) -> Coordinate | None:
    """The coordinate that `axis` of `anchor` is, if every kernel has an axis for it."""
    keys: dict[Buffer, Part] = {}
    axes: dict[str, str] = {}
    waiting = [anchor, *(k for k in kernels if k is not anchor)]
    while waiting:
        kernel = next((k for k in waiting if k is anchor or _touches(k, keys)), waiting[0])
        waiting.remove(kernel)
        choice = [axis] if kernel is anchor else [a for a in kernel.axes if a.extent == axis.extent]
        for a in choice:
            new = None if (kernel.name, a.symbol.name) in taken else _match(kernel, a, shared, keys)
            if new is not None:
                keys |= new
                axes[kernel.name] = a.symbol.name
                break
        else:
            return None
    return Coordinate(axis.extent, axes)


def _touches(kernel: Kernel, keys: Mapping[Buffer, Part]) -> bool:
    return any(b in keys for b in (*kernel.reads, *kernel.writes))


def _match(
    kernel: Kernel, axis: Axis, shared: set[Buffer], keys: Mapping[Buffer, Part]
) -> dict[Buffer, Part] | None:
    """The parts of the shared buffers that `axis` keeps within, or None."""
    allowed: dict[Buffer, list[Part]] = {b: [p] for b, p in keys.items()}
    for access in accesses(kernel):
        if access.buffer not in shared:
            continue
        own = parts(access, axis)
        before = allowed.get(access.buffer)
        allowed[access.buffer] = own if before is None else [p for p in before if p in own]
        if not allowed[access.buffer]:
            return None
    return {b: options[0] for b, options in allowed.items()}
