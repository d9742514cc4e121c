"""Runs a bundle's module in this process, by wasmtime: what `verify --browser none` uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from wasmtime import Config, Engine, Func, Global, Memory, Module, Store
from wasmtime import Instance as WasmInstance

from webconv.backends.compiled import STORED, Weights
from webconv.backends.kernel import COMPUTE, Entry
from webconv.ir import dims
from webconv.ir.errors import ShapeError
from webconv.ir.graph import Graph, Program, State, Value
from webconv.ir.op import Array, TensorType
from webconv.ir.reference import bind_sizes, checked, state_sizes
from webconv.ir.schedule import run as run_schedule

PAGE = 65536
# Kernels have signed addresses.
MOST_BYTES = 1 << 31


class Instance:
    """One instantiated module. States live in it from run to run."""

    def __init__(
        self,
        module: bytes,
        program: Program,
        entries: Mapping[str, Entry],
        weights: Weights,
        descriptor: Mapping[str, Any],
    ) -> None:
        config = Config()
        config.wasm_relaxed_simd = True
        engine = Engine(config)
        self.store = Store(engine)
        self.exports = WasmInstance(self.store, Module(engine, module), []).exports(self.store)
        memory = self.exports["memory"]
        assert isinstance(memory, Memory)
        self.memory = memory
        self.program, self.entries, self.descriptor = program, entries, descriptor
        for segment in weights.segments.values():
            self._write(segment.offset, segment.array)
        self._sizes: dict[str, int] = {}
        self._room: list[tuple[int, ...] | None] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        """The shapes of the states that are in the module's memory."""
        self._parked: dict[str, Array] = {}
        """States that are not, until an entry runs that has them."""

    def run(
        self,
        inputs: Mapping[str, Any],
        entry: str = "main",
        states: Mapping[str, Array] | None = None,
    ) -> dict[str, Any]:
        """The outputs by name; `states` replaces the contents of some states first.

        Inputs and outputs that are lists of sequences are lists of arrays.
        """
        schedule = self.program.schedules.get(entry)
        if schedule is None:
            graph = self.program.entries[entry]
            types = {name: v.type for name, v in graph.inputs.items()}
            lists = graph.lists
        else:
            types, lists = dict(schedule.inputs), schedule.lists
        packed = lists.pack(inputs, types)
        return lists.unpack(self._run_packed(packed, entry, states), packed)

    def _run_packed(
        self, inputs: Mapping[str, Array], entry: str, states: Mapping[str, Array] | None
    ) -> dict[str, Array]:
        schedule = self.program.schedules.get(entry)
        if schedule is None:
            graph = self.program.entries[entry]
            sizes = given_sizes(graph.inputs, graph.value_symbols, inputs)
            held = self._held() | {name: np.shape(a) for name, a in (states or {}).items()}
            return self._run_entry(entry, inputs, state_sizes(graph, sizes, held), states or {})
        types = schedule.inputs
        sizes = given_sizes(types, schedule.values, inputs)
        waiting = dict(states or {})

        def stage(name: str, given: Sequence[Array], sizes: Mapping[str, int]) -> list[Array]:
            named = dict(zip(self.program.entries[name].inputs, given, strict=True))
            results = self._run_entry(name, named, sizes, waiting)
            waiting.clear()
            return list(results.values())

        arrays = [np.asarray(inputs[n], t.dtype.numpy) for n, t in types.items()]
        results = run_schedule(schedule, arrays, sizes, stage)
        return dict(zip(schedule.outputs, results, strict=True))

    def _run_entry(
        self,
        entry: str,
        inputs: Mapping[str, Array],
        sizes: Mapping[str, int],
        states: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Bind, run and commit one entry of the module; raises ShapeError if sizes misfit."""
        graph, index = self.program.entries[entry], list(self.entries).index(entry)
        for guard in graph.guards:
            checked(guard, sizes, graph)
        plan = self.descriptor["entries"][index]
        self._make_room({s: sizes[s] for s in self.entries[entry].symbols})
        end = int(self._call(f"bind_{index}", *(sizes[s] for s in self.entries[entry].symbols)))
        if end > MOST_BYTES:
            raise ShapeError(f"the model needs {end} bytes of memory, but there are {MOST_BYTES}")
        missing = end - self.memory.data_len(self.store)
        if missing > 0:
            self.memory.grow(self.store, -(-missing // PAGE))
        for place, (name, value) in zip(plan["inputs"], graph.inputs.items(), strict=True):
            self._write(self._address(place), _stored(inputs[name], value.type.dtype.name))
        self._parked |= {n: np.asarray(v) for n, v in states.items()}
        self._load_states(graph, sizes)
        self._call(f"run_{index}")
        self._call(f"commit_{index}")
        out = {}
        for place, (name, value) in zip(plan["outputs"], graph.outputs.items(), strict=True):
            shape = tuple(dims.evaluate(d, sizes) for d in value.shape)
            out[name] = self._read(self._address(place), shape, value.type.dtype)
        return out

    def read_state(self, name: str, sizes: Mapping[str, int]) -> Array:
        """The present contents of a state; `sizes` tells the shape of one that no run had yet."""
        state = next(s for s in self.program.states if s.name == name)
        if name in self._parked:
            return self._parked[name]
        if name in self._shapes:
            return self._read(self._state(name), self._shapes[name], state.type.dtype)
        return _initial(state, _evaluated(state.type, sizes))

    def _held(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what states hold."""
        return self._shapes | {name: np.shape(a) for name, a in self._parked.items()}

    def _make_room(self, sizes: Mapping[str, int]) -> None:
        """Take states out of the memory if other sizes would move them, or lay data over them."""
        self._sizes |= sizes
        room = [
            _evaluated(s.type, self._sizes)
            if dims.symbols(*s.type.shape) <= {*self._sizes}
            else None
            for s in self.program.states
        ]
        if room != self._room:
            self._parked |= {
                s.name: self.read_state(s.name, {})
                for s in self.program.states
                if s.name in self._shapes
            }
            self._shapes.clear()
            self._room = room

    def _load_states(self, graph: Graph, sizes: Mapping[str, int]) -> None:
        """Write the states that an entry has, but those that are in memory."""
        for state in self.program.states:
            name = state.name
            if name not in graph.reads and name not in graph.writes:
                continue
            shape = _evaluated(state.type, sizes)
            held = self._held().get(name, shape)
            if held != shape and name in graph.reads:
                raise ShapeError(f"state {name!r} holds {held}, but these inputs need {shape}")
            value = self._parked.pop(name, None)
            if value is None and name not in self._shapes:
                value = _initial(state, shape)
            if value is not None and held == shape:
                self._write(self._state(name), _stored(value, state.type.dtype.name))
            self._shapes[name] = shape

    def _state(self, name: str) -> int:
        """The address of the copy of a state that is read."""
        return self._address(f"state{[s.name for s in self.program.states].index(name)}r")

    def _call(self, name: str, *args: int) -> Any:
        function = self.exports[name]
        assert isinstance(function, Func)
        return function(self.store, *args)

    def _address(self, at: int | str) -> int:
        if isinstance(at, int):
            return at
        found = self.exports[at]
        assert isinstance(found, Global)
        return int(found.value(self.store))

    def _write(self, address: int, array: Array) -> None:
        self.memory.write(self.store, np.ascontiguousarray(array).tobytes(), address)

    def _read(self, address: int, shape: tuple[int, ...], dtype: Any) -> Array:
        stored = np.dtype(STORED[COMPUTE[dtype.name]])
        nbytes = int(np.prod(shape)) * stored.itemsize
        data = self.memory.read(self.store, address, address + nbytes)
        return np.frombuffer(bytes(data), stored).reshape(shape).astype(dtype.numpy)


def given_sizes(
    inputs: Mapping[str, Value] | Mapping[str, TensorType],
    values: Mapping[str, tuple[str, int]],
    given: Mapping[str, Array],
) -> dict[str, int]:
    """The symbols that shapes and elements of the inputs give."""
    sizes = bind_sizes({n: (v, np.shape(given[n])) for n, v in inputs.items()})
    return sizes | {s: int(np.asarray(given[n]).flat[k]) for s, (n, k) in values.items()}


def _evaluated(t: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(dims.evaluate(d, sizes) for d in t.shape)


def _initial(state: State, shape: tuple[int, ...]) -> Array:
    first = np.zeros(()) if state.initial is None else state.initial
    return np.broadcast_to(first, shape).astype(state.type.dtype.numpy)


def _stored(array: Array, dtype: str) -> Array:
    return np.asarray(array).astype(STORED[COMPUTE[dtype]])
