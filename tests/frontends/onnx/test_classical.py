"""`ai.onnx.ml` and n-grams against onnxruntime, and ONNX's evaluator where that differs from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import pytest

from tests.backends.test_wasm import run_program
from tests.frontends.onnx.against_onnxruntime import model, wanted
from webconv.frontends.onnx.convert import convert
from webconv.ir.errors import ModelFormatError, UnsupportedError

Array = Any
F = 6
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def numbers(values: Any) -> list[float]:
    """Floats as an attribute takes them, f32."""
    return [float(v) for v in np.ravel(np.asarray(values, np.float32))]


def features(rng: Any, missing: bool = False) -> Array:
    """Rows of F features, of which two are small integers."""
    x = rng.normal(size=(30, F)).astype(np.float32)
    x[:, :2] = rng.integers(-2, 3, (30, 2))
    return np.where(rng.random(x.shape) < 0.15, np.nan, x) if missing else x


def check(operator: str, *inputs: Array, by_definition: bool = False, **options: Any) -> None:
    """What we compute against onnxruntime, or against ONNX's own evaluator."""
    named = {f"x{k}": np.asarray(a) for k, a in enumerate(inputs)}
    made = model(operator, named, domain="ai.onnx.ml", **options)
    made.opset_import[1].version = 3
    if by_definition:
        want = onnx.reference.ReferenceEvaluator(made).run(None, named)
    else:
        want = wanted(made, named)
    program = convert(made, Path(), {}, {})
    for run in (program.run(named), run_program(program, named)):
        for got, expected in zip(run.values(), want, strict=True):
            assert got.shape == expected.shape
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(got, expected, 2e-5, 2e-5)
            else:
                np.testing.assert_array_equal(got, expected)


def trees(rng: Any, count: int, depth: int, modes: Any = MODES[:1], **missing: bool) -> Any:
    """Random trees as attributes, and their leaves as pairs of tree and node."""
    nodes: list[tuple[Any, ...]] = []
    leaves: list[tuple[int, int]] = []

    def grow(tree: int, level: int) -> int:
        node = len([n for n in nodes if n[0] == tree])
        place = len(nodes)
        nodes.append((tree, node, 0, "LEAF", 0.0, 0, 0, 0))
        if level == 0 or (level < depth and rng.random() < 0.15):
            leaves.append((tree, node))
            return node
        left, right = grow(tree, level - 1), grow(tree, level - 1)
        mode = modes[rng.integers(len(modes))]
        whole = mode in ("BRANCH_EQ", "BRANCH_NEQ")
        value = float(rng.integers(-2, 3)) if whole else float(np.float32(rng.normal()))
        true = int(bool(missing) and rng.random() < 0.5)
        nodes[place] = (tree, node, int(rng.integers(F)), mode, value, left, right, true)
        return node

    for tree in range(count):
        grow(tree, depth)
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    columns = [*zip(*nodes, strict=True)]
    attributes = {f"nodes_{n}": [*c] for n, c in zip(names, columns, strict=False)}
    if missing:
        attributes["nodes_missing_value_tracks_true"] = [*columns[-1]]
    return attributes, leaves


def weights_of(kind: str, rows: Any, weights: Array) -> dict[str, Any]:
    """Attributes of leaves: rows of tree, node and target."""
    tree, node, target = ([*column] for column in zip(*rows, strict=True))
    names = {f"{kind}_treeids": tree, f"{kind}_nodeids": node, f"{kind}_ids": target}
    return names | {f"{kind}_weights": numbers(weights)}


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("targets", [1, 3])
def test_regression(aggregate: str, targets: int) -> None:
    rng = np.random.default_rng(1)
    attributes, leaves = trees(rng, 5, 4)
    rows = [(*leaf, t) for leaf in leaves for t in range(targets)]
    attributes |= weights_of("target", rows, rng.normal(size=len(rows)))
    options: Any = {"aggregate_function": aggregate, "n_targets": targets}
    base: Any = {"base_values": numbers(rng.normal(size=targets))}
    check("TreeEnsembleRegressor", features(rng), **attributes, **options, **base)


def test_targets_that_some_leaves_lack() -> None:
    """onnxruntime leaves base values out where no leaf had a weight; ONNX does not."""
    rng = np.random.default_rng(2)
    attributes, leaves = trees(rng, 4, 3)
    rows = [(*leaf, int(rng.integers(3))) for leaf in leaves]
    attributes |= weights_of("target", rows, rng.normal(size=len(rows)))
    options: Any = {"n_targets": 3, "base_values": [10.0, 20.0, 30.0], "by_definition": True}
    check("TreeEnsembleRegressor", features(rng), **attributes, **options)


@pytest.mark.parametrize("mode", [*MODES, "all"])
@pytest.mark.parametrize("tracks", [False, True])
def test_comparisons(mode: str, tracks: bool) -> None:
    rng = np.random.default_rng(3)
    attributes, leaves = trees(
        rng, 5, 4, MODES if mode == "all" else [mode], **({"missing": True} if tracks else {})
    )
    rows = [(*leaf, 0) for leaf in leaves]
    attributes |= weights_of("target", rows, rng.normal(size=len(rows)))
    check("TreeEnsembleRegressor", features(rng, True), n_targets=1, **attributes)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("own", [True, False])
def test_classification(transform: str, own: bool) -> None:
    """Trees with a class each, as boosting makes them, or leaves with all classes, as forests."""
    rng = np.random.default_rng(4)
    attributes, leaves = trees(rng, 6, 3)
    rows = [(t, n, t % 3) for t, n in leaves]
    rows = rows if own else [(t, n, c) for t, n in leaves for c in range(3)]
    values = np.abs(rng.normal(size=len(rows))) * 0.02
    values = values if transform == "PROBIT" else values * 50 * rng.choice([-1, 1], len(rows))
    attributes |= weights_of("class", rows, values)
    options: Any = {"classlabels_int64s": [10, 11, 12], "outputs": 2, "post_transform": transform}
    base: Any = {"base_values": [0.1, 0.2, 0.05]}
    check("TreeEnsembleClassifier", features(rng), **attributes, **options, **base)


@pytest.mark.parametrize("transform", TRANSFORMS[:4])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("base", [[], [0.1]])
def test_two_classes(transform: str, positive: bool, base: list[float]) -> None:
    """Weights of one class only, as scikit-learn's two-class models are exported."""
    rng = np.random.default_rng(5)
    attributes, leaves = trees(rng, 4, 3)
    values = rng.normal(size=len(leaves))
    values = np.abs(values) * 0.2 if positive else values
    attributes |= weights_of("class", [(*leaf, 0) for leaf in leaves], values)
    options: Any = {"classlabels_int64s": [3, 7], "outputs": 2, "post_transform": transform}
    options |= {"base_values": base} if base else {}
    check("TreeEnsembleClassifier", features(rng), **attributes, **options)
    if not base and transform != "SOFTMAX_ZERO":
        attributes |= weights_of("class", [(*leaf, 1) for leaf in leaves], values)
        check("TreeEnsembleClassifier", features(rng), **attributes, **options)


def test_one_leaf() -> None:
    rng = np.random.default_rng(6)
    attributes, leaves = trees(rng, 2, 0)
    attributes |= weights_of("target", [(*leaf, 0) for leaf in leaves], [1.5, 2.0])
    check("TreeEnsembleRegressor", features(rng), n_targets=1, **attributes)


def test_a_cycle_is_refused() -> None:
    attributes, _ = trees(np.random.default_rng(7), 1, 2)
    attributes["nodes_truenodeids"] = [0] * len(attributes["nodes_truenodeids"])
    attributes |= weights_of("target", [(0, 2, 0)], [1.0])
    made = model(
        "TreeEnsembleRegressor",
        {"x": np.zeros((1, F), np.float32)},
        domain="ai.onnx.ml",
        **attributes,
    )
    with pytest.raises(ModelFormatError, match="lead back to themselves"):
        convert(made, Path(), {}, {})


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_linear(transform: str) -> None:
    rng = np.random.default_rng(8)
    for count in (1, 2, 3):
        weights = rng.normal(size=(count, F)) * 0.02
        options: Any = {
            "coefficients": numbers(weights),
            "intercepts": numbers(np.linspace(0.2, 0.35, count)),
            "post_transform": transform,
        }
        check("LinearRegressor", features(rng), targets=count, **options)
        if count > 1 or transform != "PROBIT":
            labels = [*range(5, 5 + max(count, 2))]
            options["classlabels_ints"] = labels
            check("LinearClassifier", features(rng), outputs=2, **options)


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
@pytest.mark.parametrize("one_class", [0, 1])
def test_support_vectors(kernel: str, one_class: int) -> None:
    rng = np.random.default_rng(9)
    options: Any = {
        "support_vectors": numbers(rng.normal(size=(7, F))),
        "coefficients": numbers(rng.normal(size=7)),
        "kernel_params": [0.3, 0.2, 3.0],
        "rho": [0.4],
    }
    more: Any = {"kernel_type": kernel, "one_class": one_class}
    check("SVMRegressor", features(rng), n_supports=7, **options, **more)


def test_scaling() -> None:
    rng = np.random.default_rng(10)
    x, whole = features(rng), features(rng).astype(np.int64)
    some = features(rng)
    some[3], some[4] = 0, -np.abs(some[4])
    for norm in ("MAX", "L1", "L2"):
        check("Normalizer", some, norm=norm)
    check("Scaler", x, offset=numbers(rng.normal(size=F)), scale=numbers(rng.normal(size=F)))
    check("Scaler", whole, offset=[1.5], scale=[2.0])
    check("Binarizer", x, threshold=0.5)
    check("FeatureVectorizer", x, x[:, :2], x[:, :1], inputdimensions=[F, 2, 1])
    check("FeatureVectorizer", whole, whole[:, :2], inputdimensions=[F, 2])
    check("ArrayFeatureExtractor", x, np.array([[4, 1]], np.int64))
    check("ArrayFeatureExtractor", x[0], np.array([4, 1], np.int64))


def test_imputing() -> None:
    rng = np.random.default_rng(11)
    x, nan = features(rng, True), float("nan")
    each = numbers(rng.normal(size=F))
    check("Imputer", x, imputed_value_floats=each, replaced_value_float=nan)
    check("Imputer", x, imputed_value_floats=[9.0], replaced_value_float=1.0)
    whole = features(rng).astype(np.int64)
    check("Imputer", whole, imputed_value_int64s=[9], replaced_value_int64=1)


def test_labels() -> None:
    x = np.array([[1, 5], [7, 2], [-3, 9]], np.int64)
    check("LabelEncoder", x, keys_int64s=[5, 1, 9], values_floats=[1.5, 2, 3], default_float=-7.0)
    check("LabelEncoder", x, keys_int64s=[5, 1, -3], values_int64s=[1, 2, 3])
    y = np.array([1, 2.5, -0.0, 3], np.float32)
    check("LabelEncoder", y, keys_floats=[2.5, 0.0], values_int64s=[1, 3])
    check("OneHotEncoder", x, cats_int64s=[1, 2, 5])
    check("OneHotEncoder", y, cats_int64s=[1, 2, 5])


def test_labels_that_repeat_and_nan() -> None:
    """The last of equal keys counts, NaN is a key: so says ONNX."""
    x = np.array([1, np.nan, 2.5, 0], np.float32)
    options: Any = {"keys_floats": [2.5, float("nan"), 2.5], "values_int64s": [1, 2, 3]}
    made = model("LabelEncoder", {"x": x}, domain="ai.onnx.ml", **options)
    made.opset_import[1].version = 4
    program = convert(made, Path(), {}, {})
    for run in (program.run({"x": x}), run_program(program, {"x": x})):
        assert run["y0"].tolist() == [-1, 2, 3, -1]


def test_strings_are_refused() -> None:
    x = np.zeros((2, F), np.float32)
    options: Any = {"classlabels_strings": ["a", "b"], "coefficients": [0.0] * 2 * F}
    made = model(
        "LinearClassifier",
        {"x": x},
        domain="ai.onnx.ml",
        outputs=2,
        intercepts=[0.0] * 2,
        **options,
    )
    with pytest.raises(UnsupportedError, match="strings"):
        convert(made, Path(), {}, {})


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("skipped", [0, 1, 3])
def test_n_grams(mode: str, skipped: int) -> None:
    rng = np.random.default_rng(12)
    x = rng.integers(0, 4, (3, 12)).astype(np.int64)
    pool = [0, 1, 2, 3, 0, 1, 1, 2, 3, 3, 0, 1, 2, 2, 1, 0]
    options: Any = {
        "ngram_counts": [0, 4, 10],
        "ngram_indexes": [8, 1, 2, 3, 4, 5, 6, 7, 0],
        "pool_int64s": pool,
        "min_gram_length": 1,
        "max_gram_length": 3,
        "max_skip_count": skipped,
    }
    weights = onnx.helper.make_attribute("weights", numbers(rng.random(9) + 0.5))
    for given in (x, x[0], x[:, :2], x.astype(np.int32)):
        made = model("TfIdfVectorizer", {"x": given}, opset=9, mode=mode, **options)
        made.graph.node[0].attribute.append(weights)
        (want,) = wanted(made, {"x": given})
        program = convert(made, Path(), {}, {})
        for run in (program.run({"x": given}), run_program(program, {"x": given})):
            assert run["y0"].shape == want.shape
            np.testing.assert_allclose(run["y0"], want, 1e-6)
