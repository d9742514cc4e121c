"""What a run takes, at the sizes that plans assume: draws, and bytes of textures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webconv.backends.linearise import LANES
from webconv.backends.plan import hinted
from webconv.ir import dims
from webconv.ir.dims import Dim, Symbol

TEXEL_BYTES = 16


def draws_per_run(steps: Iterable[Mapping[str, Any]]) -> int:
    """The number of draws, those of loops as often as they run."""
    return sum(
        max(0, hinted(_at_start(s["count"]))) * draws_per_run(s["steps"]) if "loop" in s else 1
        for s in steps
    )


def texture_bytes(entry: Mapping[str, Any]) -> int:
    """Bytes of the textures that a plan owns."""
    blocks = [1] * len(entry["groups"])
    for draw in _draws(entry["steps"]):
        if draw.get("stacked"):
            for place, *ring in draw["writes"]:
                last = hinted(_at_end(ring[0])) // 2 if ring else 0
                group = entry["textures"][place]["group"]
                blocks[group] = max(blocks[group], last + 1)
    texels = [max(-(-hinted(d) // LANES) for d in sizes) for sizes in entry["groups"]]
    owned = [t for t in entry["textures"] if "group" in t]
    return sum(TEXEL_BYTES * texels[t["group"]] * blocks[t["group"]] * t["copies"] for t in owned)


def _draws(steps: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for s in steps:
        if "loop" in s:
            yield from _draws(s["steps"])
        else:
            yield s


def _at_start(d: Dim) -> Dim:
    """A size in the first iteration of the loops around it."""
    return dims.substitute(d, lambda a: 0 if _is_loop(a) else None)


def _at_end(d: Dim) -> Dim:
    """An index in the last iteration of the loops around it."""
    return dims.substitute(
        d,
        lambda a: a.bound - 1 if isinstance(a, Symbol) and a.bound is not None else None,
    )


def _is_loop(a: dims.Atom) -> bool:
    return isinstance(a, Symbol) and a.bound is not None
