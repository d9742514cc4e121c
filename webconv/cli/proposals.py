"""Pairs of an input and an output that look like a state: what `--state` would carry."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from webconv.ir.graph import Graph

# What names of the same state add on either side: h_in and h_out, past_0 and present_0.
SIDES = re.compile(
    r"(?:^|(?<=[^a-z]))(?:in|out|input|output|prev|previous|next|new|past|present|initial|final|n)"
    r"(?=$|[^a-z])"
)
ALIKE = 0.5


def propose_states(graph: Graph) -> list[tuple[str, str]]:
    """(input, output) of equal type and alike names, the most alike first; each name once."""
    lists = {*graph.lists.inputs, *graph.lists.lengths}
    scored = [
        (_likeness(i, o), i, o)
        for i, x in graph.inputs.items()
        for o, y in graph.outputs.items()
        if x.type == y.type and x.type.dtype.is_float and x.type.rank > 1 and i not in lists
    ]
    taken: set[tuple[str, str]] = set()
    out = []
    for score, i, o in sorted(scored, key=lambda found: -found[0]):
        if score >= ALIKE and ("in", i) not in taken and ("out", o) not in taken:
            taken |= {("in", i), ("out", o)}
            out.append((i, o))
    return out if len(out) < len(graph.outputs) else out[:-1]


def state_hint(given: str, made: str) -> str:
    """What to do with an input and an output that `propose_states` found."""
    return f"input {given!r} looks like a state: --state {given}={made} would carry it"


def _likeness(a: str, b: str) -> float:
    """1 for names that differ in a side only (`h_in`, `h_out`), or where one begins the other."""
    a, b = (SIDES.sub("", name.lower()).strip("_.:-/ ") for name in (a, b))
    if a == b or (a and b.startswith(a)) or (b and a.startswith(b)):
        return 1.0
    return SequenceMatcher(None, a, b).ratio()
