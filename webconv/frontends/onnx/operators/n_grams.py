"""TfIdfVectorizer over integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from webconv.frontends import common
from webconv.frontends.onnx.registry import operator
from webconv.ir import dims, dtypes, graph, ops
from webconv.ir.errors import ModelFormatError, ShapeError, UnsupportedError
from webconv.ir.graph import Value
from webconv.ir.op import Array


@operator("TfIdfVectorizer")
def tf_idf_vectorizer(
    x: Value,
    *,
    max_gram_length: int,
    max_skip_count: int,
    min_gram_length: int,
    mode: str,
    ngram_counts: Sequence[int],
    ngram_indexes: Sequence[int],
    pool_int64s: Sequence[int] = (),
    pool_strings: Sequence[str] = (),
    weights: Sequence[float] = (),
) -> Value:
    """How often each n-gram of the pool occurs, with up to `max_skip_count` tokens left out."""
    if pool_strings:
        raise UnsupportedError("pools of strings are not supported, only of integers")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise ModelFormatError(f"mode must be TF, IDF or TFIDF, but it is {mode!r}")
    if x.type.rank not in (1, 2):
        raise ShapeError(f"the input must have one axis or two, but it is {x.type}")
    rows = common.expand_dims(x, 0) if x.type.rank == 1 else x
    counts: list[Value] = []
    columns: list[int] = []
    first = 0
    for n, grams in enumerate(_pool(pool_int64s, ngram_counts), 1):
        own = range(first, first + len(grams))
        first += len(grams)
        if min_gram_length <= n <= max_gram_length and len(grams):
            counts.append(_occurrences(rows, grams, max_skip_count if n > 1 else 0))
            columns += own
    width = max(ngram_indexes) + 1
    if not counts:
        return common.broadcast_to(common.float_constant(0), (*x.shape[:-1], width))
    found = common.concat(counts, 1)
    if mode == "IDF":
        found = ops.Min()(found, common.scalar(1, found))
    place = np.zeros((len(columns), width), np.float32)
    for row, gram in enumerate(columns):
        place[row, ngram_indexes[gram]] = weights[gram] if weights and mode != "TF" else 1
    out: Value = ops.MatMul()(common.cast(found, dtypes.f32), graph.constant(place))
    return common.squeeze(out, 0) if x.type.rank == 1 else out


def _pool(pool: Sequence[int], starts: Sequence[int]) -> list[Array]:
    """The n-grams [count, n] for n = 1, 2, ..."""
    ends = [*starts[1:], len(pool)]
    out = []
    for n, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        if not 0 <= start <= end <= len(pool) or (end - start) % n:
            raise ModelFormatError(f"{end - start} numbers are not {n}-grams")
        out.append(np.asarray(pool[start:end], np.int64).reshape(-1, n))
    return out


def _occurrences(rows: Value, grams: Array, most_skipped: int) -> Value:
    """How often each n-gram [G, n] occurs in each row [N, C], as i32 [N, G]."""
    total: Value | None = None
    for step in range(1, most_skipped + 2):
        starts = dims.maximum(rows.shape[1] - (grams.shape[1] - 1) * step, 0)
        if starts == 0:
            break
        hit: Value | None = None
        for k in range(grams.shape[1]):
            tokens = common.slice_axes(rows, {1: common.Span(k * step, starts, 1)})
            wanted = graph.constant(grams[:, k : k + 1].astype(rows.type.dtype.numpy))
            same = ops.Equal()(common.expand_dims(tokens, 1), wanted)
            hit = same if hit is None else ops.And()(hit, same)
        assert hit is not None
        count = ops.ReduceSum((2,))(common.cast(hit, dtypes.i32))
        total = count if total is None else ops.Add()(total, count)
    if total is None:
        return common.broadcast_to(graph.constant(np.int32(0)), (rows.shape[0], len(grams)))
    return total
