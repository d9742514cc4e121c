"""The figures of compiled backends as rows: kernels, dispatches, peak memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HEADERS = ("backend", "figure", "value")


def figures(backends: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, object]]:
    """A row for every number in the nested stats of each backend."""
    return [
        (backend, name.replace("_", " "), value)
        for backend, stats in backends.items()
        for name, value in _flat("", stats)
    ]


def _flat(path: str, value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{path} {key}".strip(), inner)
    else:
        yield path, value
