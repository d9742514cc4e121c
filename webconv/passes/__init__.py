"""Passes: functions from Program to Program."""

from __future__ import annotations

from collections.abc import Callable

from webconv.ir.graph import Program

Pass = Callable[[Program], Program]

# In the order in which they run.
PIPELINE: tuple[Pass, ...] = ()


def optimise(program: Program) -> Program:
    """`program` after every pass of the pipeline."""
    for step in PIPELINE:
        program = step(program)
    return program
