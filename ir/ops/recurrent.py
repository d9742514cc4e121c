"""Recurrent operators in one canonical form.

T time, B batch, I input size, H hidden size, D directions (1 or 2), G gates of the cell.

inputs   x [T, B, I], w [D, I, G, H], r [D, H, G, H], b [D, G, H] (optional),
         the cell's own extras, initial states [D, B, H] (optional), mask bool [T, B] (optional)
outputs  y [T, B, D, H] in the order of x's time, then the final states [D, B, H]

With w None, x [T, B, D * G * H] already holds the pre-activations, biases included: what is left of
an embedding whose table was multiplied by w when the model was converted.

Weights map inputs to units (`x @ w[d, :, g]`); gates follow each cell's own order. A step whose
mask is False keeps the states; its y is the kept h (`hold`) or 0 (`zero`). The reverse direction
runs from the last step to the first, so leading masked steps of a right-padded batch are skipped,
which is what sequence lengths mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from webconv.ir import dtypes
from webconv.ir.dims import Dim
from webconv.ir.op import Array, Guard, Op, TensorType, require, unify
from webconv.ir.ops.elementwise import FLOAT_UNARY, Unary

Sigmoid, Tanh = FLOAT_UNARY["Sigmoid"], FLOAT_UNARY["Tanh"]
DIRECTIONS = ("forward", "reverse", "bidirectional")


@dataclass(frozen=True)
class Recurrent(Op):
    """Base of RNN, GRU and LSTM.

    `activations` are the cell's functions, in its order, for each direction in turn; any unary
    float op may be one. `clip` limits pre-activations to [-clip, clip]; 0 does not.
    """

    direction: str = "forward"
    activations: tuple[Unary, ...] = ()
    clip: float = 0.0
    masked_output: str = "hold"

    gates: ClassVar[int]
    states: ClassVar[int]
    default_activations: ClassVar[tuple[Unary, ...]]
    extras: ClassVar[tuple[str, ...]] = ()

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.direction == "bidirectional" else 1

    def functions(self, direction: int) -> tuple[Unary, ...]:
        """The activations of one direction."""
        per = len(self.default_activations)
        chosen = self.activations or self.default_activations * self.directions
        if len(chosen) == per:
            chosen = chosen * self.directions
        return chosen[direction * per : (direction + 1) * per]

    def reverses(self, direction: int) -> bool:
        """True if this direction runs from the last step to the first."""
        return self.direction == "reverse" or direction == 1

    def split(self, inputs: Sequence[object]) -> tuple[list[object], list[object], object]:
        """(x, w, r, b and extras), initial states, mask; None where absent."""
        fixed = 4 + len(self.extras)
        padded = [*inputs, *[None] * (fixed + self.states + 1 - len(inputs))]
        return padded[:fixed], padded[fixed : fixed + self.states], padded[fixed + self.states]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(self.direction in DIRECTIONS, f"direction must be one of {', '.join(DIRECTIONS)}")
        require(self.masked_output in ("hold", "zero"), "masked_output must be hold or zero")
        x, w, r = types[:3]
        d, g = self.directions, self.gates
        require(x.rank == 3, f"x must be [T, B, I], but it is {x}")
        t, b, i = x.shape
        h = r.shape[-1]
        if w is None:
            require(i == d * g * h, f"x without w must be [T, B, {d * g * h}], but it is {x}")
        else:
            require(w.shape == (d, i, g, h), f"w must be [{d}, {i}, {g}, {h}], but it is {w}")
        require(r.shape == (d, h, g, h), f"r must be [{d}, {h}, {g}, {h}], but it is {r}")
        fixed, states, mask = self.split(types)
        if isinstance(fixed[3], TensorType):
            bias = fixed[3].shape
            require(bias == (d, g, h), f"b must be [{d}, {g}, {h}], but it is {list(bias)}")
        for state in states:
            if isinstance(state, TensorType):
                require(
                    state.rank == 3 and state.shape[0] == d and state.shape[2] == h,
                    f"initial states must be [{d}, {b}, {h}], but one is {state}",
                )
                unify(state.shape[1], b)
        if isinstance(mask, TensorType):
            ok = mask.dtype == dtypes.bool_ and mask.rank == 2
            require(ok, f"mask must be bool [T, B], but it is {mask}")
        counts = (len(self.default_activations), len(self.default_activations) * d)
        rule = f"{counts[0]} activations per direction are needed, not {len(self.activations)}"
        require(not self.activations or len(self.activations) in counts, rule)
        state_type = TensorType(x.dtype, (d, b, h))
        return (TensorType(x.dtype, (t, b, d, h)), *[state_type] * self.states)

    def guards(self, *types: TensorType) -> tuple[Guard, ...]:
        t, b, _ = types[0].shape
        _, states, mask = self.split(types)
        pairs: list[tuple[Dim, Dim]] = [
            (s.shape[1], b) for s in states if isinstance(s, TensorType)
        ]
        if isinstance(mask, TensorType):
            pairs += [(mask.shape[0], t), (mask.shape[1], b)]
        return tuple(g for p in pairs if (g := unify(*p)[1]))

    def step(
        self, gates: Array, r: Array, extras: list[Array | None], state: list[Array], d: int
    ) -> list[Array]:
        """The next states `[B, H]` from the input's pre-activations `[B, G, H]`."""
        raise NotImplementedError

    def project(self, x: Array, w: object, direction: int, h: int) -> Array:
        """The input's part of the pre-activations, `[T, B, G, H]`."""
        if w is None:
            return x.reshape(*x.shape[:2], self.directions, self.gates, h)[:, :, direction]
        return np.einsum("tbi,igh->tbgh", x, w[direction])  # type: ignore[index]

    def limit(self, x: Array) -> Array:
        """`x` clipped."""
        return np.clip(x, -self.clip, self.clip) if self.clip else x

    def eval(self, *arrays: Array) -> tuple[Array, ...]:
        fixed, initial, mask = self.split(arrays)
        x, w, r, b, *extras = fixed
        assert isinstance(x, np.ndarray)
        assert isinstance(r, np.ndarray)
        t, batch, _ = x.shape
        d, h = self.directions, r.shape[-1]
        y = np.zeros((t, batch, d, h), x.dtype)
        zeros = np.zeros((d, batch, h), x.dtype)
        finals = [(zeros if s is None else np.asarray(s)).copy() for s in initial]
        for k in range(d):
            gates = self.project(x, w, k, h)
            gates = gates if b is None else gates + b[k]  # type: ignore[index]
            own = [None if e is None else e[k] for e in extras]  # type: ignore[index]
            for s in range(t)[:: -1 if self.reverses(k) else 1]:
                state = [f[k] for f in finals]
                new = self.step(gates[s], r[k], own, state, k)
                valid = np.ones(batch, bool) if mask is None else mask[s]  # type: ignore[index]
                for f, n in zip(finals, new, strict=True):
                    f[k] = np.where(valid[:, None], n, f[k])
                shown = valid[:, None] | (self.masked_output == "hold")
                y[s, :, k] = np.where(shown, finals[0][k], 0)
        return (y, *finals)


def _recur(h: Array, r: Array) -> Array:
    """h [B, H] and r [H, G, H] -> [B, G, H]."""
    return np.einsum("bk,kgh->bgh", h, r)


@dataclass(frozen=True)
class RNN(Recurrent):
    """h' = f(x w + h r + b)."""

    gates = 1
    states = 1
    default_activations = (Tanh(),)

    def step(
        self, gates: Array, r: Array, extras: list[Array | None], state: list[Array], d: int
    ) -> list[Array]:
        (f,) = self.functions(d)
        return [f.eval(self.limit(gates + _recur(state[0], r))[:, 0])[0]]


@dataclass(frozen=True)
class GRU(Recurrent):
    """Gates z, r, n (Cho 2014).

    z and r by f, n by g; `reset_after` (cuDNN) takes n = g(xn + r * (h rn + rb)) with the extra
    input recurrent bias rb [D, H]; otherwise n = g(xn + (r * h) rn). h' = z * h + (1 - z) * n, or
    z * n + (1 - z) * h with `update_mixes_new` (Chainer's L.GRU).
    """

    reset_after: bool = False
    update_mixes_new: bool = False

    gates = 3
    states = 1
    default_activations = (Sigmoid(), Tanh())
    extras = ("recurrent_bias",)

    def step(
        self, gates: Array, r: Array, extras: list[Array | None], state: list[Array], d: int
    ) -> list[Array]:
        f, g = self.functions(d)
        (h,) = state
        zr = self.limit(gates[:, :2] + _recur(h, r[:, :2]))
        z, reset = f.eval(zr[:, 0])[0], f.eval(zr[:, 1])[0]
        if self.reset_after:
            bias = 0.0 if extras[0] is None else extras[0]
            n = gates[:, 2] + reset * (_recur(h, r[:, 2:])[:, 0] + bias)
        else:
            n = gates[:, 2] + _recur(reset * h, r[:, 2:])[:, 0]
        n = g.eval(self.limit(n))[0]
        return [z * n + (1 - z) * h if self.update_mixes_new else z * h + (1 - z) * n]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Gates i, f, g, o (Hochreiter 1997, Gers 2000): i, f, o by f; g by g; the output by h.

    c' = f * c + i * g; h' = o * h(c'). The extra input peepholes [D, 3, H] adds p_i * c and
    p_f * c before, p_o * c' after the cell's update; peepholes [D, H, 3, H] are matrices, which add
    c @ p_i and so on (Chainer's). `input_forget` couples f = 1 - i. With `activations` of five per
    direction, i, f, g, o and the output each have their own.
    """

    input_forget: bool = False

    gates = 4
    states = 2
    default_activations = (Sigmoid(), Sigmoid(), Tanh(), Sigmoid(), Tanh())
    extras = ("peepholes",)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        made = super().infer(*types)
        peepholes = self.split(types)[0][4]
        if isinstance(peepholes, TensorType):
            d, h = self.directions, types[2].shape[-1]
            rule = f"peepholes must be [{d}, 3, {h}] or [{d}, {h}, 3, {h}], but they are"
            require(peepholes.shape in ((d, 3, h), (d, h, 3, h)), f"{rule} {peepholes}")
        return made

    def step(
        self, gates: Array, r: Array, extras: list[Array | None], state: list[Array], d: int
    ) -> list[Array]:
        fi, ff, fg, fo, fh = self.functions(d)
        h, c = state
        total = gates + _recur(h, r)
        peep = np.zeros((3, h.shape[-1]), h.dtype) if extras[0] is None else extras[0]

        def seen(k: int, c: Array) -> Array:
            return peep[k] * c if peep.ndim == 2 else c @ peep[:, k]

        i = fi.eval(self.limit(total[:, 0] + seen(0, c)))[0]
        f = 1 - i if self.input_forget else ff.eval(self.limit(total[:, 1] + seen(1, c)))[0]
        g = fg.eval(self.limit(total[:, 2]))[0]
        c = f * c + i * g
        o = fo.eval(self.limit(total[:, 3] + seen(2, c)))[0]
        return [o * fh.eval(c)[0], c]
