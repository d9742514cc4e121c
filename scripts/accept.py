"""`make accept`: run the command of every row of docs/acceptance.md again.

A row is `| line | `command` | figure | date |`; it holds if its command exits with 0. Commands that
several rows share run once.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(
    r"^\| (?P<line>.+?) \| `(?P<command>[^`]+)` \| (?P<figure>.*?) \| (?P<date>.*?) \|$"
)
TIMEOUT = 3600


def rows() -> list[tuple[str, str]]:
    """(line, command) of every row."""
    text = (ROOT / "docs" / "acceptance.md").read_text()
    return [(m["line"], m["command"]) for m in map(ROW.match, text.splitlines()) if m]


def run(command: str) -> tuple[bool, float, str]:
    """Whether it succeeded, its seconds, and the last line that it printed."""
    start = time.monotonic()
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode == 0, time.monotonic() - start, lines[-1] if lines else ""


def main() -> None:
    """Run all; exit 1 if a row does not hold."""
    results: dict[str, tuple[bool, float, str]] = {}
    failed = 0
    for line, command in rows():
        if command not in results:
            results[command] = run(command)
        ok, seconds, last = results[command]
        failed += not ok
        print(
            f"{'ok  ' if ok else 'FAIL'} {seconds:6.1f} s  {line}\n       {command}\n       {last}",
            flush=True,
        )
    print(f"{len(rows()) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
