"""The package as users get it: what the wheel holds, and which way imports point."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "webconv": "webconv",
    "ir": "webconv.ir",
    "backends": "webconv.backends",
    "runtime_js": "webconv.runtime_js",
}


def packages() -> dict[str, Path]:
    """Every package by its installed name, from the folders."""
    found = {}
    for folder, name in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            path = init.parent.relative_to(ROOT / folder)
            if not any(
                (ROOT / folder / p).is_symlink() for p in (path, *path.parents) if str(p) != "."
            ):
                found[".".join([name, *path.parts])] = init.parent
    return found


def test_the_list_of_packages_is_complete() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(config["packages"]) == sorted(packages())


def imports(file: Path) -> set[str]:
    """The webconv modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return {name for name in found if name.startswith("webconv")}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("ir", ("webconv.ir",)),
        ("backends", ("webconv.ir", "webconv.backends", "webconv.runtime_js")),
    ],
)
def test_imports_point_one_way(folder: str, allowed: tuple[str, ...]) -> None:
    for file in (ROOT / folder).rglob("*.py"):
        wrong = {n for n in imports(file) if n != "webconv" and not n.startswith(allowed)}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("name", ["ir", "backends"])
def test_bare_names_are_refused(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"import webconv.{name}" in done.stderr


def test_version_is_quick() -> None:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "webconv", "--version"], check=True, capture_output=True
        )
        return time.perf_counter() - start

    assert min(once() for _ in range(5)) < 0.3


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_file_that_is_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for pattern, prefix in (
        ("runtime_js/src/*.*", "webconv/runtime_js/src/"),
        ("backends/templates/*.j2", "webconv/backends/templates/"),
        ("webconv/verify/*.js", "webconv/verify/"),
    ):
        for file in ROOT.glob(pattern):
            assert prefix + file.name in names


def test_the_wheel_converts_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-c",
        str(ROOT / "constraints.txt"),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    model = ROOT / "examples" / "hello_rnn" / "hello_rnn.h5"
    out = tmp_path / "bundle"
    done = subprocess.run(
        [str(environment / "bin" / "webconv"), "convert", str(model), "-o", str(out)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "index.js").exists()
    done = subprocess.run(
        [str(environment / "bin" / "webconv"), "verify", str(out), "--browser", "none"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
