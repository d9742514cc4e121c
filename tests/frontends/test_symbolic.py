"""Sizes that the file leaves open: one program for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontends.layer_cases import L
from tests.frontends.oracle import built, called, compare, keras, sample, saved
from webconv.frontends.keras import load
from webconv.ir import dims
from webconv.ir.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and NumPy warn about each other

SEQUENCE, IMAGE = (None, 3), (None, None, 3)
WINDOWS = [
    (kind, kernel, stride)
    for kind in ("conv", "max", "average")
    for kernel, stride in ((1, 2), (2, 1), (2, 2), (3, 2), (2, 3), (5, 2))
]


def check(model: Any, folder: Path, sizes: list[tuple[tuple[int, ...], ...]]) -> Any:
    """Loads once, runs at all sizes."""
    program = load(saved(model, folder, ".keras"))
    for shapes in sizes:
        arrays = [sample(s, "float32", k) for k, s in enumerate(shapes)]
        compare(program, arrays, called(model, arrays), str(shapes))
    return program


@pytest.mark.parametrize(("kind", "kernel", "stride"), WINDOWS)
def test_same_padding(kind: str, kernel: int, stride: int, tmp_path: Path) -> None:
    layers = {
        "conv": lambda: L.Conv1D(2, kernel, stride, "same"),
        "max": lambda: L.MaxPooling1D(kernel, stride, "same"),
        "average": lambda: L.AveragePooling1D(kernel, stride, "same"),
    }
    model = built(lambda x: layers[kind]()(x), [SEQUENCE], ["float32"])
    program = check(model, tmp_path, [((2, n, 3),) for n in (1, 4, 5, 7)])
    (size,) = program.main.outputs.values()
    time = dims.symbol("time")
    if kernel >= stride:
        assert size.shape[1] == dims.ceildiv(time, stride)


SEQUENCES = {
    "dilated": lambda x: L.Conv1D(2, 3, padding="same", dilation_rate=3)(x),
    "causal": lambda x: L.Conv1D(2, 3, 2, padding="causal")(x),
    "valid": lambda x: L.MaxPooling1D(2)(L.Conv1D(2, 2)(x)),
    "transposed": lambda x: L.Conv1DTranspose(2, 3, 2, "same")(x),
    "lstm": lambda x: L.LSTM(3, return_sequences=True)(x),
    "convolution then gru": lambda x: L.GRU(3)(L.Conv1D(4, 3, 2, "same")(x)),
    "bidirectional": lambda x: L.Bidirectional(L.GRU(3))(x),
    "masked": lambda x: L.LSTM(3, return_sequences=True)(L.Masking()(keras.ops.relu(x))),
    "attention": lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    "mean": lambda x: L.GlobalAveragePooling1D()(x),
    "padding": lambda x: L.Cropping1D(1)(L.ZeroPadding1D(2)(x)),
    "up": lambda x: L.UpSampling1D(3)(x),
    "reshape": lambda x: L.Reshape((-1, 1))(x),
    "distributed": lambda x: L.TimeDistributed(L.LayerNormalization())(x),
    "distributed rnn": lambda x: L.TimeDistributed(L.LSTM(2))(L.Reshape((-1, 3, 1))(x)),
    "residual": lambda x: L.Add()([x, L.Conv1D(3, 5, padding="same")(x)]),
    "concatenated": lambda x: L.Concatenate(1)([x, L.ZeroPadding1D(1)(x)]),
    "sparsemax": lambda x: keras.ops.sparsemax(x, axis=1),
    "last": lambda x: x[:, -1],
    "shifted": lambda x: x[:, 1:] - x[:, :-1],
    "every other": lambda x: x[:, ::-2],
    "attention without weights": lambda x: keras.ops.dot_product_attention(
        *[L.Reshape((-1, 3, 1))(x)] * 3, is_causal=True
    ),
    "differences": lambda x: keras.ops.diff(x, 2, axis=1),
    "median": lambda x: keras.ops.median(x, axis=(0, 1)),
    "diagonal": lambda x: keras.ops.diagonal(keras.ops.matmul(x, x[0, 0]), -1),
    "trace": lambda x: keras.ops.trace(x, 1, 1, 2),
    "pieces": lambda x: keras.ops.array_split(x, 3, axis=1),
    "block": lambda x: keras.ops.slice(x, (0, 1, 1), (1, 3, 2)),
    "block replaced": lambda x: keras.ops.slice_update(x * 1, (0, 1, 1), x[:1, :2, :2]),
    "grid": lambda x: keras.ops.meshgrid(x[0], x[:, 0, 0]),
    "from the first to the last": lambda x: keras.ops.linspace(x[:, 0], x[:, -1], 4, axis=1),
    "products": lambda x: keras.ops.kron(x, x[:1, :2]),
    "missing": lambda x: keras.ops.nanmean(keras.ops.log(x), axis=(0, 1)),
    "turned": lambda x: keras.ops.rot90(x, -1, axes=(1, 2)),
    "vector product": lambda x: keras.ops.cross(x, x[:, ::-1]),
    "diagonal of a batch": lambda x: keras.ops.diag(x[:, 0, 0], 1),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, tmp_path: Path) -> None:
    model = built(SEQUENCES[name], [SEQUENCE], ["float32"])
    check(model, tmp_path, [((b, n, 3),) for b, n in ((1, 4), (3, 5), (2, 7))])


IMAGES = {
    "convolution": lambda x: L.Conv2D(2, 3, 2, "same")(x),
    "pooling": lambda x: L.AveragePooling2D(3, 2, "same")(x),
    "global": lambda x: L.GlobalMaxPooling2D()(x),
    "transposed": lambda x: L.Conv2DTranspose(2, 2, 2)(x),
    "nearest": lambda x: L.UpSampling2D(2)(x),
    "bilinear": lambda x: L.UpSampling2D((2, 3), interpolation="bilinear")(x),
    "bicubic": lambda x: L.UpSampling2D(2, interpolation="bicubic")(x),
    "crop": lambda x: L.CenterCrop(3, 4)(x),
    "norm": lambda x: L.GroupNormalization(3)(L.BatchNormalization()(x)),
    "u-net": lambda x: L.Concatenate()(
        [x, L.UpSampling2D(2)(L.MaxPooling2D(2)(L.Conv2D(4, 3, padding="same")(x)))]
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str, tmp_path: Path) -> None:
    model = built(IMAGES[name], [IMAGE], ["float32"])
    sizes = [(1, 6, 8), (2, 8, 4)] if name == "u-net" else [(1, 6, 7), (2, 8, 5)]
    program = check(model, tmp_path, [((*s, 3),) for s in sizes])
    (value,) = program.main.inputs.values()
    assert [str(d) for d in value.shape] == ["batch", "height", "width", "3"]


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "lanczos3"])
def test_resizing_open_sizes(mode: str, tmp_path: Path) -> None:
    """Keras wants known sizes here, so each size is a model of its own."""
    program = load(
        saved(built(lambda x: L.Resizing(5, 4, mode)(x), [IMAGE], ["float32"]), tmp_path, ".keras")
    )
    for n in (3, 5, 9):
        model = built(lambda x: L.Resizing(5, 4, mode)(x), [(n, 7, 3)], ["float32"])
        array = sample((1, n, 7, 3), "float32")
        compare(program, [array], called(model, [array]), f"{mode} {n}")


def symbols(program: Any) -> list[list[str]]:
    return [[str(d) for d in v.shape] for v in program.main.inputs.values()]


def test_inputs_that_may_differ_keep_their_own_symbols(tmp_path: Path) -> None:
    model = built(lambda x, y: L.Concatenate(1)([x, y]), [SEQUENCE, SEQUENCE], ["float32"] * 2)
    program = check(model, tmp_path, [((2, 3, 3), (2, 5, 3))])
    assert symbols(program) == [["batch", "time", "3"], ["batch", "time_2", "3"]]


def test_inputs_that_must_be_equal_share_a_symbol(tmp_path: Path) -> None:
    def function(x: Any, y: Any, z: Any) -> Any:
        return L.Concatenate(1)([L.Add()([x, z]), y])

    model = built(function, [SEQUENCE] * 3, ["float32"] * 3)
    program = check(model, tmp_path, [((2, 4, 3), (2, 5, 3), (2, 4, 3))])
    assert symbols(program) == [
        ["batch", "time", "3"],
        ["batch", "time_2", "3"],
        ["batch", "time", "3"],
    ]
    assert not program.main.guards


def test_batch_that_is_fixed_stays(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(2, None, 3)), L.LSTM(2)])
    assert symbols(load(saved(model, tmp_path, ".keras"))) == [["2", "time", "3"]]


class TestInputShape:
    """`--input-shape`: what replaces the file's shapes."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        model = built(lambda x: L.LSTM(2)(x), [(4, 3)], ["float32"])
        return saved(model, tmp_path, ".keras")

    def test_opens_a_fixed_size(self, path: Path) -> None:
        shape = (dims.symbol("batch"), dims.symbol("time"), 3)
        program = load(path, input_shapes={"in_0": shape})
        out = program.run({"in_0": np.zeros((1, 9, 3))})
        assert next(iter(out.values())).shape == (1, 2)

    def test_fixes_an_open_size(self, path: Path) -> None:
        assert symbols(load(path, input_shapes={"in_0": (1, 4, 3)})) == [["1", "4", "3"]]

    @pytest.mark.parametrize(
        ("shapes", "message"),
        [
            ({"x": (1, 4, 3)}, r"there is no input 'x'; the inputs are 'in_0'"),
            ({"in_0": (1, 4)}, r"input 'in_0': a shape of 3 sizes is needed, but 1, 4 has 2"),
            ({"in_0": (1, 0, 3)}, r"input 'in_0': sizes must be positive, but they are 1, 0, 3"),
            ({"in_0": (1, 4, 5)}, r"LSTM lstm.*: w must be \[1, 5, 4, 2\], but it is"),
        ],
    )
    def test_impossible(self, path: Path, shapes: Any, message: str) -> None:
        with pytest.raises(ShapeError, match=message):
            load(path, input_shapes=shapes)


def test_given_names_of_sizes_that_are_one(tmp_path: Path) -> None:
    """What is given a name keeps it, others take it; two given ones are checked when run."""
    x, h = keras.Input((None, 3), name="x"), keras.Input((4,), name="h")
    model = keras.Model([x, h], L.GRU(4)(x, initial_state=h))
    path = saved(model, tmp_path, ".keras")
    n, m = dims.symbol("n"), dims.symbol("m")
    program = load(path, input_shapes={"h": (n, 4)})
    assert [v.shape[0] for v in program.main.inputs.values()] == [n, n]
    program = load(path, input_shapes={"h": (n, 4), "x": (m, 2, 3)})
    assert [v.shape[0] for v in program.main.inputs.values()] == [m, n]
    with pytest.raises(ShapeError, match="must equal"):
        program.run({"x": np.zeros((2, 2, 3)), "h": np.zeros((1, 4))})


def test_pieces_of_an_open_axis(tmp_path: Path) -> None:
    """What is left over would be lost."""
    x = keras.Input((None, 2))
    model = keras.Model(x, keras.ops.split(x, 2, axis=1))
    program = check(model, tmp_path, [((2, 4, 2),), ((1, 6, 2),)])
    with pytest.raises(ShapeError, match="must equal"):
        program.run({next(iter(program.main.inputs)): sample((1, 5, 2), "float32")})
