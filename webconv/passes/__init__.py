"""Passes: functions from Program to Program that leave what it computes alone.

Kernels are fused by construction when a graph is lowered. What is left to passes is what changes
the graph: recurrences that are written out become operators, constants and identities go,
transposes cancel, scales, shifts and embeddings are folded into weights. See `driver` for rules and
their driver.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from webconv.ir.graph import Program
from webconv.passes.algebra import ALGEBRA
from webconv.passes.constants import CONSTANTS
from webconv.passes.driver import Explain, rewrite
from webconv.passes.layout import LAYOUT, reshape_unit_axes
from webconv.passes.movement import MOVEMENT
from webconv.passes.recognise_activations import RECOGNISE_ACTIVATIONS
from webconv.passes.recognise_normalisation import RECOGNISE_NORMALISATION
from webconv.passes.recurrences import recognise_recurrences
from webconv.passes.tables import table_rules
from webconv.passes.weights import WEIGHTS

SIMPLIFY = (
    *CONSTANTS,
    *ALGEBRA,
    *MOVEMENT,
    *RECOGNISE_ACTIVATIONS,
    *RECOGNISE_NORMALISATION,
)


def passes(
    fold_tables_bytes: int | None = None, explain: Explain | None = None
) -> tuple[Callable[[Program], Program], ...]:
    """The pipeline; for the arguments see `optimise`."""
    stages = (
        SIMPLIFY,
        (*SIMPLIFY, *LAYOUT, *WEIGHTS),
        (*SIMPLIFY, *table_rules(fold_tables_bytes), reshape_unit_axes),
    )
    return (
        partial(recognise_recurrences, explain=explain),
        *(partial(rewrite, rules=rules, explain=explain) for rules in stages),
    )


PASSES = passes()


def optimise(
    program: Program, *, fold_tables_bytes: int | None = None, explain: Explain | None = None
) -> Program:
    """`program` through every pass.

    An embedding in front of a recurrent operator becomes a table of gate pre-activations if that is
    no larger than table and weights, or has at most `fold_tables_bytes`. `explain` takes a line for
    each node that a rule nearly fits, with the reason why it was left alone.
    """
    for run in passes(fold_tables_bytes, explain):
        program = run(program)
    return program
