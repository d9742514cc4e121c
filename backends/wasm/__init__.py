"""WebAssembly: one module per program, in a `simd128` and a `relaxed` form."""

from __future__ import annotations

from collections.abc import Mapping

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.kernel import Buffer, Entry, Kernel, kernels
from webconv.backends.linearise import Statement
from webconv.backends.plan import lower_bound, peak, plan_offsets
from webconv.backends.wasm.module import Module, aligned, element_bytes, strip_custom_sections
from webconv.ir.dims import Dim
from webconv.ir.graph import Program

VARIANTS = {"simd": False, "relaxed": True}


def compile(program: Program, entries: Mapping[str, Entry], weights: Weights) -> Compiled:
    """Both modules, and where a session finds inputs, outputs and states.

    An address in the descriptor is an integer, or the name of an exported global that `bind` sets.
    """
    from wasmtime import wat2wasm

    files: dict[str, bytes] = {}
    emitted: dict[tuple[int, Kernel], list[Statement]] = {}
    for variant, relaxed in VARIANTS.items():
        module = Module(program, weights, relaxed, emitted=emitted)
        _export(module, entries)
        text = module.compile(entries)
        files[f"{variant}.wasm"] = strip_custom_sections(bytes(wat2wasm(text)))
    descriptor = describe(module, entries)
    return Compiled("wasm", files, descriptor, stats(entries))


def _export(module: Module, entries: Mapping[str, Entry]) -> None:
    """Addresses of inputs and outputs that are globals are exported under their own names."""
    for k, entry in enumerate(entries.values()):
        for p, placement in enumerate(plan_offsets(entry, _bytes(entry))):
            io = {b for b, _ in (*entry.inputs.values(), *entry.outputs.values())}
            if placement.buffer in io:
                module.exported[f"$b{k}_{p}"] = f"b{k}_{p}"


def _bytes(entry: Entry) -> dict[Buffer, Dim]:
    return {b: aligned(b.size * b.ring * element_bytes(b)) for b in entry.buffers}


def describe(module: Module, entries: Mapping[str, Entry]) -> dict[str, object]:
    """The session's section of the descriptor."""

    def address(buffer: Buffer) -> int | str:
        at = module.addresses[buffer]
        return at if isinstance(at, int) else str(at).lstrip("$")

    return {
        "entries": [
            {
                "inputs": [address(b) for b, _ in entry.inputs.values()],
                "outputs": [address(b) for b, _ in entry.outputs.values()],
            }
            for entry in entries.values()
        ]
    }


def stats(entries: Mapping[str, Entry]) -> dict[str, object]:
    """Figures for people."""
    return {
        name: {
            "kernels": len(set(kernels(entry.steps))),
            "peak_bytes": peak(plan_offsets(entry, _bytes(entry))),
            "lower_bound_bytes": lower_bound(entry, _bytes(entry)),
        }
        for name, entry in entries.items()
    }
