"""Attention against onnxruntime, with random inputs and sizes that are symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import agree, model, wanted
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError

Array = Any
Inputs = dict[str, Array | None]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def check(operator: str, inputs: Inputs, **options: Any) -> None:
    agree(operator, inputs, domain="com.microsoft", **options)


def symbolic(inputs: Inputs, **axes: str) -> dict[str, list[int | str]]:
    """Shapes in which some sizes have names: `q="batch _ length _"` keeps those that are `_`."""
    out: dict[str, list[int | str]] = {}
    for name, text in axes.items():
        given = inputs[name]
        assert given is not None
        pairs = zip(text.split(), given.shape, strict=True)
        out[name] = [n if word == "_" else word for word, n in pairs]
    return out


# -- ONNX's own -----------------------------------------------------------------------------------

B, T, S, H, V = 2, 3, 5, 4, 6


def queries(heads: int = 2, groups: int = 1) -> Inputs:
    return {
        "q": normal(B, heads * groups, T, H),
        "k": normal(B, heads, S, H, seed=1),
        "v": normal(B, heads, S, V, seed=2),
    }


SYMBOLS = {"q": "batch _ length _", "k": "batch _ keys _", "v": "batch _ keys _"}


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", ["none", "bool", "float", "heads"])
def test_attention(groups: int, causal: int, mask: str) -> None:
    inputs = queries(groups=groups)
    masks = {
        "bool": normal(T, S, seed=3) > -1,
        "float": normal(B, 1, T, S, seed=3),
        "heads": normal(2 * groups, T, S, seed=3),
    }
    if mask in masks:
        inputs["mask"] = masks[mask]
    shapes = symbolic(inputs, **SYMBOLS)
    agree("Attention", inputs, opset=23, shapes=shapes, is_causal=causal, softcap=2.0)


def test_a_query_that_may_attend_to_nothing() -> None:
    inputs = queries()
    inputs["mask"] = np.arange(T)[:, None] > np.zeros(S)
    program = convert(model("Attention", inputs, opset=23), Path(), {}, {})
    for got in (program.run(inputs), run_program(program, inputs)):
        assert (got["y0"][:, :, 0] == 0).all()
        assert (got["y0"][:, :, 1:] != 0).all()
    infinite = {**inputs, "mask": np.where(inputs["mask"], 0, -np.inf).astype(np.float32)}
    program = convert(model("Attention", infinite, opset=23), Path(), {}, {})
    want = program.run(infinite)["y0"]
    assert (want[:, :, 0] == 0).all()
    np.testing.assert_allclose(run_program(program, infinite)["y0"], want, 1e-5, 1e-6)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("past", [0, 4])
def test_past_of_packed_heads(causal: int, past: int) -> None:
    inputs = {
        "q": normal(B, T, 6 * H),
        "k": normal(B, T, 2 * H, seed=1),
        "v": normal(B, T, 2 * V, seed=2),
        "mask": None,
        "past_key": normal(B, 2, past, H, seed=3),
        "past_value": normal(B, 2, past, V, seed=4),
    }
    axes = dict.fromkeys("qkv", "batch length _")
    axes |= dict.fromkeys(("past_key", "past_value"), "batch _ past _")
    options = {"q_num_heads": 6, "kv_num_heads": 2, "is_causal": causal, "outputs": 3}
    agree("Attention", inputs, opset=23, shapes=symbolic(inputs, **axes), **options)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_scores_as_an_output(mode: int) -> None:
    inputs = {**queries(groups=2), "mask": normal(B, 1, T, S, seed=3) > -1}
    # The reference implementation shows capped scores in mode 0 as well; the text says raw ones.
    options = {"softcap": 1.5 if mode else 0.0, "qk_matmul_output_mode": mode, "is_causal": 1}
    made = model("Attention", inputs, opset=23, outputs=4, **options)
    want = ReferenceEvaluator(made).run(None, inputs)
    program = convert(made, Path(), {}, {})
    for got in (program.run(inputs), run_program(program, inputs)):
        for name, expected in zip(got, want, strict=True):
            np.testing.assert_allclose(got[name], expected, 1e-5, 1e-5, err_msg=name)


@pytest.mark.parametrize(("left", "right"), [(1, 0), (2, 1), (-1, 1), (0, -1)])
@pytest.mark.parametrize("lengths", [False, True])
def test_windows_and_lengths(left: int, right: int, lengths: bool) -> None:
    inputs = queries()
    if lengths:
        inputs |= dict.fromkeys(("mask", "past_key", "past_value"))
        inputs["lengths"] = np.array([S, 2])
    shapes = symbolic(inputs, **SYMBOLS) | ({"lengths": ["batch"]} if lengths else {})
    options = {"left_window_size": left, "right_window_size": right}
    made = model("Attention", inputs, opset=25, shapes=shapes, **options)
    feeds = {n: a for n, a in inputs.items() if a is not None}
    (want,) = ReferenceEvaluator(made).run(None, feeds)
    program = convert(made, Path(), {}, {})
    for got in (program.run(feeds), run_program(program, feeds)):
        np.testing.assert_allclose(got["y0"], want, 1e-5, 1e-5)


def test_half_precision_is_rounded_once() -> None:
    inputs = {n: a.astype(np.float16) for n, a in queries().items() if a is not None}
    program = convert(model("Attention", inputs, opset=23), Path(), {}, {})
    exact = program.run(inputs)["y0"]
    np.testing.assert_array_equal(run_program(program, inputs)["y0"], exact.astype(np.float16))


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("turned", [0, 4])
@pytest.mark.parametrize("packed", [False, True])
def test_rotary_embedding(interleaved: int, turned: int, packed: bool) -> None:
    half = (turned or 8) // 2
    inputs = {
        "x": normal(B, T, 3 * 8) if packed else normal(B, 3, T, 8),
        "cos": normal(9, half, seed=1),
        "sin": normal(9, half, seed=2),
        "places": np.random.default_rng(3).integers(0, 9, (B, T)),
    }
    options = {"interleaved": interleaved, "rotary_embedding_dim": turned, "num_heads": 3}
    shapes = symbolic(
        inputs, x="batch length _" if packed else "batch _ length _", places="batch length"
    )
    agree("RotaryEmbedding", inputs, opset=23, shapes=shapes, **options)
    by_place = {n: inputs[n] for n in ("x", "cos", "sin")}
    for name in ("cos", "sin"):
        by_place[name] = inputs[name][inputs["places"]]
    agree("RotaryEmbedding", by_place, opset=23, **options)


RULES = ["linear", "gated", "delta", "gated_delta"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("length", [1, 4])
def test_linear_attention(rule: str, wide: bool, length: int) -> None:
    few, many = 2, 6
    inputs: Inputs = {
        "q": normal(B, length, many * H),
        "k": normal(B, length, few * H, seed=1),
        "v": normal(B, length, few * V, seed=2),
        "past": normal(B, few, H, V, seed=3) if wide else None,
        "decay": -abs(normal(B, length, few * H if wide else few, seed=4))
        if "gated" in rule
        else None,
        "beta": abs(normal(B, length, few if wide else 1, seed=5)) if "delta" in rule else None,
    }
    shapes = symbolic(inputs, q="batch length _", k="batch length _", v="batch length _")
    made = model(
        "LinearAttention",
        inputs,
        opset=27,
        outputs=2,
        shapes=shapes,
        q_num_heads=many,
        kv_num_heads=few,
        update_rule=rule,
    )
    feeds = {n: a for n, a in inputs.items() if a is not None}
    want = ReferenceEvaluator(made).run(None, feeds)
    program = convert(made, Path(), {}, {})
    for got in (program.run(feeds), run_program(program, feeds)):
        for name, expected in zip(got, want, strict=True):
            np.testing.assert_allclose(got[name], expected, 1e-5, 1e-5, err_msg=name)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -1])
def test_tensor_scatter(mode: str, axis: int) -> None:
    update = normal(B, 3, 2, seed=1) if axis == 1 else normal(B, 5, 2, seed=1)
    inputs = {"cache": normal(B, 5, 4 if axis == -1 else 2), "new": update, "at": np.array([2, 1])}
    if mode == "circular":
        inputs["at"] = np.array([3, 4])
    shapes = symbolic(inputs, cache="batch _ _", new="batch _ _", at="batch")
    made = model("TensorScatter", inputs, opset=24, shapes=shapes, mode=mode, axis=axis)
    (want,) = ReferenceEvaluator(made).run(None, inputs)
    program = convert(made, Path(), {}, {})
    for got in (program.run(inputs), run_program(program, inputs)):
        np.testing.assert_array_equal(got["y0"].astype(np.float32), want)


def test_flex_attention_with_graphs_in_the_node() -> None:
    text = """
        < ir_version: 10, opset_import: ["" : 23, "ai.onnx.preview" : 1] >
        g (float[2, 4, L, 4] q, float[2, 2, S, 4] k, float[2, 2, S, 3] v, float[4, 1, 1] slope)
        => (float[2, 4, L, 3] y) {
            y = ai.onnx.preview.FlexAttention <
                score_mod: graph = a (float[2, 4, L, S] s) => (float[2, 4, L, S] t) {
                    t = Mul(s, slope)
                },
                prob_mod: graph = b (float[2, 4, L, S] p) => (float[2, 4, L, S] r) {
                    two = Constant <value_float: float = 2.0> ()
                    r = Mul(p, two)
                }
            > (q, k, v)
        }
    """
    program = convert(onnx.parser.parse_model(text), Path(), {}, {})
    q, k, v = normal(2, 4, 3, 4), normal(2, 2, 5, 4, seed=1), normal(2, 2, 5, 3, seed=2)
    slope = normal(4, 1, 1, seed=3)
    k4, v4 = (np.repeat(x.astype(float), 2, 1) for x in (k, v))
    e = np.exp(q @ k4.swapaxes(-1, -2) / 2 * slope)
    want = 2 * (e / e.sum(-1, keepdims=True)) @ v4
    feeds = {"q": q, "k": k, "v": v, "slope": slope}
    for got in (program.run(feeds), run_program(program, feeds)):
        np.testing.assert_allclose(got["y"], want, 1e-5, 1e-5)


# -- onnxruntime's --------------------------------------------------------------------------------

LENGTH, WIDTH = 5, 8


def mask_of(form: str, total: int) -> Array | None:
    raw = (np.arange(total) < [[total], [2]]).astype(np.int32)
    return {
        "none": None,
        "lengths": np.int32([total, 2]),
        "ends": np.int32([total, total - 1, 0, 1]),
        "raw": raw,
        "square": np.repeat(raw[:, None], LENGTH, 1) | np.eye(LENGTH, total, dtype=np.int32),
    }[form]


@pytest.mark.parametrize("form", ["none", "lengths", "ends", "raw", "square"])
@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("past", [0, 3])
def test_ms_attention(form: str, unidirectional: int, past: int) -> None:
    inputs: Inputs = {
        "x": normal(B, LENGTH, 7),
        "w": normal(7, 3 * WIDTH, seed=1),
        "b": normal(3 * WIDTH, seed=2),
        "mask": mask_of(form, LENGTH + past),
        "past": normal(2, B, 2, past, WIDTH // 2, seed=3) if past else None,
        "bias": normal(B, 2, LENGTH, LENGTH, seed=4) if form == "raw" and not past else None,
    }
    options = {"num_heads": 2, "unidirectional": unidirectional, "outputs": 2}
    check("Attention", inputs, weights=["w", "b"], wasm=form == "ends", **options)
    shapes = symbolic(inputs, x="batch length _")
    if past:
        shapes |= symbolic(inputs, past="_ batch _ past _")
    if form != "none":
        words = {
            1: "batch" if form == "lengths" else "_",
            2: "batch total",
            3: "batch length total",
        }
        shapes |= symbolic(inputs, mask=words[np.ndim(inputs["mask"])])
    if form != "ends":
        check("Attention", inputs, weights=["w", "b"], shapes=shapes, **options)


def test_ms_attention_of_three_widths() -> None:
    inputs = {
        "x": normal(B, LENGTH, 7),
        "w": normal(7, 8 + 8 + 12, seed=1),
        "b": normal(28, seed=2),
    }
    check("Attention", inputs, num_heads=2, qkv_hidden_sizes=[8, 8, 12], scale=0.3)


@pytest.mark.parametrize("form", ["none", "lengths", "raw", "square"])
@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("past", [0, 3])
def test_multi_head_attention(form: str, unidirectional: int, past: int) -> None:
    inputs: Inputs = {
        "q": normal(B, LENGTH, WIDTH),
        "k": normal(B, LENGTH, WIDTH, seed=1),
        "v": normal(B, LENGTH, WIDTH, seed=2),
        "b": normal(3 * WIDTH, seed=3),
        "mask": mask_of(form, LENGTH + past),
        "bias": normal(1, 2, LENGTH, LENGTH + past, seed=4) if form == "raw" else None,
        "past_key": normal(B, 2, past, WIDTH // 2, seed=5) if past else None,
        "past_value": normal(B, 2, past, WIDTH // 2, seed=6) if past else None,
    }
    options = {"num_heads": 2, "unidirectional": unidirectional, "outputs": 3}
    shapes = symbolic(inputs, **dict.fromkeys("qkv", "batch length _"))
    check("MultiHeadAttention", inputs, weights=["b"], shapes=shapes, **options)


@pytest.mark.parametrize("unidirectional", [0, 1])
def test_multi_head_attention_shows_its_scores(unidirectional: int) -> None:
    inputs = {"q": normal(B, LENGTH, WIDTH), "k": normal(B, LENGTH, WIDTH, seed=1)}
    inputs |= {"v": normal(B, LENGTH, WIDTH, seed=2), "b": None, "mask": mask_of("raw", LENGTH)}
    options = {"num_heads": 2, "unidirectional": unidirectional, "outputs": 4}
    made = model("MultiHeadAttention", inputs, domain="com.microsoft", **options)
    for output in made.graph.output:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    feeds = {n: a for n, a in inputs.items() if a is not None}
    want, program = wanted(made, feeds), convert(made, Path(), {}, {})
    for got in (program.run(feeds), run_program(program, feeds)):
        for name, expected in zip(got, want, strict=True):
            np.testing.assert_allclose(got[name], expected, 1e-5, 1e-5)


def test_symbols_stand_for_any_length() -> None:
    inputs = {**queries(groups=2), "mask": normal(B, 1, T, S, seed=3)}
    shapes = symbolic(inputs, **SYMBOLS, mask="batch _ length keys")
    made = model("Attention", inputs, opset=23, shapes=shapes, is_causal=1)
    program = convert(made, Path(), {}, {})
    for b, t, s in ((1, 1, 1), (3, 9, 17), (2, 64, 64)):
        given = {
            "q": normal(b, 4, t, H),
            "k": normal(b, 2, s, H, seed=1),
            "v": normal(b, 2, s, V, seed=2),
            "mask": normal(b, 1, t, s, seed=3),
        }
        (want,) = wanted(made, given)
        for got in (program.run(given), run_program(program, given)):
            np.testing.assert_allclose(got["y0"], want, 1e-5, 1e-5)


def test_multi_head_attention_across() -> None:
    inputs = {
        "q": normal(B, LENGTH, WIDTH),
        "k": normal(B, 7, WIDTH, seed=1),
        "v": normal(B, 7, 2 * WIDTH, seed=2),
    }
    check("MultiHeadAttention", inputs, num_heads=2, scale=0.2)
    cached = {
        "q": inputs["q"],
        "k": normal(B, 2, 7, 4, seed=1),
        "v": normal(B, 2, 7, 4, seed=2),
        "b": normal(3 * WIDTH, seed=3),
    }
    check("MultiHeadAttention", {n: cached[n] for n in "qkv"}, num_heads=2)


def test_multi_head_attention_packed() -> None:
    q, k, v = (normal(B, LENGTH, 2, 4, seed=s) for s in range(3))
    flat = {n: x.reshape(B, LENGTH, 8) for n, x in (("q", q), ("k", k), ("v", v))}

    def run(inputs: Inputs) -> Array:
        made = model("MultiHeadAttention", inputs, domain="com.microsoft", num_heads=2)
        return convert(made, Path(), {}, {}).run(inputs)["y0"]

    want = run(flat)
    np.testing.assert_allclose(run({"q": np.stack([q, k, v], 3)}), want, 1e-6)
    np.testing.assert_allclose(run({"q": flat["q"], "k": np.stack([k, v], 3)}), want, 1e-6)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("turned", [0, 4])
def test_ms_rotary_embedding(interleaved: int, first: bool, turned: int) -> None:
    half = (turned or 8) // 2
    inputs = {
        "x": normal(B, T, 3 * 8),
        "places": np.array([4]) if first else np.random.default_rng(3).integers(0, 9, (B, T)),
        "cos": normal(9, half, seed=1),
        "sin": normal(9, half, seed=2),
    }
    more = {"num_heads": 3, "rotary_embedding_dim": turned} if turned else {}
    shapes = symbolic(inputs, x="batch length _")
    check(
        "RotaryEmbedding",
        inputs,
        weights=["cos", "sin"],
        shapes=shapes,
        interleaved=interleaved,
        **more,
    )
    four = {**inputs, "x": normal(B, 3, T, 8)}
    check("RotaryEmbedding", four, interleaved=interleaved, **more)


def grouped(past: int, new: int, packed: bool = False, **more: Array | None) -> Inputs:
    """Inputs of GroupQueryAttention: 4 query heads, 2 key heads."""
    total = past + new
    q, k, v = normal(B, new, 64), normal(B, new, 32, seed=1), normal(B, new, 32, seed=2)
    return {
        "q": np.concatenate([q, k, v], -1) if packed else q,
        "k": None if packed else k,
        "v": None if packed else v,
        "past_key": normal(B, 2, past, 16, seed=3) if past else None,
        "past_value": normal(B, 2, past, 16, seed=4) if past else None,
        "last": np.int32([total - 1] * B),
        "total": np.int32(total),
        "cos": normal(16, 8, seed=5),
        "sin": normal(16, 8, seed=6),
        **more,
    }


@pytest.mark.parametrize(("past", "new"), [(0, 5), (4, 1)])
@pytest.mark.parametrize("rotary", [0, 1])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("window", [-1, 3])
def test_group_query_attention(past: int, new: int, rotary: int, packed: bool, window: int) -> None:
    inputs = grouped(past, new, packed)
    options = {
        "num_heads": 4,
        "kv_num_heads": 2,
        "do_rotary": rotary,
        "local_window_size": window,
        "outputs": 3,
    }
    weights = ["cos", "sin", "total"]
    if not rotary:
        del inputs["cos"], inputs["sin"]
        weights = ["total"]
    shapes = symbolic(inputs, q="batch length _")
    if not packed:
        shapes |= symbolic(inputs, k="batch length _", v="batch length _")
    if past:
        shapes |= symbolic(inputs, past_key="batch _ past _", past_value="batch _ past _")
    check("GroupQueryAttention", inputs, weights=weights, wasm=False, **options)
    check("GroupQueryAttention", inputs, weights=weights, shapes=shapes, **options)


def test_group_query_attention_extras() -> None:
    heads = {"num_heads": 4, "kv_num_heads": 2, "outputs": 3}
    inputs = {**grouped(4, 1), "cos": None, "sin": None, "places": None}
    biased = {**inputs, "bias": normal(1, 4, 1, 5, seed=7)}
    check("GroupQueryAttention", biased, weights=["total"], softcap=2.0, **heads)
    check("GroupQueryAttention", inputs, weights=["total"], smooth_softmax=1, scale=0.3, **heads)
    sunk = {**inputs, "bias": None, "sink": normal(4, seed=8)}
    check("GroupQueryAttention", sunk, weights=["total"], **heads)


def test_samples_of_a_batch_have_pasts_of_their_own() -> None:
    inputs = {**grouped(6, 1), "last": np.int32([6, 3])}
    options = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "outputs": 3}
    check("GroupQueryAttention", inputs, weights=["total", "cos", "sin"], **options)


def test_a_cache_longer_than_what_is_in_it() -> None:
    inputs = {**grouped(8, 1), "last": np.int32([5, 3]), "total": np.int32(6)}
    options = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "outputs": 3}
    check("GroupQueryAttention", inputs, weights=["total", "cos", "sin"], **options)


@pytest.mark.parametrize(
    ("operator", "changes", "attributes", "error", "message"),
    [
        ("GroupQueryAttention", {}, {"qk_output": 1}, UnsupportedError, "qk_output"),
        ("GroupQueryAttention", {"cos": None}, {"do_rotary": 1}, ModelFormatError, "cos_cache"),
        ("GroupQueryAttention", {}, {"num_heads": 3}, ShapeError, "heads"),
    ],
)
def test_refused(
    operator: str,
    changes: Inputs,
    attributes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    inputs = grouped(0, 5) | changes
    options = {"num_heads": 4, "kv_num_heads": 2} | attributes
    made = model(operator, inputs, weights=["total"], domain="com.microsoft", **options)
    with pytest.raises(error, match=message):
        convert(made, Path(), {}, {})
