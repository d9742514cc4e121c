"""Tells which axes of the example stay as long as they are, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from webconv.ir.dims import Shape
from webconv.ir.graph import Program

if TYPE_CHECKING:
    from webconv.frontends.chainer.opening import Axis
    from webconv.frontends.chainer.traced import Traced

# A reason may go on with what to do about it; a line should hold it.
LONGEST = 240


def with_notes(traced: Traced, program: Program, reasons: Mapping[Axis, str]) -> Program:
    """`program` with a note for each axis that stays, by the reason that is known of it."""
    if traced.sizes or traced.input_shapes or traced.counts:
        return program
    return dataclasses.replace(program, notes=tuple(_notes(program, reasons)))


def _notes(program: Program, reasons: Mapping[Axis, str]) -> Iterator[str]:
    """A line for the first axis of each input, which mostly is the batch, and for loops."""
    shapes = {name: value.shape for name, value in program.main.inputs.items()}
    for name, shape in shapes.items():
        for axis, size in enumerate(shape):
            if not isinstance(size, int) or (axis and (name, axis) not in reasons):
                continue
            known = " ".join(reasons.get((name, axis), "").split())
            yield f"{name}: axis {axis} stays {size}: {_short(known or _plain(name, shapes))}"


def _plain(name: str, shapes: Mapping[str, Shape]) -> str:
    """That an input has no name for its first axis, and how it and those alike get one."""
    size = shapes[name][0]
    alike = [n for n, shape in shapes.items() if shape and shape[0] == size]
    if name != alike[0]:
        return f"a plain number, as that of {alike[0]}"
    options = [f"--input-shape {n}={','.join(map(str, ['batch', *shapes[n][1:]]))}" for n in alike]
    return f"a plain number; {' '.join(options)} names it"


def _short(reason: str) -> str:
    return reason if len(reason) <= LONGEST else reason[:LONGEST].rsplit(" ", 1)[0] + " ..."
