"""The runner's own logic in Node, without a browser; and its types, format and size."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from webconv.backends.runtime_files import without_comments

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "runtime_js" / "src"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.js")), ids=lambda p: p.stem)
def test_in_node(path: Path, node: str) -> None:
    """Each file of JavaScript tests; what Node prints is shown if one fails."""
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= 5


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.js")), ids=lambda p: p.name)
def test_comments_leave_no_trace(path: Path, node: str, tmp_path: Path) -> None:
    """What bundles get parses and has no comment left but the file's header."""
    stripped = without_comments(path.read_text("utf-8"))
    assert stripped.startswith("//")
    body = re.sub(r"\A(//[^\n]*\n)+", "", stripped)
    assert "/**" not in body
    assert not re.search(r"^\s*//", body, re.MULTILINE)
    copy = tmp_path / "copy.mjs"
    copy.write_text(stripped, "utf-8")
    done = subprocess.run([node, "--check", str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_comments_in_code_stay() -> None:
    source = "// header\n\n/** doc */\nconst url = 'http://x'; // why\n  // gone\n"
    assert without_comments(source) == "// header\n\nconst url = 'http://x'; // why\n"
    cast = "// h\nconst a = /** @type {any} */ (b);\n/**\n * @param {string} x\n */\nf();\n"
    assert without_comments(cast) == "// h\nconst a = (b);\nf();\n"


def test_no_source_evaluates_strings_or_touches_the_page() -> None:
    """No `eval` under a strict policy; importing must work in workers and in Node."""
    for path in SOURCES.glob("*.js"):
        text = without_comments(path.read_text("utf-8"))
        assert not re.search(r"\beval\b|new Function|createObjectURL", text), path.name
