"""Makes hello_rnn.h5, the smallest model with a page: SimpleRNN(4) on an input of (3, 2).

    KERAS_BACKEND=jax python make.py

Its weights are drawn from a seed. It prints what the page shows for the numbers it starts with.
"""

from pathlib import Path

import keras
import numpy as np

FOLDER = Path(__file__).parent
FIRST_SHOWN = [[[1, 0], [0, 1], [-0.5, 0.5]]]


def main() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.SimpleRNN(4)], name="hello_rnn")
    model.save(FOLDER / "hello_rnn.h5", include_optimizer=False)
    outputs = model.predict(np.array(FIRST_SHOWN, "float32"), verbose=0)[0]
    print(" ".join(f"{output:.4f}" for output in outputs))


if __name__ == "__main__":
    main()
