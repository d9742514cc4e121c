"""Every shared Keras file, converted and verified in the browser on all backends, as a user would:
`webconv verify --inputs --expect`, by the pass rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import webconv
from tests.conftest import MODELS, require_models
from webconv.verify.browser import Browser
from webconv.verify.machines import BrowserMachine

GENERATED = ("keras1.2.2_theano_generated", "keras2.15.0_tf_generated", "keras3_generated")
REAL = {
    "ethnicolr_wiki_name": "wiki_name_lstm.h5",
    "chars2vec_eng_50": "rebuilt_keras2.15.h5",
    "sleepecg_wrn_gru_mesa": "classifier.keras",
}

# Files that need not pass, each with the reason.
EXCEPTIONS: dict[str, str] = {}


def cases() -> Iterator[tuple[Path, Path, Path]]:
    """(model, inputs, expected outputs) of every file."""
    for folder in GENERATED:
        for inputs in sorted((MODELS / folder).glob("*.inputs.npz")):
            stem = inputs.name.removesuffix(".inputs.npz")
            expect = inputs.with_name(f"{stem}.expect.npz")
            for suffix in ("h5", "keras"):
                if (model := inputs.with_name(f"{stem}.{suffix}")).exists():
                    yield model, inputs, expect
    for folder, name in REAL.items():
        here = MODELS / folder
        yield here / name, here / "inputs.npz", here / "expect.npz"


CASES = list(cases())


@pytest.fixture(scope="module")
def machine(browser: Browser) -> Iterator[BrowserMachine]:
    """One page for all files."""
    with BrowserMachine(browser) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=[f"{m.parent.name}/{m.name}" for m, _, _ in CASES])
def test_file(case: tuple[Path, Path, Path], machine: BrowserMachine, tmp_path: Path) -> None:
    model, inputs, expect = case
    require_models(model.parent.name)
    bundle = webconv.convert(model, tmp_path / "bundle")
    report = bundle.verify(browser=machine, inputs=[inputs], expect=[expect])
    assert report.ok or f"{model.parent.name}/{model.name}" in EXCEPTIONS, report.failures()


def test_files_are_found() -> None:
    """At most three exceptions, and all files that issue 2 names."""
    require_models()
    assert len(CASES) == 27 + 2 * 29 + 2 * 27 + 3
    assert len(EXCEPTIONS) <= 3
