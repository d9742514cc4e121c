"""The lists cover the suite: each test must pass, or stands with the reason why it does not."""

from __future__ import annotations

import pytest

from tests.onnx_nodes import lists
from tests.onnx_nodes.build import Built, all_tests


@pytest.mark.parametrize("backend", lists.BACKENDS)
def test_every_test_is_listed_or_has_a_reason(backend: str) -> None:
    listed = lists.read(backend)
    absent = {name for name, reasons in lists.read_absent().items() if backend in reasons}
    assert list(listed) == sorted(listed)
    assert set(listed) | absent == set(all_tests())
    assert not set(listed) & absent


def test_what_fails_or_needs_constants_all_at_once_is_a_fault() -> None:
    built = [Built("a"), Built("b", ("axis",)), Built("c", refusal="operator X"), Built("d")]
    outcome = lists.gather(built, {"wasm": {"a": "", "b": "", "d": "wrong"}})
    assert outcome.passed("wasm") == ["a", "b"]
    assert outcome.faults("wasm", {"a": False, "b": True}) == []
    assert outcome.faults("wasm", dict.fromkeys("abcde", False)) == [
        "b: it needs constants: axis",
        "c: operator X",
        "d: wrong",
        "e: the suite has no such test",
    ]
