"""Installs the runtimes we are measured against, at pinned versions, into a git-ignored folder."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks import BenchmarkError

HERE = Path(__file__).parent


def pinned() -> dict[str, str]:
    """Give the peers' names and versions from package.json."""
    listed: dict[str, str] = json.loads((HERE / "package.json").read_text())["dependencies"]
    return listed


def install_peers(folder: Path) -> Path:
    """Bring the pinned peers into `folder`, unless they are there; gives its node_modules."""
    modules = folder / "node_modules"
    if all(installed_version(modules, name) == version for name, version in pinned().items()):
        return modules
    npm = shutil.which("npm")
    if npm is None:
        raise BenchmarkError("the peers come from npm, which is not on the PATH; install Node.js")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    # The files are all we want of the packages; none of their scripts needs to run.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise BenchmarkError(f"npm ci in {folder}: {reason}")
    return modules


def installed_version(modules: Path, name: str) -> str | None:
    """Give the version of a package below a node_modules folder, None if it is not there."""
    manifest = modules / name / "package.json"
    if not manifest.is_file():
        return None
    version: str = json.loads(manifest.read_text())["version"]
    return version
