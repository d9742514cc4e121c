"""Chains that do what cannot be compiled, or what looks so: each with the message it gets.

    python -m tests.frontends.chainer.hostile OUT.json

traces them all in one process, which is what a test can afford; `test_bad_input` has some of them
on the command line.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

NET = """
import random
import chainer, chainer.functions as F, chainer.links as L, numpy as np
from chainer import cuda
from webconv import Dim, example

class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        self.calls, self.kept, self.history = 0, None, []
        with self.init_scope():
            self.fc, self.b = L.Linear(4, 2), L.Linear(2, 2)
            self.embed = L.EmbedID(5, 4)

    def forward(self, x):
        h = self.fc(x) if x.dtype.kind == "f" else F.sum(self.embed(x), 1)
        {body}

def make_net():
    return Net(), {example}
"""

FLOATS = "np.ones((3, 4), 'f') * np.arange(3, dtype='f')[:, None]"
NAMED = "example((Dim('batch', 5), 4))"
WORDS = "np.array([[1, 2, 3], [0, 4, 1]], 'i')"


class Row(NamedTuple):
    """What forward does from line 17 on, and the error as a pattern; "" where there is none.

    `plain` is for what Chainer itself does with arrays only.
    """

    body: str
    error: str = ""
    example: str = FLOATS
    plain: bool = False


LOOKS = "depends on the values of its inputs: it looks at numbers at net.py:{}: "
CHANGES = "it changes an array in place at net.py:18: "
COMPUTED = r"an array that is computed of a Variable's .* enters at net.py:{}"
KEPT = r"the chain keeps what is no Variable in its attribute kept \({}\), and its next call reads"
AGAIN = "on chance or on earlier calls: .*net.py:{}"

CHAINS: dict[str, Row] = {
    # Numbers that Python decides by, whether or not they decide otherwise here.
    "if_sum": Row("if h.array.sum() > 0: h = F.relu(h)\nreturn h", LOOKS.format(17) + "if h.array"),
    "if_never": Row("if abs(h.data).max() > 1e9: h = F.relu(h)\nreturn h", LOOKS.format(17)),
    "if_variable": Row("return h if F.sum(h) else -h", "net.py:17.*cannot be evaluated as Python"),
    "if_element": Row("if x.array[0, 0] > 3: h = h * 2\nreturn h", LOOKS.format(17)),
    "float": Row("return h * float(x.array[1, 1])", LOOKS.format(17)),
    "item": Row("return h * F.max(x).item()", LOOKS.format(17)),
    "argmax": Row("k = int(np.argmax(h.data[0]))\nreturn h[:, k]", LOOKS.format(17) + "k = int"),
    "argmax_range": Row(
        "for _ in range(h.data.argmax()): h = F.relu(h)\nreturn h", LOOKS.format(17)
    ),
    "loop": Row("while F.sum(h).array < 10: h = h + 1\nreturn h", LOOKS.format(17)),
    "guard": Row("assert not np.isnan(h.array).any()\nreturn h", LOOKS.format(17) + "assert"),
    "count": Row("return h / int((x.array != 0).sum())", LOOKS.format(17), WORDS),
    "list": Row("return h * h.array.tolist()[0][0]", LOOKS.format(17)),
    "as_array": Row("return h * 2 if chainer.as_array(h)[0, 0] > 9 else h", LOOKS.format(17)),
    "np_array": Row("return h * 2 if np.array(h.array).sum() > 99 else h", LOOKS.format(17)),
    "np_asarray": Row("return h * 2 if np.asarray(h.array)[0, 0] > 99 else h", LOOKS.format(17)),
    "nonzero": Row("return h * len(np.nonzero(h.array > -99)[0])", LOOKS.format(17)),
    "nonzero_size": Row("return h * (h.array > -99).nonzero()[0].size", LOOKS.format(17)),
    "count_nonzero": Row("return h * np.count_nonzero(h.array > -99)", LOOKS.format(17)),
    "argwhere": Row("return h * np.argwhere(h.array > -99).shape[0]", LOOKS.format(17)),
    "allclose": Row("return h * 2 if np.allclose(h.array, 99) else h", LOOKS.format(17)),
    "flat": Row("return h * 2 if h.array.flat[0] > 99 else h", LOOKS.format(17)),
    "two": Row(
        "if h.array[0, 0] > 0: pass\nk = float(x.data[0, 0])\nreturn h * k",
        LOOKS.format(17) + r".*; it looks at numbers at net.py:18",
    ),
    # Arrays that NumPy computes.
    "tanh": Row("return F.relu(chainer.Variable(np.tanh(h.array)))", COMPUTED.format(17)),
    "mask": Row("mask = (h.array != 0).sum(1) > 1\nreturn h * mask[:, None]", COMPUTED.format(18)),
    "mask_index": Row(
        "k = (x.array != 0).sum(1) - 1\nreturn h[np.arange(2), k]",
        r"net.py:18: .* is given an array that is taken out of a Variable",
        WORDS,
    ),
    "choice": Row("return self.embed(np.argmax(h.data, 1).astype('i'))", COMPUTED.format(17)),
    "table": Row(
        "return h * np.eye(3, 4, dtype='f')[x.array[:, 0]]",
        "an array that is no Variable differs at net.py:17",
        "np.zeros((3, 3), 'i')",
    ),
    # Masks that are what they are for all words that are like the example's.
    "mask_put": Row(
        "mask = np.zeros(x.shape, 'f')\nmask[x.array >= 0] = 1\nreturn h * mask[:, :1]",
        "an array that is no Variable differs at net.py:19",
        WORDS,
    ),
    "mask_filled_in": Row(
        "mask = np.empty(x.shape, 'f')\nmask[:] = x.array >= 0\nreturn h * mask[:, :1]",
        "an array that is no Variable differs at net.py:19",
        WORDS,
    ),
    "mask_out": Row(
        "mask = np.empty(x.shape, '?')\nnp.less(-1, x.array, out=mask)\nreturn h * mask[:, :1]",
        CHANGES,
        WORDS,
    ),
    "mask_copied": Row(
        "mask = np.empty(x.shape, 'f')\nnp.copyto(mask, x.array >= 0)\nreturn h * mask[:, :1]",
        CHANGES,
        WORDS,
    ),
    "mask_of_table": Row(
        "return h * np.array([0, 1], 'f')[(x.array >= 0).astype('i')[:, :1]]",
        "an array that is no Variable differs at net.py:17",
        WORDS,
    ),
    "mask_counted": Row("return h * len(x.array[x.array >= 0])", LOOKS.format(17), WORDS),
    "mask_places": Row("return h * np.where(x.array >= 0)[0].size", LOOKS.format(17), WORDS),
    "mask_number": Row(
        "return h * np.float32((x.array >= 0).sum())", "net.py:17.*numbers 6 and 0 differ", WORDS
    ),
    "mask_rows": Row(
        "n = np.array([(row >= 0).sum() for row in x.array])\nreturn h * n[:, None].astype('f')",
        COMPUTED.format(18),
        WORDS,
    ),
    "mask_where": Row(
        "return h * x.array.sum(axis=1, where=x.array > 0, keepdims=True).astype('f')",
        COMPUTED.format(17),
        WORDS,
    ),
    "mask_initial": Row(
        "return h * x.array.max(axis=1, initial=0, keepdims=True).astype('f')",
        COMPUTED.format(17),
        WORDS,
    ),
    "mask_order": Row(
        "return h * (x.array >= 0).reshape(3, 2, order='F')[:2, :1]", COMPUTED.format(17), WORDS
    ),
    "mask_bits": Row("return h * (x.array & 1)[:, :1]", COMPUTED.format(17), WORDS),
    "mask_rounded": Row("return h * (x.array * 0.1 > 0.3)[:, :1]", COMPUTED.format(17), WORDS),
    "mask_too_large": Row(
        "return h + ((x.array < 0) * -1e39)[:, :1].astype('f')", "numbers up to 1e.39.*-1e9", WORDS
    ),
    "output": Row("return self.xp.tanh(h.array)", "output 'output' is an array without a graph"),
    "numpy": Row("return np.tanh(h)", "the chain's call fails at net.py:17: return np.tanh"),
    "own_relu": Row(
        "class ReLU(chainer.FunctionNode):\n    def forward(self, xs): return xs[0] + 1,\n"
        "return ReLU().apply((h,))[0]",
        r"net.ReLU, at net.py:19(.|\n)*FUNCTIONS = \{'net.ReLU': net_re_lu\}",
    ),
    # Arrays that are changed.
    "place": Row("y = F.relu(h)\ny.array[:, 0] = 0\nreturn y", CHANGES),
    "place_of_input": Row("y = x * 1\nx.array[0] = 0\nreturn y + self.b(h)[:, :1]", CHANGES),
    "place_operator": Row("y = h.array\ny *= 2\nreturn h", CHANGES),
    "place_function": Row("y = h.array\nnp.maximum(y, 0, out=y)\nreturn h", CHANGES),
    "place_fill": Row("y = F.relu(h)\ny.array.fill(0)\nreturn y", CHANGES),
    "place_diagonal": Row("y = F.relu(h)\nnp.fill_diagonal(y.array, 0)\nreturn y", CHANGES),
    "place_whole": Row("y = F.relu(h)\ny.array = np.zeros((3, 2), 'f')\nreturn y", CHANGES),
    "place_parameter": Row(
        "self.b.W.array *= 0.5\nreturn self.b(h)", r"each call changes parameters \(b/W\)"
    ),
    "place_parameter_once": Row(
        "self.b.W.array *= np.eye(2, dtype='f')\n"
        "self.b.W.data = self.b.W.data / np.linalg.norm(self.b.W.data)\nreturn self.b(h)"
    ),
    "element": Row("h[0] = 0\nreturn h", "net.py:17.*does not support item assignment"),
    # Chance, and what is kept from call to call.
    "chance": Row("return h * np.random.rand(3, 2).astype('f')", AGAIN.format(17)),
    "chance_of_python": Row("return h * random.random()", AGAIN.format(17) + ".*value of MulConst"),
    "training": Row(
        "with chainer.using_config('train', True):\n    return F.dropout(h)",
        "Dropout, at net.py:18.*as in training",
    ),
    "counter": Row("self.calls += 1\nreturn h * self.calls", AGAIN.format(18) + ".*1 and 2 differ"),
    "turns": Row("self.calls += 1\nreturn F.relu(h) if self.calls % 2 else h", AGAIN.format(18)),
    "history": Row(
        "self.history.append(h)\nreturn sum(self.history)",
        "reads at net.py:18: .* what an earlier call has made; an attribute that holds a Variable",
    ),
    "first_input": Row(
        "self.history.append(x)\nreturn h * F.sum(self.history[0])",
        "reads at net.py:18: .* what an earlier call was given",
    ),
    "first_array": Row(
        "self.history.append(x.array)\nreturn h * F.sum(chainer.Variable(self.history[0]))",
        "reads at net.py:18: .* what an earlier call was given",
    ),
    "kept_tuple": Row(
        "if self.kept is None: self.kept = (h, h)\n"
        "c, y = self.kept\ny = F.tanh(h + self.b(y))\nself.kept = (c + y, y)\nreturn c + y",
        KEPT.format("tuple"),
    ),
    "kept_dict": Row(
        "if self.kept is not None: h = h + self.b(self.kept['h'])\nself.kept = {'h': h}\nreturn h",
        KEPT.format("dict"),
    ),
    "kept_array": Row(
        "last = x.array if self.kept is None else self.kept\n"
        "self.kept = x.array\nreturn self.fc(x - last)",
        KEPT.format("array"),
    ),
    "kept_number": Row(
        "self.kept = 1 if self.kept is None else self.kept + 1\nreturn h * self.kept",
        KEPT.format("int"),
    ),
    # What forward gives.
    "nothing": Row("self.b(h)", "the chain gives nothing: forward must return"),
    "no_outputs": Row("return []", "the chain gives nothing"),
    "number": Row("return h, 3", "must give Variables, but it gives int"),
    "generator": Row("return (y for y in [h])", "must give Variables, but it gives generator"),
    "same_name": Row("return {'a': {'b': h}, 'a_b': h}", "several outputs of one name: a_b, a_b"),
    "exit": Row("import sys; sys.exit(3)", "the chain's call fails at net.py:17.*SystemExit: 3"),
    "recursion": Row("return self.forward(x)", "the chain's call fails at net.py:1[67].*Recursion"),
    "arguments": Row(
        "return h", "call fails: TypeError: Net.forward.* takes 2", "np.ones(3), np.ones(3)"
    ),
    # Sizes that no sample has.
    "alone": Row("return h * 2 if len(h) == 1 else h", "at batch 1 .*something else", NAMED),
    "squeezed": Row("return F.squeeze(h)", "at batch 1 .*fix the size", NAMED),
    "many": Row("return h * 2 if len(h) > 30 else h", "at batch 64 .*other numbers", NAMED),
    "steps_at_most": Row(
        "h = self.fc(h) * 0\nfor t in range(min(x.shape[1], 20)): "
        "h = F.tanh(self.b(h) + self.fc(self.embed(x[:, t])))\nreturn h",
        "at time [0-9]+ .*other numbers",
        "example((2, Dim('time', 5)), 'i', [[1, 2, 3, 3, 1], [0, 4, 1, 2, 0]])",
    ),
    "last": Row("return x[len(x) - 4 :] * 1", "at batch 3 .*other numbers", NAMED),
    # What looks alike, and is compiled.
    "mask_of_words": Row(
        "mask = (x.array != 0).sum(1) > 1\nreturn h * mask[:, None]", example=WORDS
    ),
    "words_compared": Row(
        "there = np.logical_and(1 <= x, x != 4).astype('f')\n"
        "return h * there.sum(axis=1, keepdims=True) + np.where(x == 0, -8.0, 0.0)[:, :1]",
        example=WORDS,
        plain=True,
    ),
    "words_copied": Row(
        "there = np.array(x.array != -1, dtype='f')\n"
        "first = np.asarray(np.array(x.array)[:, :1], 'f')\nreturn h * there[:, :1] + first",
        example=WORDS,
    ),
    "array": Row("return h.array"),
    "cut": Row("return F.relu(chainer.Variable(h.array))"),
    "cut_input": Row("return self.b(self.fc(x.data))"),
    "to_cpu": Row("h.to_cpu()\nreturn F.relu(chainer.as_variable(cuda.to_cpu(h.data)))"),
    "xp": Row("return h * self.xp.ones(h.array.shape, h.array.dtype)"),
    "like": Row("return h + np.ones_like(h.array)"),
    "no_graph": Row("with chainer.no_backprop_mode():\n    y = F.relu(h)\nreturn self.b(y)"),
    "no_graph_config": Row(
        "with chainer.using_config('enable_backprop', False):\n    return h * 2"
    ),
    "unchain": Row("h.unchain_backward()\nreturn F.relu(h)"),
    "cast": Row("return F.cast(F.cast(h, 'float16'), 'float32') + F.cast(x, 'f')[:, :2]"),
    "print": Row("text = str(h.array)\nassert h.array.shape[1] == 2\nreturn h"),
    "asarray": Row("return F.relu(chainer.Variable(np.asarray(h.array)))"),
    "size": Row("return h * (np.ndim(h.array) + np.size(h.array))"),
    "plus": Row("h += 1\nreturn h"),
    "noted": Row("self.y = h\nself.calls += 1\nreturn {'a': {'b': self.y}, 'c': [h, None]}"),
    "kept": Row(
        "if self.kept is not None: h = h + self.b(self.kept)\nself.kept = F.tanh(h)\nreturn h"
    ),
    "noted_tuple": Row("self.kept = (h.array, 'a note')\nreturn F.relu(h) if self.kept else h"),
    "noted_list": Row(
        "if self.kept is None: self.kept = []\nself.kept.append(h.array)\nreturn F.relu(h)"
    ),
    "noted_mask": Row(
        "if self.kept is None: self.kept = np.tri(3, 2, dtype='f')\nreturn h * self.kept"
    ),
    "buffer": Row(
        "m, ys = np.zeros((1, 2), 'f'), []\n"
        "for k in range(2):\n    m[:] = 0\n    m[0, k] = 1\n    ys.append(F.tanh(h) * m)\n"
        "return F.concat(ys)"
    ),
    "buffer_of_variables": Row(
        "m = np.ones((3, 2), 'f')\ny = h * chainer.Variable(m)\nm[...] = 5\n"
        "return y + F.tanh(h) * chainer.Variable(m)"
    ),
    "buffer_of_sizes": Row(
        "n, m = x.shape[0], vars(self).setdefault('m', np.zeros(9, 'f'))\n"
        "m[...] = 0\nm[n - 1] = 1\nreturn h * m[:n, None]",
        "an array that is no Variable differs at net.py:20",
        "example((Dim('batch', 3), 4))",
    ),
    "own_variable": Row(
        "k = chainer.Variable(np.full(2, 3, 'f'))\nreturn h * np.tile(k.array, (3, 1))"
    ),
    "own_output": Row("return h * 2, self.b.W, np.eye(3, dtype='f'), x"),
    "mixed16": Row(
        "k = np.arange(1, 3, dtype='f')\n"
        "return F.cast(F.fixed_batch_normalization(F.cast(h, 'e'), k, k, k, k), 'f')"
    ),
    "parameter": Row("return h * float(self.b.W.array[0, 0])"),
    "training_only": Row("return F.dropout(h) if chainer.config.train else h"),
}


HEAD = "import chainer, chainer.functions as F, chainer.links as L, numpy as np\n"
X = "np.ones((3, 4), 'f')"
UNREGISTERED = (
    "class Net(chainer.Chain):\n"
    "    def __init__(self):\n"
    "        {}\n"
    "    def forward(self, x): return self.fc(x)\n"
    f"def make_net(): return Net(), {X}\n"
)

# Files of the user's: what they hold after their imports, and the error.
SOURCES: dict[str, tuple[str, str]] = {
    "syntax": ("def make_net(:", "importing net.py fails at net.py:2: SyntaxError"),
    "import": ("import not_there", "importing net.py fails at net.py:2: import not_.*No module"),
    "circular": ("from net import make_net", "fails at net.py:2: .*cannot import name"),
    "raises": ("1 / 0", "importing net.py fails at net.py:2: 1 / 0: ZeroDivisionError"),
    "exits": ("raise SystemExit(2)", "importing net.py fails at net.py:2: .*SystemExit: 2"),
    "list": (
        "class Net(chainer.Chain):\n    def forward(self, xs): return F.concat(xs, axis=0)\n"
        f"def make_net(): return Net(), [{X}, 2 * {X}]",
        "",
    ),
    "no_function": ("make_net = 3", "net.py has no function make_net"),
    "arguments": ("def make_net(a): pass", r"make_net\(\) fails: TypeError: .*missing 1 required"),
    "make_raises": ("def make_net():\n    {}['a']", r"make_net\(\) fails at net.py:3: .*KeyError"),
    "none": ("def make_net(): pass", "must return the chain and its example inputs"),
    "swapped": (f"def make_net(): return {X}, L.Linear(4, 2)", "must return the chain and its"),
    "class": ("def make_net(): return chainer.Chain, 3", "must return the chain and its example"),
    "no_inputs": ("def make_net(): return L.Linear(4, 2)", "returns no example inputs"),
    "no_forward": (f"def make_net(): return chainer.Chain(), {X}", "no attribute 'forward'"),
    "no_init": (UNREGISTERED.format("self.fc = L.Linear(4, 2)"), "Net.__init__ must call super"),
    "link": (f"def make_net(): return L.Linear(4, 2), {X}", ""),
    "numbers": ("def make_net(): return L.Linear(2, 2), [[1.0, 2.0]]", ""),
    "text": (
        f"def make_net(): return L.Linear(4, 2), {X}, 'a'",
        "input 'n_batch_axes' must be an array of numbers, not str; what is no input can be given",
    ),
    "dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass Sizes:\n    out: 'int' = 2\n"
        f"def make_net(): return L.Linear(4, Sizes().out), {X}",
        "",
    ),
}


def main(out: Path) -> None:
    """What all chains and files get."""
    out.write_text(json.dumps({"chains": chains(), "sources": sources()}))


def sources() -> dict[str, str]:
    """The error of each file, "" where there is none."""
    from webconv.frontends.chainer import load
    from webconv.ir.errors import WebconvError

    found = {}
    for name, (text, _) in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.py"
            file.write_text(HEAD + text)
            try:
                load(Path(f"{file}:make_net"))
                found[name] = ""
            except WebconvError as error:
                found[name] = str(error)
        sys.modules.pop("net", None)
    return found


def chains() -> dict[str, Any]:
    """What each chain gets: its error, or its largest difference from Chainer, of the largest."""
    import chainer
    import numpy as np

    from webconv.frontends.chainer import trace
    from webconv.frontends.chainer.source import make
    from webconv.ir.errors import WebconvError

    found: dict[str, Any] = {}
    for name, row in CHAINS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.py"
            body = row.body.replace("\n", "\n        ")
            file.write_text(NET.format(body=body, example=row.example))
            np.random.seed(0)
            chain, examples, _ = make(Path(f"{file}:make_net"))
            try:
                program = trace(chain, *examples)
            except WebconvError as error:
                found[name] = str(error)
                continue
            got = program.run(dict(zip(program.main.inputs, examples, strict=True)))
            with chainer.using_config("train", False):
                want = chain(*(examples if row.plain else map(chainer.Variable, examples)))
        while not hasattr(want, "dtype"):
            want = next(iter(want.values() if isinstance(want, dict) else want))
        want = want.array if isinstance(want, chainer.Variable) else want
        apart = np.abs(next(iter(got.values())) - want).max()
        found[name] = float(apart / max(1, np.abs(want).max()))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
