"""`--head`: the largest elements of an output, so that a page need not read back all."""

from __future__ import annotations

from dataclasses import replace

from webconv.ir import ops
from webconv.ir.errors import ModelFormatError
from webconv.ir.graph import Graph, Program, Value
from webconv.passes.substitute import rewire

RULE = "a head is argmax or topk:K, or several, also all, joined by commas: all,topk:5,argmax"


def read_heads(name: str, text: str) -> dict[str, int]:
    """Kinds of heads, each with its K, 0 where it has none; raises ModelFormatError."""
    found: dict[str, int] = {}
    for part in text.split(","):
        kind, colon, k = part.partition(":")
        known = kind == "topk" and k.isdecimal() if colon else kind in ("argmax", "all")
        if not known or kind in found or text == "all":
            raise ModelFormatError(f"output {name!r}: {RULE}, not {text!r}")
        found[kind] = int(k or 0)
    return found


def head_names(name: str, text: str) -> list[str]:
    """What outputs the heads of the output `name` have.

    The first head is called as the output was, the others `<name>_argmax`, `<name>_topk`; where
    the largest elements stand is `<their name>_indices`.
    """
    names = []
    for place, kind in enumerate(read_heads(name, text)):
        own = f"{name}_{kind}" if place else name
        names += [own, f"{own}_indices"] if kind == "topk" else [own]
    return names


def add_head(program: Program, name: str, text: str) -> Program:
    """The output `name` becomes its ArgMax, or its k largest values and their indices, or both."""
    names = head_names(name, text)
    graphs = program.entries.values()
    if taken := [n for n in names if n != name and any(n in g.outputs for g in graphs)]:
        raise ModelFormatError(f"output {name!r}: its head would be {taken[0]!r}, which is there")
    heads = read_heads(name, text)
    entries = {entry: _with_heads(graph, name, heads) for entry, graph in program.entries.items()}
    return replace(program, entries=entries)


def _with_heads(graph: Graph, name: str, heads: dict[str, int]) -> Graph:
    if name not in graph.outputs:
        return graph
    outputs: dict[str, Value] = {}
    for key, value in graph.outputs.items():
        outputs |= _heads(key, value, heads) if key == name else {key: value}
    changed = rewire(graph, {}, outputs=outputs)
    lists = changed.lists.outputs
    if name not in lists:
        return changed
    # The rows of a list are those of its largest elements, too.
    every = {**lists, **{n: lists[name] for n in outputs if n not in graph.outputs}}
    return replace(changed, lists=replace(changed.lists, outputs=every))


def _heads(name: str, value: Value, heads: dict[str, int]) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for place, (kind, k) in enumerate(heads.items()):
        own = f"{name}_{kind}" if place else name
        if kind == "topk":
            made[own], made[f"{own}_indices"] = ops.TopK(k)(value, name=f"{name}/topk")
        else:
            made[own] = ops.ArgMax()(value, name=f"{name}/argmax") if kind == "argmax" else value
    return made
