"""Every case on wasm, both variants, in wasmtime."""

from __future__ import annotations

import pytest

from tests.cases import CASES, Case, check, describe, expected
from webconv.backends import wasm
from webconv.backends.compiled import gather_weights
from webconv.backends.lower import lower
from webconv.backends.wasm.host import Instance


@pytest.mark.parametrize("case", CASES, ids=describe(CASES))
def test_case(case: Case) -> None:
    program = case.program()
    entries = {"main": lower(program)}
    weights = gather_weights(entries.values())
    compiled = wasm.compile(program, entries, weights)
    for variant in wasm.VARIANTS:
        module = compiled.files[f"{variant}.wasm"]
        instance = Instance(module, program, entries, weights, compiled.descriptor)
        check(case, instance.run(case.feeds()), expected(case))
