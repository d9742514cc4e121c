"""Tells which axes of the example stay as long as they are, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from webconv.ir.graph import Program

if TYPE_CHECKING:
    from webconv.frontends.chainer.opening import Axis
    from webconv.frontends.chainer.traced import Traced

# A reason may go on with what to do about it; a line should hold it.
LONGEST = 240


def with_notes(traced: Traced, program: Program, reasons: Mapping[Axis, str]) -> Program:
    """`program` with a note for each axis that stays, by the reason that is known of it."""
    if traced.sizes or traced.input_shapes or traced.entries or traced.counts:
        return program
    return dataclasses.replace(program, notes=tuple(_notes(program, reasons)))


def _notes(program: Program, reasons: Mapping[Axis, str]) -> Iterator[str]:
    """A line for the first axis of each input, which mostly is the batch, and for loops."""
    for name, value in program.main.inputs.items():
        shape = value.shape
        for axis, size in enumerate(shape):
            if not isinstance(size, int) or (axis and (name, axis) not in reasons):
                continue
            known = " ".join(reasons.get((name, axis), "").split())
            named = ",".join("batch" if k == axis else str(n) for k, n in enumerate(shape))
            reason = known or f"a plain number; --input-shape {name}={named} names it"
            yield f"{name}: axis {axis} stays {size}: {_short(reason)}"


def _short(reason: str) -> str:
    return reason if len(reason) <= LONGEST else reason[:LONGEST].rsplit(" ", 1)[0] + " ..."
