"""Trains two models to say the fourth word of any three in a fable, and measures them.

    pip install tensorflow-cpu tf2onnx tf_keras
    TF_USE_LEGACY_KERAS=1 python train.py

Writes story.onnx, story_two_layers.onnx, vocabulary.json (the words in the order of the models'
numbers) and, for `webconv verify`, windows.npz and TensorFlow's own scores of them, *_expect.npz.
README.md has the figures it printed.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import tensorflow
import tf2onnx

tf = tensorflow.compat.v1
cells = tf.nn.rnn_cell

FOLDER = Path(__file__).parent
SEED = 1
WINDOW = 3
STEPS = 2000
RATE = 1e-3
MODELS = {
    "story": lambda: cells.BasicLSTMCell(512),
    "story_two_layers": lambda: cells.MultiRNNCell([cells.BasicLSTMCell(192) for _ in range(2)]),
}


def read_windows(words: list[str], vocabulary: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Every three words in a row, as numbers [window, 3, 1], and the number of the word after."""
    numbers = np.array([vocabulary.index(word) for word in words])
    windows = np.lib.stride_tricks.sliding_window_view(numbers, WINDOW + 1)
    return windows[:, :WINDOW, None].astype("float32"), windows[:, WINDOW]


def build(make_cell: Callable[[], object], symbols: int) -> tuple[object, object]:
    """The model as TensorFlow 1 wrote it: one cell for each word, and the last one's output."""
    x = tf.placeholder("float32", [None, WINDOW, 1], name="words")
    steps = tf.split(tf.reshape(x, [-1, WINDOW]), WINDOW, 1)
    outputs, _ = tf.nn.static_rnn(make_cell(), steps, dtype="float32")
    weights = tf.get_variable("out_weights", [outputs[-1].shape[1], symbols])
    biases = tf.get_variable("out_biases", [symbols], initializer=tf.zeros_initializer())
    return x, tf.add(tf.matmul(outputs[-1], weights), biases, name="scores")


def train(session: object, x: object, scores: object, windows: np.ndarray, after: np.ndarray):
    """All windows in every step; the learning rate falls to zero."""
    y = tf.placeholder("int64", [None])
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=scores))
    step = tf.train.get_or_create_global_step()
    rate = tf.train.cosine_decay(RATE, step, STEPS)
    optimizer = tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)
    session.run(tf.global_variables_initializer())
    for number in range(1, STEPS + 1):
        _, value = session.run([optimizer, loss], {x: windows, y: after})
        if number % 100 == 0:
            print(f"step {number}: loss {value:.4f}", flush=True)


def round_weights(session: object) -> int:
    """Makes every weight a number that 16 bits hold. Returns how many weights there are."""
    variables = tf.trainable_variables()
    for variable in variables:
        variable.load(session.run(variable).astype("float16").astype("float32"), session)
    return sum(int(np.prod(variable.shape)) for variable in variables)


def store_in_16_bits(model: onnx.ModelProto) -> None:
    """Halves the file: large constants are kept as float16, with a Cast to float32 behind them."""
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size > 1000:
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(value.astype("float16"), f"{name}_f16"))
            cast = onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
            model.graph.node.insert(0, cast)


def export(frozen: object, name: str) -> None:
    """Writes a graph that holds its weights, by way of tf2onnx."""
    model, _ = tf2onnx.convert.from_graph_def(
        frozen, input_names=["words:0"], output_names=["scores:0"], opset=13
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.name = name
    store_in_16_bits(model)
    onnx.save(model, FOLDER / f"{name}.onnx")


def main() -> None:
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_eager_execution()
    words = (FOLDER / "belling_the_cat.txt").read_text(encoding="utf-8").split()
    vocabulary = [word for word, _ in Counter(words).most_common()]
    text = json.dumps(vocabulary)
    (FOLDER / "vocabulary.json").write_text(text + "\n", encoding="utf-8")
    windows, after = read_windows(words, vocabulary)
    np.savez(FOLDER / "windows.npz", **{"words:0": windows[:32]})
    for name, make_cell in MODELS.items():
        tf.reset_default_graph()
        tf.set_random_seed(SEED)
        with tf.Session() as session:
            x, scores = build(make_cell, len(vocabulary))
            train(session, x, scores, windows, after)
            parameters = round_weights(session)
            found = session.run(scores, {x: windows})
            right = int(np.sum(found.argmax(axis=1) == after))
            share = 100 * right / len(after)
            print(f"{name}: {parameters} parameters, {right} of {len(after)} right, {share:.2f} %")
            np.savez(FOLDER / f"{name}_expect.npz", **{"scores:0": found[:32]})
            definition = session.graph.as_graph_def()
            constants = tf.graph_util.convert_variables_to_constants
            frozen = constants(session, definition, ["scores"])
        export(frozen, name)


if __name__ == "__main__":
    main()
