"""What programs know of links, against what the links gave. Runs in Chainer's environment."""

from __future__ import annotations

import json
from typing import Any

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from tests.frontends.chainer.nets import seeded, words
from webconv.edits import Edits, edit
from webconv.frontends.chainer import trace
from webconv.ir import dims


class Block(chainer.Chain):
    """A chain of the user's own, in the form that Chainer had before `forward`."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution1D(3, 3, 3, pad=1)

    def __call__(self, x: Any) -> Any:
        return F.relu(self.conv(x))


class Net(chainer.Chain):
    """A loop, a link that is called twice, and links in a chain and in a list."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(9, 3)
            self.block = Block()
            self.first, self.second = L.LSTM(3, 4), L.LSTM(4, 4)
            self.heads = chainer.ChainList(L.Linear(4, 2), L.Linear(4, 2))
            self.twice = L.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        self.first.reset_state()
        self.second.reset_state()
        steps = self.block(F.transpose(self.embed(x), (0, 2, 1)))
        for t in range(steps.shape[2]):
            h = self.second(self.first(steps[:, :, t]))
        self.h = h
        left, right = (F.tanh(head(h)) for head in self.heads)
        return self.twice(left), self.twice(right)


def largest_difference(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a) - b.array).max())


def main() -> None:
    net = seeded(Net())
    program = trace(net, words(9, 2, 5))
    x = words(9, 3, 7)
    with chainer.using_config("train", False):
        want = net(x)
        cut = {"read": (["x"], ["second", "first"]), "tell": (["second"], ["twice", "twice.1"])}
        entries = edit(program, Edits(entries=cut))
        read = entries.run({"x": x}, "read")
        told = entries.run({"second": read["second"]}, "tell")
        carried = edit(program, Edits(stateful=["first", "second"]))
        states: dict[str, Any] = {}
        carried.run({"x": x}, states=states)
    differences = {
        "read": largest_difference(read["second"], net.h),
        "first": largest_difference(read["first"], net.first.h),
        "tell": max(map(largest_difference, told.values(), want)),
        "h": largest_difference(states["second/h"], net.second.h),
        "c": largest_difference(states["first/c"], net.first.c),
    }
    layers = {name: [str(v.type) for v in values] for name, values in program.layers.items()}
    names = sorted({n.name for n in program.main.nodes if n.name})
    fixed = trace(net, words(9, 2, 5), input_shapes={"x": (2, 5)})
    half = trace(net, words(9, 2, 5), input_shapes={"x": (2, dims.symbol("steps"))})
    shapes = [str(p.main.inputs["x"].type) for p in (fixed, half)]
    made = {"layers": layers, "differences": differences, "names": names, "shapes": shapes}
    print(json.dumps(made))


if __name__ == "__main__":
    main()
