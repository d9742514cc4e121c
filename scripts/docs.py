"""`make docs`: the tables of layers and operators, written from the registries that are them.

What ONNX's suite sees is read from the lists in `tests/onnx_nodes`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from scripts import evidence
from webconv.cli.ops import support
from webconv.frontends.keras import operations
from webconv.frontends.keras.layers import FAMILIES
from webconv.frontends.keras.operations.tensorflow import FUNCTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
COLUMNS = 4


def keras() -> str:
    """All layers by family, older spellings included, and what stands beside layers."""
    parts = [
        "# Keras layers",
        "Layers of Keras 1, 2 and 3 that convert, by family. What depends on user code (`Lambda`, "
        "custom layers) takes a `--plugin` file; `webconv convert` shows the lines to write.",
    ]
    for family in FAMILIES:
        parts += _family(family, "##", sorted(name for name in family.RULES if name[0] != "_"))
    parts += [
        "## Operations",
        "Functional models call functions beside layers, which take part as they do.",
    ]
    for family in operations.FAMILIES:
        parts += _family(family, "###", sorted(family.RULES))
    functions = sorted(f"tf.{name}" for name in FUNCTIONS if name[:2] != "__")
    parts += [
        "### TensorFlow",
        "Functions of TensorFlow that models of tf.keras call; operators and slices besides.",
        ", ".join(f"`{name}`" for name in functions),
    ]
    return "\n\n".join(parts) + "\n"


def _family(family: ModuleType, level: str, names: Iterable[str]) -> list[str]:
    """A section: what the module says of itself, and the names."""
    doc = (family.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    title = family.__name__.rsplit(".", 1)[-1].replace("_", " ").capitalize()
    return [f"{level} {title}", doc, ", ".join(f"`{name}`" for name in names)]


def operators() -> str:
    """ONNX's operators by what its suite sees; our own, with what they do."""
    rows = [
        f"| {r['op']} | {'yes' if r['kernels'] else 'no'} | {_cell(r['summary'])} |"
        for r in support()
    ]
    head = [
        "# Operators",
        "",
        evidence.page(),
        "## The graph IR",
        "",
        "What models are converted to. Kernels are written once for wasm, WebGPU and WebGL2.",
        "",
        "| operator | kernels | what it does |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {"keras.md": keras, "operators.md": operators}


def main() -> None:
    """Write the pages; with `--check`, fail if one would change."""
    stale = []
    for name, page in PAGES.items():
        file, text = DOCS / name, page()
        if not file.exists() or file.read_text() != text:
            stale.append(name)
        if "--check" not in sys.argv:
            file.write_text(text)
    if stale and "--check" in sys.argv:
        sys.exit(f"docs: {', '.join(stale)} is not what `make docs` writes")
    print(f"docs: {', '.join(stale) or 'nothing'} changed")


if __name__ == "__main__":
    main()
