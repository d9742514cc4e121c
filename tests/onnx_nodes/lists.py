"""The lists of tests that must pass on each backend, and the table of the others.

`<backend>.txt` has a name a line, sorted; ` const` after a name says that axis or shape inputs were
given as constants when the model was converted. `absent.txt` has, for each test that is in not all
lists, the backends and the reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.onnx_nodes.build import Built

HERE = Path(__file__).parent
BACKENDS = ("wasm", "webgpu", "webgl")


@dataclass
class Outcome:
    """What a sweep saw: inputs made constant by test; why each test failed, or nothing."""

    constants: dict[str, tuple[str, ...]]
    reasons: dict[str, dict[str, str]]

    def passed(self, backend: str) -> list[str]:
        """The tests that pass, sorted."""
        return sorted(name for name, reason in self.reasons[backend].items() if not reason)

    def faults(self, backend: str, must_pass: Mapping[str, bool]) -> list[str]:
        """What listed tests do not do: pass, and without constants unless that is listed."""
        found = []
        for name, by_constants in must_pass.items():
            reason = self.reasons[backend].get(name, "the suite has no such test")
            if not reason and name in self.constants and not by_constants:
                reason = f"it needs constants: {', '.join(self.constants[name])}"
            if reason:
                found.append(f"{name}: {reason}")
        return found


def gather(
    built: Iterable[Built], ran: Mapping[str, Iterable[tuple[str, str]] | Mapping[str, str]]
) -> Outcome:
    """What came of building tests, and of running them by backend."""
    refused = {b.name: line(b.refusal) for b in built if b.refusal}
    return Outcome(
        {b.name: b.constants for b in built if b.constants},
        {backend: {**refused, **dict(reasons)} for backend, reasons in ran.items()},
    )


def line(text: str) -> str:
    """A reason on one line."""
    return " ".join(text.split())[:200]


def read(backend: str) -> dict[str, bool]:
    """The tests that must pass, and whether by constants."""
    file = HERE / f"{backend}.txt"
    rows = file.read_text().splitlines() if file.exists() else []
    return {row.split()[0]: row.endswith(" const") for row in rows}


def read_absent() -> dict[str, dict[str, str]]:
    """By test and backend, why it does not pass."""
    found: dict[str, dict[str, str]] = {}
    file = HERE / "absent.txt"
    for row in file.read_text().splitlines() if file.exists() else []:
        name, backends, reason = row.split(" ", 2)
        found.setdefault(name, {}).update(dict.fromkeys(backends.split(","), reason))
    return found


def update(outcome: Outcome, suite: Container[str]) -> None:
    """Write what was swept into the lists and the table; what is not in the suite leaves them."""
    absent = read_absent()
    for backend, reasons in outcome.reasons.items():
        kept = {n: const for n, const in read(backend).items() if n in suite and n not in reasons}
        passed = kept | {n: n in outcome.constants for n in outcome.passed(backend)}
        rows = (f"{name} const" if passed[name] else name for name in sorted(passed))
        (HERE / f"{backend}.txt").write_text("\n".join([*rows, ""]))
        for name, reason in reasons.items():
            absent.setdefault(name, {}).pop(backend, None)
            if reason:
                absent[name][backend] = reason
    _write_absent({name: reasons for name, reasons in absent.items() if name in suite})


def _write_absent(absent: Mapping[str, Mapping[str, str]]) -> None:
    rows = []
    for name, reasons in sorted(absent.items()):
        for reason in dict.fromkeys(reasons[b] for b in BACKENDS if b in reasons):
            backends = ",".join(b for b in BACKENDS if reasons.get(b) == reason)
            rows.append(f"{name} {backends} {reason}")
    (HERE / "absent.txt").write_text("\n".join([*rows, ""]))
