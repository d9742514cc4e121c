"""Nothing that Chainer has is missed in silence: it is tested, or refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.chainer.refused import JUDGES, LOSSES, MADE_OF_OTHERS, OTHERS, REFUSED
from webconv.frontends.chainer.registry import REASONS

# Links that compute losses, and models of Chainer's own that are those of the zoo, but larger.
LOSS_LINKS = {"BinaryHierarchicalSoftmax", "BlackOut", "Classifier", "NegativeSampling"}
MODELS = {"ResNet50Layers", "ResNet101Layers", "ResNet152Layers", "VGG16Layers", "VGG19Layers"}
# Bases of links, whose kinds are tested, and what calls another framework.
BASES = {"DeconvolutionND", "ConvolutionND", "TheanoFunction"}


def test_every_function_is_tested_or_refused(chainer_functions: dict[str, Any]) -> None:
    rows = [str(row).split() for row in chainer_functions["names/functions"]]
    called = {str(name) for name in chainer_functions["names/called"]}
    left = {name: family for family, name in rows if name not in called}
    refused = {n for n in (*LOSSES, *JUDGES, *MADE_OF_OTHERS) if n not in called}
    assert {n for n, family in left.items() if family in ("loss", "evaluation")} == refused
    others = {n for n, family in left.items() if family not in ("loss", "evaluation")}
    assert others <= set(OTHERS)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_its_reason(chainer_functions: dict[str, Any], name: str) -> None:
    said = str(chainer_functions[f"refused/{name}/error"])
    assert said.startswith("UnsupportedError: the chain uses functions that are not supported")
    assert any(reason in said for reason in REASONS.values())
    assert "--plugin" not in said


@pytest.mark.parametrize(
    ("name", "told"),
    [("classifier", "convert its predictor (classifier.predictor)"), ("function", "chainer.Link")],
)
def test_what_is_no_chain_to_convert(
    chainer_functions: dict[str, Any], name: str, told: str
) -> None:
    said = str(chainer_functions[f"{name}/error"])
    assert said.startswith("UnsupportedError")
    assert told in said


def test_every_link_is_tested(
    chainer_functions: dict[str, Any], chainer_nets: dict[str, Any], chainer_zoo: dict[str, Any]
) -> None:
    found = {**chainer_nets, **chainer_zoo}
    used = {str(n) for key, names in found.items() if key.endswith("/links") for n in names}
    left = {str(n) for n in chainer_functions["names/links"]} - used
    assert left <= LOSS_LINKS | MODELS | BASES
