"""Runs in Chainer's environment: the two chains that caption, traced, and what Chainer gives.

python captions.py OUT.npz    (in examples/captioning)
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import chainer
import numpy as np

from tests.frontends.chainer.generate import write_program
from webconv.frontends.chainer import trace
from webconv.frontends.chainer.weights import load_weights


def main(out: Path) -> None:
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    from net import make_decoder, make_encoder

    encoder, example = make_encoder()
    decoder, entries = make_decoder()
    for name, chain in (("encoder", encoder), ("decoder", decoder)):
        load_weights(chain, folder / f"{name}.npz")
    found: dict[str, Any] = {}
    write_program(found, "encoder", trace(encoder, example))
    write_program(found, "decoder", trace(decoder, entries=entries))
    found["picture"] = np.random.default_rng(0).random((2, *example.shape[1:]), np.float32)
    with chainer.using_config("train", False):
        feature = encoder(found["picture"])["feature"]
        scores = decoder.start(feature)["scores"].array
        found["feature"] = feature.array
        for k in range(4):
            found[f"scores_{k}"] = scores
            scores = decoder.step(scores.argmax(1).astype(np.int32))["scores"].array
    np.savez(out, **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
