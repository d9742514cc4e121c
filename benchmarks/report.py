"""Statistics of the measurements, as JSON values and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.files import FILES
from benchmarks.session import Choice, FirstResult

# Two answers further apart than this are not of the same computation, and their ratio says nothing.
AGREEMENT = 1e-4

GPU_COUNTS = ("dispatches", "draws", "submits", "passes", "bindings", "writes", "copies")


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Give the median and the quartiles of samples."""
    low, median, high = np.percentile(samples, [25, 50, 75])
    return {"median": float(median), "low": float(low), "high": float(high)}


def ratios(sides: Sequence[Sequence[float]]) -> dict[str, float] | None:
    """Divide the first side's samples by the second's, round by round: below 1 is faster."""
    if len(sides) < 2:
        return None
    return spread([ours / theirs for ours, theirs in zip(sides[0], sides[1], strict=True)])


def difference(outputs: Sequence[Any]) -> float | None:
    """Give the largest difference of two sides' outputs, None if there is one side."""
    return float(np.abs(outputs[0] - outputs[1]).max()) if len(outputs) == 2 else None


def time_row(
    name: str, choices: Sequence[Choice], measured: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Summarise what `Session.compare` gave for one model on one backend."""
    sides = [
        {
            "runtime": choice.runtime,
            "ms": spread(side["samples"]),
            "samples": side["samples"],
            "runs_per_sample": side["repeats"],
            "gpu_until_first_result": side["loading"],
            "gpu_per_run": side["running"],
            "report": side["report"],
        }
        for choice, side in zip(choices, measured, strict=True)
    ]
    return {
        "model": name,
        "backend": choices[0].backend,
        "sides": sides,
        "ratio": ratios([side["samples"] for side in measured]),
        "max_abs_diff": difference([side["output"] for side in measured]),
    }


def first_row(
    name: str, choices: Sequence[Choice], results: Sequence[FirstResult]
) -> dict[str, Any]:
    """Summarise what `Session.first_results` gave for one model on one backend."""
    sides = [
        {
            "runtime": choice.runtime,
            "ms": spread(result.milliseconds),
            "samples": result.milliseconds,
            "gzip_bytes_besides_weights": result.gzip_bytes,
            "files": result.files,
        }
        for choice, result in zip(choices, results, strict=True)
    ]
    return {
        "model": name,
        "backend": choices[0].backend,
        "sides": sides,
        "ratio": ratios([result.milliseconds for result in results]),
        "max_abs_diff": difference([result.output for result in results]),
    }


def disagreements(rows: Iterable[dict[str, Any]]) -> list[str]:
    """List the rows whose two sides did not compute the same."""
    return [
        f"{row['model']} on {row['backend']}: outputs differ by {row['max_abs_diff']:.3g}"
        for row in rows
        # Written so that NaN disagrees too.
        if row["max_abs_diff"] is not None and not row["max_abs_diff"] <= AGREEMENT
    ]


def missed_bars(results: dict[str, Any]) -> list[str]:
    """List what is worse than asked for on wasm: every run at most the peer's time, a real file's
    1.5 times that, and the character model's first result at most a tenth of the peer's."""
    bars = [(r, "a run", 1.5 if r["model"] in FILES else 1.0) for r in results["times"]]
    bars += [(r, "the first result", 0.1) for r in results["first_results"] if r["model"] == "char"]
    return [
        f"{row['model']} on wasm: {what} takes {row['ratio']['median']:.3f} of the peer's time"
        for row, what, most in bars
        if row["backend"] == "wasm" and not row["ratio"]["median"] <= most
    ]


def print_tables(console: Console, results: dict[str, Any]) -> None:
    """Print times, first results with bytes, and GPU calls, where there are any."""
    console.print(_times("Milliseconds per run, median (quartiles)", results["times"]))
    if results["first_results"]:
        console.print(_firsts(results["first_results"]))
    if any(side["gpu_per_run"] for row in results["times"] for side in row["sides"]):
        console.print(_gpu_calls(results["times"]))


def _times(title: str, rows: list[dict[str, Any]]) -> Table:
    table = _table(title, "model", "backend", "ours", "peer", "ours / peer", "max abs diff")
    for row in rows:
        times = [_milliseconds(side["ms"]) for side in row["sides"]]
        gap = "" if row["max_abs_diff"] is None else f"{row['max_abs_diff']:.1e}"
        table.add_row(row["model"], row["backend"], *_two(times), _ratio(row["ratio"]), gap)
    return table


def _firsts(rows: list[dict[str, Any]]) -> Table:
    title = "From importing the runtime to the first result, ms, and gzip bytes besides the weights"
    table = _table(
        title, "model", "backend", "ours", "peer", "ours / peer", "our bytes", "peer's bytes"
    )
    for row in rows:
        times = [_milliseconds(side["ms"]) for side in row["sides"]]
        sizes = [f"{side['gzip_bytes_besides_weights']:,}" for side in row["sides"]]
        table.add_row(
            row["model"], row["backend"], *_two(times), _ratio(row["ratio"]), *_two(sizes)
        )
    return table


def _gpu_calls(rows: list[dict[str, Any]]) -> Table:
    table = _table(
        "GPU calls per run (pipelines or programs: until the first result)",
        *("model", "backend", "runtime", "compiled", *GPU_COUNTS),
    )
    for row in rows:
        for side in row["sides"]:
            loading, running = side["gpu_until_first_result"], side["gpu_per_run"]
            if running:
                compiled = loading.get("pipelines", 0) + loading.get("programs", 0)
                counts = [str(running.get(key, 0)) for key in GPU_COUNTS]
                table.add_row(row["model"], row["backend"], side["runtime"], str(compiled), *counts)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right", no_wrap=True)
    return table


def _milliseconds(values: dict[str, float]) -> str:
    """Write a median and its quartiles to about three figures."""
    decimals = max(0, 2 - math.floor(math.log10(max(values["median"], 1e-6))))
    return _spread(values, decimals)


def _ratio(values: dict[str, float] | None) -> str:
    return "" if values is None else _spread(values, 2)


def _spread(values: dict[str, float], decimals: int) -> str:
    median, low, high = (f"{values[key]:.{decimals}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _two(cells: list[str]) -> list[str]:
    """Fill up the cell of a peer that cannot run the model."""
    return [*cells, "no LSTM"] if len(cells) == 1 else cells
