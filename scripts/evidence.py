"""The part of docs/operators.md that says what ONNX's suite sees, from the lists of its sweep."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.onnx_nodes import lists
from tests.onnx_nodes.build import all_tests
from tests.onnx_nodes.suite import KINDS, Test

HEAD = """## ONNX's own suite

The tests that the package `onnx` ships, each converted and run in Chromium on every backend, beside
the outputs and tolerances that it asks for. `make test` runs them all; what is listed in
`tests/onnx_nodes` as passing must pass. "+ n" are tests that pass when an axis or a shape, which is
an input there, is given when converting (`--const`): in models of exporters it is a constant.
Each test that does not pass stands with its reason in `tests/onnx_nodes/absent.txt`."""


def page() -> str:
    """The section."""
    tests = all_tests()
    passed = {backend: lists.read(backend) for backend in lists.BACKENDS}
    absent = lists.read_absent()
    kinds = [
        _row(kind, [t.name for t in tests.values() if t.kind == kind], passed) for kind in KINDS
    ]
    groups = defaultdict(list)
    for test in tests.values():
        if test.kind == "node":
            groups[operator_of(test, tests)].append(test.name)
    rows = [
        f"{_row(name, group, passed)} {_why(group, absent)} |"
        for name, group in sorted(groups.items(), key=lambda item: item[0].lower())
    ]
    columns = " | ".join(("tests", *lists.BACKENDS))
    head = f"| operator | {columns} | what is missing, and why |\n|---|{'---|' * 5}"
    parts = [
        HEAD,
        "\n".join([f"| kind | {columns} |\n|---|{'---|' * 4}", *kinds]),
        "### By operator",
        "The node tests; an operator's tests include those of the function that defines it.",
        "\n".join([head, *rows]),
    ]
    return "\n\n".join(parts) + "\n"


def operator_of(test: Test, tests: dict[str, Test]) -> str:
    """The operator that a node test is about, with its domain if that is not ONNX's main one."""
    whole = test.name.partition("_expanded")[0]
    nodes = tests.get(whole, test).model.graph.node
    # Tests of sequences and optionals make them by nodes before.
    node = nodes[-1]
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _row(name: str, group: Sequence[str], passed: dict[str, dict[str, bool]]) -> str:
    cells = [name, str(len(group)), *(_count(group, passed[b]) for b in lists.BACKENDS)]
    return f"| {' | '.join(cells)} |"


def _count(group: Iterable[str], passed: dict[str, bool]) -> str:
    found = Counter(passed[name] for name in group if name in passed)
    return f"{found[False]}" + (f" + {found[True]}" if found[True] else "")


def _why(group: Iterable[str], absent: dict[str, dict[str, str]]) -> str:
    """Reasons with the number of tests, and the backends if these are not all."""
    found: Counter[str] = Counter()
    for name in group:
        for reason in dict.fromkeys(absent.get(name, {}).values()):
            backends = [b for b in lists.BACKENDS if absent[name].get(b) == reason]
            where = "" if len(backends) == len(lists.BACKENDS) else f"{', '.join(backends)}: "
            found[where + short(reason)] += 1
    return "; ".join(f"{reason} ({n})" for reason, n in sorted(found.items()))


def short(reason: str) -> str:
    """A reason without names and figures of the test."""
    text = reason.removeprefix("the model uses what is not supported: ")
    # The node and those around it: `If 'a': Add 'b': `.
    text = re.sub(r"^([\w.]+ '[^']*': )+", "", text)
    text = re.sub(r" \(\d+\)", "", text)
    text = re.sub(r"\bwrong: .*", "the result differs", text)
    text = re.sub(r"'[^']*' \([^)]*\)", "it", text)
    text = re.sub(r"^no kernels exist for (\w+).*", r"no kernels exist for \1", text)
    return text.partition(";")[0].replace("|", "\\|")[:120].rstrip()
