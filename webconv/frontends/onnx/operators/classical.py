"""`ai.onnx.ml`: scaling, encoding and linear models, on tensors of numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.operators.linear import matmul
from webconv.frontends.onnx.registry import operator
from webconv.ir import dtypes, graph, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Array

classical = functools.partial(operator, domain="ai.onnx.ml")


def refuse_strings(**given: Sequence[str] | None) -> None:
    """Raise UnsupportedError for attributes of strings that are there."""
    found = [name for name, values in given.items() if values]
    if found:
        raise UnsupportedError(f"strings ({', '.join(found)}) are not supported, only numbers")


def numbers(values: Sequence[float] | Array) -> Value:
    """A constant vector of f32."""
    return graph.constant(np.asarray(values, np.float32))


def floats(x: Value) -> Value:
    """x as f32."""
    return common.cast(x, dtypes.f32)


def rows(x: Value) -> Value:
    """x [C] or [N, C] as f32 [N, C]."""
    return floats(common.expand_dims(x, 0) if x.type.rank == 1 else x)


@classical("ArrayFeatureExtractor")
def array_feature_extractor(x: Value, indices: Value) -> Value:
    """Columns of x; a vector counts as one row."""
    x = common.expand_dims(x, 0) if x.type.rank == 1 else x
    where = common.reshape(indices, (indices.type.size,))
    out: Value = ops.Gather(x.type.rank - 1)(x, where)
    return out


@classical("Binarizer")
def binarizer(x: Value, *, threshold: float = 0.0) -> Value:
    """1 above the threshold, else 0."""
    return common.cast(ops.Greater()(x, common.scalar(threshold, x)), x.type.dtype)


@classical("Scaler")
def scaler(x: Value, *, offset: Sequence[float] = (0.0,), scale: Sequence[float] = (1.0,)) -> Value:
    """(x - offset) * scale, of one or of each column."""
    out: Value = ops.Mul()(ops.Sub()(floats(x), numbers(offset)), numbers(scale))
    return out


@classical("Imputer")
def imputer(
    x: Value,
    *,
    imputed_value_floats: Sequence[float] = (),
    imputed_value_int64s: Sequence[int] = (),
    replaced_value_float: float = 0.0,
    replaced_value_int64: int = 0,
) -> Value:
    """A value replaced by another, of one or of each column."""
    real = x.type.dtype.is_float
    new = np.asarray(imputed_value_floats if real else imputed_value_int64s)
    if not new.size:
        raise ModelFormatError("the values to impute are missing")
    if real and math.isnan(replaced_value_float):
        missing = ops.IsNaN()(x)
    else:
        old = replaced_value_float if real else replaced_value_int64
        missing = ops.Equal()(x, common.scalar(old, x))
    out: Value = ops.Where()(missing, graph.constant(new.astype(x.type.dtype.numpy)), x)
    return out


@classical("Normalizer")
def normalizer(x: Value, *, norm: str = "MAX") -> Value:
    """Rows over their greatest element, sum of magnitudes or length; rows of 0 stay."""
    x = floats(x)
    axis = (x.type.rank - 1,)
    if norm == "MAX":
        divisor = ops.ReduceMax(axis, True)(x)
    elif norm == "L1":
        divisor = ops.ReduceSum(axis, True)(ops.Abs()(x))
    elif norm == "L2":
        divisor = ops.Sqrt()(ops.ReduceSum(axis, True)(ops.Mul()(x, x)))
    else:
        raise ModelFormatError(f"norm must be MAX, L1 or L2, but it is {norm!r}")
    empty = ops.Equal()(divisor, common.scalar(0, x))
    out: Value = ops.Div()(x, ops.Where()(empty, common.scalar(1, x), divisor))
    return out


@classical("FeatureVectorizer")
def feature_vectorizer(*inputs: Value, inputdimensions: Sequence[int] = ()) -> Value:
    """Columns side by side, as f32."""
    parts = [common.expand_dims(x, 1) if x.type.rank == 1 else x for x in inputs]
    for part, wanted in zip(parts, inputdimensions, strict=False):
        n = part.shape[1]
        if isinstance(n, int) and n != wanted:
            raise ShapeError(f"an input must have {wanted} columns, but it is {part.type}")
    return common.concat([floats(p) for p in parts], 1)


@classical("OneHotEncoder")
def one_hot_encoder(
    x: Value,
    *,
    cats_int64s: Sequence[int] = (),
    cats_strings: Sequence[str] = (),
    zeros: int = 1,
) -> Value:
    """1 at the category along a new last axis; 0 everywhere for one that is not listed."""
    refuse_strings(cats_strings=cats_strings)
    categories = graph.constant(np.asarray(cats_int64s, np.int64))
    whole = common.cast(x, dtypes.i64)
    return common.cast(ops.Equal()(common.expand_dims(whole, -1), categories), dtypes.f32)


@classical("LabelEncoder", since=2)
def label_encoder(
    x: Value,
    *,
    default_float: float = -0.0,
    default_int64: int = -1,
    default_string: str = "_Unused",
    default_tensor: Array | None = None,
    keys_floats: Sequence[float] | None = None,
    keys_int64s: Sequence[int] | None = None,
    keys_strings: Sequence[str] | None = None,
    keys_tensor: Array | None = None,
    values_floats: Sequence[float] | None = None,
    values_int64s: Sequence[int] | None = None,
    values_strings: Sequence[str] | None = None,
    values_tensor: Array | None = None,
) -> Value:
    """Keys replaced by values, anything else by the default; the last of equal keys counts."""
    refuse_strings(keys_strings=keys_strings, values_strings=values_strings)
    keys = _given((keys_tensor, None), (keys_floats, np.float32), (keys_int64s, np.int64))
    values = _given((values_tensor, None), (values_floats, np.float32), (values_int64s, np.int64))
    if len(keys) != len(values):
        raise ModelFormatError(f"{len(keys)} keys need as many values, not {len(values)}")
    default = default_float if values.dtype.kind == "f" else default_int64
    if default_tensor is not None:
        default = default_tensor.reshape(-1)[0]
    return mapped(x, keys, values, np.asarray(default).astype(values.dtype))


def _given(*choices: tuple[Sequence[float] | Array | None, type[np.number] | None]) -> Array:
    for values, dtype in choices:
        if values is not None:
            return np.asarray(values, dtype).reshape(-1)
    raise ModelFormatError("its keys or values are missing")


def mapped(x: Value, keys: Array, values: Array, default: Array) -> Value:
    """values[k] where x is keys[k], else the default."""
    keys = keys.astype(x.type.dtype.numpy)
    missing = np.flatnonzero(keys != keys)  # NaN
    order = np.argsort(keys, kind="stable")[: len(keys) - len(missing)]
    last = np.append(keys[order][1:] != keys[order][:-1], True)[: len(order)]
    order = order[last.astype(bool)]
    fallback = graph.constant(default)
    out = common.broadcast_to(fallback, x.shape)
    if len(order):
        ascending = graph.constant(keys[order])
        where = ops.SearchSorted()(ascending, x)
        hit = ops.Equal()(ops.Gather(0)(ascending, where), x)
        if x.type.dtype.is_float:
            hit = ops.And()(hit, ops.Not()(ops.IsNaN()(x)))
        found = ops.Gather(0)(graph.constant(values[order]), where)
        out = ops.Where()(hit, found, out)
    if len(missing):
        out = ops.Where()(ops.IsNaN()(x), graph.constant(values[missing[-1]]), out)
    return out


# -- linear models ------------------------------------------------------------------------------


@classical("LinearRegressor")
def linear_regressor(
    x: Value,
    *,
    coefficients: Sequence[float],
    intercepts: Sequence[float] = (),
    post_transform: str = "NONE",
    targets: int = 1,
) -> Value:
    """x times the coefficients of each target, plus its intercept."""
    weights = np.asarray(coefficients, np.float32).reshape(targets, -1)
    y = matmul(rows(x), numbers(weights.T))
    y = ops.Add()(y, numbers(intercepts)) if intercepts else y
    return transformed(y, post_transform)


@classical("LinearClassifier")
def linear_classifier(
    x: Value,
    *,
    classlabels_ints: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    coefficients: Sequence[float],
    intercepts: Sequence[float] = (),
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> tuple[Value, Value]:
    """The label of the class with the greatest score, and the scores."""
    refuse_strings(classlabels_strings=classlabels_strings)
    count = len(intercepts) or len(classlabels_ints)
    weights = np.asarray(coefficients, np.float32).reshape(count, -1)
    scores = matmul(rows(x), numbers(weights.T))
    scores = ops.Add()(scores, numbers(intercepts)) if intercepts else scores
    if count == 1 and len(classlabels_ints) == 2:
        return of_two(scores, 0.0, True, classlabels_ints, post_transform)
    return labelled(ops.ArgMax(1)(scores), classlabels_ints), transformed(scores, post_transform)


def of_two(
    score: Value, limit: float, shares: bool, labels: Sequence[int], post_transform: str
) -> tuple[Value, Value]:
    """Label and scores of two classes from the score [N, 1] of the second one.

    Scores that are `shares` add up to 1, others to 0; of the transforms, only LOGISTIC has a
    meaning here: that is what onnxruntime does.
    """
    if post_transform == "PROBIT":
        raise UnsupportedError("post_transform PROBIT of one score for two classes")
    second = ops.Greater()(common.at(score, 1, 0), common.scalar(limit, score))
    label = labelled(common.cast(second, dtypes.i32), labels)
    if post_transform == "LOGISTIC":
        return label, ops.Sigmoid()(common.concat([ops.Neg()(score), score], 1))
    other = ops.Sub()(common.scalar(1 if shares else 0, score), score)
    return label, common.concat([other, score], 1)


def labelled(index: Value, labels: Sequence[int]) -> Value:
    """The label of each class."""
    out: Value = ops.Gather(0)(graph.constant(np.asarray(labels, np.int64)), index)
    return out


# -- support vectors ----------------------------------------------------------------------------


def _kernel(kind: str, x: Value, vectors: Array, parameters: Sequence[float]) -> Value:
    """How near each row of x [N, F] is to each vector [S, F]: [N, S]."""
    gamma, offset, degree = (*parameters, 0.0, 0.0, 0.0)[:3]
    products = matmul(x, numbers(vectors.T))
    match kind:
        case "LINEAR":
            return products
        case "POLY":
            base = ops.Affine(gamma, offset)(products)
            out: Value = ops.Pow()(base, common.scalar(degree, base))
        case "SIGMOID":
            out = ops.Tanh()(ops.Affine(gamma, offset)(products))
        case "RBF":
            between = ops.Sub()(common.expand_dims(x, 1), numbers(vectors))
            square = ops.ReduceSum((2,))(ops.Mul()(between, between))
            out = ops.Exp()(ops.Affine(-gamma, 0.0)(square))
        case _:
            raise ModelFormatError(f"kernel_type {kind!r} is unknown")
    return out


@classical("SVMRegressor")
def svm_regressor(
    x: Value,
    *,
    coefficients: Sequence[float],
    kernel_params: Sequence[float] = (),
    kernel_type: str = "LINEAR",
    n_supports: int = 0,
    one_class: int = 0,
    post_transform: str = "NONE",
    rho: Sequence[float] = (0.0,),
    support_vectors: Sequence[float] = (),
) -> Value:
    """The sum of the nearness to each support vector, weighted; its sign for `one_class`."""
    x = rows(x)
    if n_supports:
        vectors = np.asarray(support_vectors, np.float32).reshape(n_supports, -1)
        x = _kernel(kernel_type, x, vectors, kernel_params)
    weights = np.asarray(coefficients, np.float32).reshape(-1, 1)
    y: Value = ops.Add()(matmul(x, numbers(weights)), numbers(rho[:1]))
    if one_class:
        plus, minus = common.scalar(1, y), common.scalar(-1, y)
        y = ops.Where()(ops.Greater()(y, common.scalar(0, y)), plus, minus)
    return transformed(y, post_transform)


# -- what is done with scores [N, C] --------------------------------------------------------------


def _softmax_zero(x: Value) -> Value:
    """Softmax among what is not 0; what is 0 stays."""
    small = common.scalar(1e-7, x)
    counts = ops.Greater()(ops.Abs()(x), small)
    top = ops.ReduceMax((1,), True)(x)
    e = ops.Exp()(ops.Sub()(x, top))
    total = ops.ReduceSum((1,), True)(ops.Where()(counts, e, common.scalar(0, x)))
    rest = ops.Mul()(x, ops.Exp()(ops.Neg()(top)))
    out: Value = ops.Div()(ops.Where()(counts, e, rest), total)
    return out


def _probit(p: Value) -> Value:
    """sqrt(2) * erfinv(2 p - 1), by the approximation of Winitzki (2008) that onnxruntime has."""
    a = 0.147
    x = ops.Affine(2.0, -1.0)(p)
    one = common.scalar(1, x)
    log = ops.Log()(ops.Mul()(ops.Sub()(one, x), ops.Add()(one, x)))
    v = ops.Affine(0.5, 2 / (math.pi * a))(log)
    inner = ops.Sub()(ops.Mul()(v, v), ops.Affine(1 / a, 0.0)(log))
    size = ops.Sqrt()(ops.Sub()(ops.Sqrt()(inner), v))
    sign = ops.Where()(ops.Less()(x, common.scalar(0, x)), common.scalar(-1, x), one)
    out: Value = ops.Mul()(ops.Mul()(sign, size), common.scalar(math.sqrt(2), x))
    return out


TRANSFORMS: dict[str, Callable[[Value], Value]] = {
    "NONE": lambda x: x,
    "SOFTMAX": lambda x: ops.Softmax(1)(x),
    "LOGISTIC": lambda x: ops.Sigmoid()(x),
    "SOFTMAX_ZERO": _softmax_zero,
    "PROBIT": _probit,
}


def transformed(scores: Value, name: str) -> Value:
    """Scores [N, C] after a `post_transform`.

    A single score stays as it is, but for PROBIT: ONNX leaves that open, onnxruntime does this.
    """
    if name not in TRANSFORMS:
        raise ModelFormatError(f"post_transform {name!r} is unknown")
    return scores if scores.shape[1] == 1 and name != "PROBIT" else TRANSFORMS[name](scores)
