"""`webconv inspect`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webconv.api import Bundle
from webconv.cli.console import Console, write_json
from webconv.cli.figures import HEADERS, figures
from webconv.cli.options import BACKENDS, ModelOptions, about, json_option, model_options
from webconv.cli.proposals import propose_states, state_hint

if TYPE_CHECKING:
    from webconv.ir.graph import Graph, Program


@click.command()
@click.argument("path", metavar="MODEL|DIR", type=click.Path(path_type=Path))
@model_options
@json_option
def command(path: Path, json_path: str | None, **options: Any) -> int:
    """Show what a model or bundle is: operators, types, memory, and what supports it."""
    program = ModelOptions(**options).load(path)
    backends = Bundle.open(path).manifest["backends"] if path.is_dir() else {}
    found = describe(program, backends or _compiled(program, path))
    show(found, Console.beside(json_path))
    write_json(json_path, found)
    return 0 if not found["unsupported"] else 1


def describe(program: Program, backends: dict[str, Any]) -> dict[str, Any]:
    """All facts, for JSON."""
    from webconv.backends.lower import unsupported
    from webconv.passes.recurrences import recognise
    from webconv.passes.stages import stage

    staged = stage(program)
    return {
        "name": program.name,
        "parameters": program.parameters,
        "entries": {name: _entry(graph) for name, graph in program.entries.items()},
        "states": [{"name": s.name, "type": str(s.type)} for s in program.states],
        "proposed_states": [
            {"input": i, "output": o}
            for graph in program.entries.values()
            for i, o in propose_states(graph)
        ],
        "recurrences": asdict(recognise(program)[1]),
        "backends": {name: part["stats"] for name, part in backends.items()},
        "host_steps": [
            {"entry": entry, "name": name}
            for entry, schedule in staged.schedules.items()
            for name in schedule.names
        ],
        "unsupported": sorted(set(unsupported(staged))),
    }


def _entry(graph: Graph) -> dict[str, Any]:
    from webconv.ir.graph import Constant, Input
    from webconv.ir.lists import list_text

    nodes = [n for n in graph.nodes if not isinstance(n.op, Constant | Input)]
    return {
        "symbols": list(graph.symbols),
        "inputs": {
            name: graph.lists.text(name, v.type)
            for name, v in graph.inputs.items()
            if name not in graph.lists.lengths
        },
        "outputs": {
            name: list_text(v.type) if name in graph.lists.outputs else str(v.type)
            for name, v in graph.outputs.items()
        },
        "guards": [f"{g.left} = {g.right}" for g in graph.guards],
        "nodes": [
            {
                "op": type(n.op).__name__,
                "name": n.name,
                "outputs": [str(v.type) for v in n.outputs],
                "parameters": sum(
                    v.constant.size for v in n.inputs if v is not None and v.constant is not None
                ),
            }
            for n in nodes
        ],
    }


def _compiled(program: Program, path: Path) -> dict[str, Any]:
    """What each backend would need, for a program that all of them support."""
    from importlib import import_module

    from webconv.backends.compiled import gather_weights
    from webconv.backends.descriptor import ordered_entries
    from webconv.backends.lower import lower, unsupported
    from webconv.passes import optimise
    from webconv.passes.stages import stage
    from webconv.passes.vocabulary import retype_lookups

    staged = stage(retype_lookups(program)[0])
    if unsupported(staged):
        return {}
    with about(path):
        optimised = optimise(staged)
        entries = {n: lower(optimised, n) for n in ordered_entries(optimised.entries)}
        weights = gather_weights(entries.values())
        out = {}
        for backend in BACKENDS:
            module = import_module(f"webconv.backends.{backend}")
            out[backend] = {"stats": module.compile(optimised, entries, weights).stats}
        return out


def show(found: dict[str, Any], console: Console) -> None:
    """The same for people."""
    console.say(f"{found['name']}: {found['parameters']:,} parameters")
    for name, entry in found["entries"].items():
        console.say()
        console.say(f"entry {name}")
        types = [(kind, n, t) for kind in ("inputs", "outputs") for n, t in entry[kind].items()]
        console.table(("", "name", "type"), [(kind[:-1], n, t) for kind, n, t in types])
        for guard in entry["guards"]:
            console.say(f"must hold: {guard}")
        console.say()
        rows = [(n["op"], n["name"], n["outputs"][0], n["parameters"]) for n in entry["nodes"]]
        console.table(("op", "name", "output", "parameters"), rows)
    if found["states"]:
        console.say()
        console.table(("state", "type"), [(s["name"], s["type"]) for s in found["states"]])
    for pair in found["proposed_states"]:
        console.say(state_hint(pair["input"], pair["output"]))
    for step in found["host_steps"]:
        console.say(f"done between stages, in entry {step['entry']}: {step['name']}")
    show_recurrences(found["recurrences"], console)
    console.say()
    console.table(HEADERS, figures(found["backends"]))
    for line in found["unsupported"]:
        console.say(f"no kernels exist for {line}")


def show_recurrences(found: dict[str, Any], console: Console) -> None:
    """Cells that became layers, and why others did not."""
    layers, refused = found["layers"], found["refused"]
    if layers or refused:
        console.say()
    if layers:
        cells = sum(layer["cells"] for layer in layers)
        cell, layer = ("cell", "cells")[cells > 1], ("layer", "layers")[len(layers) > 1]
        console.say(f"{cells} written-out {cell} became {len(layers)} recurrent {layer}")
        rows = [(n["op"], n["name"], n["cells"]) for n in layers]
        console.table(("op", "name", "cells"), rows)
    for name, reason in refused.items():
        console.say(f"the cell {name} was not recognised: {reason}")
