"""What `verify` found, for people and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from webconv.verify.compare import OutputResult

# Codes that mean that nothing was computed: the backend or the browser did not start.
NOT_STARTED = frozenset({"no-backend", "no-browser"})


@dataclass(frozen=True)
class Result:
    """One backend (and form of it) in one browser, or in this process if `browser` is `none`."""

    backend: str
    variant: str | None
    browser: str
    outputs: tuple[OutputResult, ...] = ()
    error: dict[str, str] | None = None
    load_ms: float | None = None
    run_ms: float | None = None

    @property
    def ok(self) -> bool:
        """True if every output passed; False if there was none."""
        return self.error is None and bool(self.outputs) and all(o.ok for o in self.outputs)

    def json(self) -> dict[str, Any]:
        """As DESIGN 8 has it: non-finite figures are null."""
        outputs = [
            _finite({k: v for k, v in asdict(o).items() if k != "reason"}) for o in self.outputs
        ]
        return {
            "backend": self.backend,
            "variant": self.variant,
            "browser": self.browser,
            "ok": self.ok,
            "error": self.error,
            "load_ms": self.load_ms,
            "run_ms": self.run_ms,
            "outputs": outputs,
        }


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()
    }


@dataclass(frozen=True)
class Report:
    """All results; `extra` are figures of their own, such as the distance to the original model."""

    results: tuple[Result, ...]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if there are results and all are."""
        return bool(self.results) and all(r.ok for r in self.results)

    @property
    def started(self) -> bool:
        """False if a backend could not start."""
        return not any(r.error and r.error["code"] in NOT_STARTED for r in self.results)

    def json(self) -> dict[str, Any]:
        """The whole report."""
        return {"ok": self.ok, "results": [r.json() for r in self.results], **self.extra}

    def failures(self) -> list[str]:
        """A line for each thing that is wrong."""
        lines = []
        for r in self.results:
            where = f"{r.backend} {r.variant}" if r.variant else r.backend
            if r.error and r.error["code"] == "no-browser":
                lines.append(r.error["message"])  # It is the same for all.
            elif r.error:
                lines.append(f"{where}: {r.error['code']}: {r.error['message']}")
            elif not r.outputs:
                lines.append(f"{where}: nothing was compared")
            for o in r.outputs:
                if not o.ok:
                    error = "" if o.max_abs_err is None else f", largest error {o.max_abs_err:.3g}"
                    lines.append(f"{where}: output {o.name!r}: {o.reason}{error}")
        return [*dict.fromkeys(lines)]
