"""One WebAssembly module per program: kernels, and per entry `bind`, `run` and `commit`.

Memory holds the weights from address 0 on, then the states (two copies each), then the arena.
`bind_<i>(sizes...)` takes an entry's symbols, sets the globals that addresses and extents are read
from, and returns how many bytes of memory are needed, as an f64 that no sizes overflow. Addresses
are used as signed i32, so it may be 2 GiB at most. `run_<i>()` runs the steps; `commit_<i>()`
makes the states that it wrote the ones that are read. Every element takes 4 bytes, i64 and u64
take 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from webconv.backends.compiled import Weights
from webconv.backends.functions import FUNCTIONS
from webconv.backends.kernel import Buffer, Entry, Kernel, Loop, Step, kernels
from webconv.backends.linearise import (
    Emitter,
    Layout,
    Literal,
    Ref,
    Statement,
)
from webconv.backends.plan import Placement, plan_offsets
from webconv.backends.wasm.instructions import WASM, identifier
from webconv.backends.wasm.schedule import emit_kernel
from webconv.backends.wasm.wat import INDENT, Printer
from webconv.ir import dims
from webconv.ir.dims import Apply, Atom, Dim, Symbol
from webconv.ir.graph import Program

PAGE = 65536
ALIGN = 16

# Read past the end of the last buffer by a vector load is impossible, but a hoisted load of an
# empty tensor may look there.
SLACK = 1024

# The lanes of a vector combined.
HORIZONTAL = {
    name: f"""\
  (func ${name} (param $v v128) (result f32)
    (local.set $v (f32x4.{op} (local.get $v)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
    (f32.{op} (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v))))"""
    for name, op in (("hsum", "add"), ("hmax", "max"), ("hmin", "min"))
}


def element_bytes(buffer: Buffer) -> int:
    """4, or 8 for what is computed in 64 bits."""
    return 8 if buffer.compute in ("i64", "u64") else 4


def aligned(nbytes: Dim) -> Dim:
    """Rounded up to ALIGN."""
    return dims.ceildiv(nbytes, ALIGN) * ALIGN


@dataclass
class Module:
    """Collects functions and globals while entries are compiled.

    `emitted` has the statements of kernels, which are the same for both forms of a module.
    """

    program: Program
    weights: Weights
    relaxed: bool
    functions: list[str] = field(default_factory=list)
    globals: dict[str, int] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)
    needed: set[tuple[str, int]] = field(default_factory=set)
    addresses: dict[Buffer, Dim] = field(default_factory=dict)
    emitted: dict[tuple[int, Kernel], list[Statement]] = field(default_factory=dict)

    def compile(self, entries: Mapping[str, Entry]) -> str:
        """The module's text."""
        for k, entry in enumerate(entries.values()):
            self.entry(k, entry)
        helpers = self.helpers()
        pages = -(-(self.weights.nbytes + SLACK) // PAGE)
        lines = [f'(module\n{INDENT}(memory (export "memory") {pages})']
        for name, value in self.globals.items():
            export = f' (export "{self.exported[name]}")' if name in self.exported else ""
            lines.append(f"{INDENT}(global {name}{export} (mut i32) (i32.const {value}))")
        return "\n".join([*lines, *helpers, *self.functions]) + ")\n"

    # -- entries ---------------------------------------------------------------------------------

    def entry(self, k: int, entry: Entry) -> None:
        """Kernels, bind, run and commit of one entry."""
        placements = self.place(k, entry)
        for symbol in entry.symbols:
            self.globals.setdefault(self.size_global(symbol), 0)
        names: dict[Kernel, str] = {}
        for kernel in kernels(entry.steps):
            if kernel not in names:
                # Numbered, because different names may have one identifier.
                names[kernel] = identifier(f"{k}.{len(names)}/{kernel.name}")
                statements = self.statements(k, kernel)
                self.functions.append(self.kernel(names[kernel], kernel, entry, statements))
        self.functions.append(self.bind(k, entry, placements))
        self.functions.append(self.run(k, entry, names))
        self.functions.append(self.commit(k, entry))

    def place(self, k: int, entry: Entry) -> list[Placement]:
        """Decide on addresses: integers where sizes are known, else globals."""
        for buffer in entry.buffers:
            if buffer in self.weights.segments:
                self.addresses[buffer] = self.weights.segments[buffer].offset
        for direction, states in (("r", entry.reads), ("w", entry.writes)):
            for name, buffer in states.items():
                self.addresses[buffer] = self.address_global(
                    f"$state{self.state_index(name)}{direction}"
                )
        nbytes = {b: aligned(b.size * b.ring * element_bytes(b)) for b in entry.buffers}
        placements = plan_offsets(entry, nbytes)
        fixed = all(isinstance(s.type.size, int) for s in self.program.states)
        base: Dim | None = self.arena_base() if fixed else None
        ends: dict[Buffer, Dim] = {}
        for n, p in enumerate(placements):
            below = [ends[b] for b in p.below]
            if base is not None and all(isinstance(e, int) for e in below):
                start: Dim = max([base, *below])  # type: ignore[type-var]
            else:
                start = self.address_global(f"$b{k}_{n}")
            self.addresses[p.buffer] = start
            ends[p.buffer] = start + p.nbytes
        return placements

    def address_global(self, name: str) -> Dim:
        """A global that holds an address, as an index expression."""
        self.globals.setdefault(name, 0)
        return dims.symbol(name)

    def state_index(self, name: str) -> int:
        """The number of a state."""
        return [s.name for s in self.program.states].index(name)

    def state_bytes(self, index: int) -> Dim:
        """The bytes of one copy."""
        state = self.program.states[index]
        width = 8 if state.type.dtype.name in ("i64", "u64") else 4
        return aligned(state.type.size * width)

    def arena_base(self) -> Dim:
        """Where the arena starts: after the weights and two copies of each state."""
        base: Dim = -(-self.weights.nbytes // 256) * 256
        for k in range(len(self.program.states)):
            base = base + 2 * self.state_bytes(k)
        return base

    @staticmethod
    def size_global(symbol: str) -> str:
        """The global that holds a symbol's value."""
        return identifier(f"n.{symbol}")

    def size(self, name: str, local: frozenset[str] = frozenset()) -> str:
        """The text of a size, a loop index or an address."""
        if name in local:
            return f"(local.get ${name})"
        return f"(global.get {name if name.startswith('$') else self.size_global(name)})"

    def dim(self, d: Dim, local: frozenset[str] = frozenset()) -> str:
        """A Dim as one nested expression."""
        emitter = Emitter(Layout())
        result = emitter.dim(d)
        printer = Printer(self.relaxed, lambda n: self.size(n, local), self.needed)
        statements = tuple(emitter.scopes[0].statements)
        inline: dict[Ref, str] = {}
        for s in statements:
            for ref, text in inline.items():
                printer.inlined[ref, False] = text
            inline[s.target] = printer.value(s)  # type: ignore[union-attr, arg-type]
        if isinstance(result, Literal):
            return printer.scalar(result)
        return inline[result]

    def exact(self, d: Dim) -> str:
        """A Dim as a nested expression in f64, which is exact beyond what an i32 holds."""
        if isinstance(d, int):
            return f"(f64.const {d})"
        terms = []
        for monomial, c in d.terms:
            factors = [self.exact_atom(a) for a in monomial]
            factors += [self.exact(c)] if c != 1 or not factors else []
            terms.append(reduce(lambda a, b: f"(f64.mul {a} {b})", factors))
        return reduce(lambda a, b: f"(f64.add {a} {b})", terms)

    def exact_atom(self, a: Atom) -> str:
        """A symbol, or a function of Dims, in f64."""
        if isinstance(a, Apply):
            x, y = self.exact(a.a), self.exact(a.b)
            floors = a.function == "floordiv"
            return f"(f64.floor (f64.div {x} {y}))" if floors else f"(f64.{a.function} {x} {y})"
        assert isinstance(a, Symbol)
        sign = "u" if a.name.startswith("$") else "s"
        return f"(f64.convert_i32_{sign} {self.size(a.name)})"

    def bind(self, k: int, entry: Entry, placements: list[Placement]) -> str:
        """Set sizes and addresses; return the bytes of memory needed."""
        parameters = " ".join(f"(param $s{i} i32)" for i in range(len(entry.symbols)))
        lines = [f'(func (export "bind_{k}") {parameters} (result f64) (local $end f64)']
        for i, symbol in enumerate(entry.symbols):
            lines.append(f"(global.set {self.size_global(symbol)} (local.get $s{i}))")
        lines += self.bind_states()
        lines.append(f"(local.set $end {self.exact(self.arena_base())})")
        for p in placements:
            address = self.addresses[p.buffer]
            if not isinstance(address, int):
                ends = [
                    self.exact(self.addresses[b] + q.nbytes)
                    for q in placements
                    for b in [q.buffer]
                    if b in p.below
                ]
                text = self.exact(self.arena_base())
                for end in ends:
                    text = f"(f64.max {text} {end})"
                lines.append(f"(global.set {address} (i32.trunc_sat_f64_u {text}))")
            end = self.exact(address + p.nbytes)
            lines.append(f"(local.set $end (f64.max (local.get $end) {end}))")
        lines.append(f"(f64.add (local.get $end) (f64.const {SLACK})))")
        return _indented(lines)

    def bind_states(self) -> list[str]:
        """Addresses of the copies that are read and written, by parity."""
        lines = []
        start: Dim = -(-self.weights.nbytes // 256) * 256
        for k in range(len(self.program.states)):
            parity = f"$state{k}p"
            self.globals.setdefault(parity, 0)
            nbytes = self.state_bytes(k)
            for direction, flag in (
                ("r", f"(global.get {parity})"),
                ("w", f"(i32.eqz (global.get {parity}))"),
            ):
                self.globals.setdefault(f"$state{k}{direction}", 0)
                self.exported[f"$state{k}{direction}"] = f"state{k}{direction}"
                shift = f"(i32.mul {flag} {self.dim(nbytes)})"
                lines.append(
                    f"(global.set $state{k}{direction} (i32.add {self.dim(start)} {shift}))"
                )
            start = start + 2 * nbytes
        return lines

    def commit(self, k: int, entry: Entry) -> str:
        """Swap the copies of the written states."""
        lines = [f'(func (export "commit_{k}") (local $t i32)']
        for name in entry.writes:
            n = self.state_index(name)
            lines += [
                f"(global.set $state{n}p (i32.eqz (global.get $state{n}p)))",
                f"(local.set $t (global.get $state{n}r))",
                f"(global.set $state{n}r (global.get $state{n}w))",
                f"(global.set $state{n}w (local.get $t))",
            ]
        lines[-1] += ")"
        return _indented(lines)

    def run(self, k: int, entry: Entry, names: Mapping[Kernel, str]) -> str:
        """Call the kernels in order."""
        locals_: list[str] = []
        body = self.steps(entry.steps, names, frozenset(), locals_, 2)
        declared = "".join(f" (local ${n} i32)" for n in locals_)
        return "\n".join([f'{INDENT}(func (export "run_{k}"){declared}', *body]) + ")"

    def steps(
        self,
        steps: tuple[Step, ...],
        names: Mapping[Kernel, str],
        local: frozenset[str],
        locals_: list[str],
        depth: int,
    ) -> list[str]:
        """Calls and loops."""
        pad = INDENT * depth
        out: list[str] = []
        for step in steps:
            if isinstance(step, Kernel):
                arguments = "".join(f" (local.get ${s})" for s in step.symbols if s in local)
                out.append(f"{pad}(call {names[step]}{arguments})")
                continue
            out += self.loop(step, names, local, locals_, depth)
        return out

    def loop(
        self,
        step: Loop,
        names: Mapping[Kernel, str],
        local: frozenset[str],
        locals_: list[str],
        depth: int,
    ) -> list[str]:
        """A loop over kernels."""
        pad, index = INDENT * depth, step.index.name
        locals_ += [index] if index not in locals_ else []
        count = self.dim(step.count, local)
        body = self.steps(step.body, names, local | {index}, locals_, depth + 2)
        advance = f"(local.tee ${index} (i32.add (local.get ${index}) (i32.const 1)))"
        return [
            f"{pad}(local.set ${index} (i32.const 0))",
            f"{pad}(if (i32.lt_s (i32.const 0) {count}) (then (loop ${index}",
            *body,
            f"{pad}{INDENT}(br_if ${index} (i32.lt_s {advance} {count})))))",
        ]

    # -- functions -------------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Byte addresses in one memory."""
        return Layout(lambda b, offset: self.addresses[b] + element_bytes(b) * offset)

    def statements(self, k: int, kernel: Kernel) -> list[Statement]:
        """The loops and stores of a kernel of entry `k`."""
        if (k, kernel) not in self.emitted:
            emitter = Emitter(self.layout())
            emit_kernel(emitter, kernel)
            self.emitted[k, kernel] = emitter.scopes[0].statements
        return self.emitted[k, kernel]

    def kernel(
        self, name: str, kernel: Kernel, entry: Entry, statements: Sequence[Statement]
    ) -> str:
        """A kernel as a function; the indices of loops around it are parameters."""
        outer = [s for s in kernel.symbols if s not in entry.symbols]
        printer = Printer(self.relaxed, lambda n: self.size(n, frozenset(outer)), self.needed)
        printer.uses.count(statements)
        body = printer.block(statements, 2)
        parameters = "".join(f" (param ${s} i32)" for s in outer)
        lines = [f"{INDENT};; {_comment(kernel.computes)}", f"{INDENT}(func {name}{parameters}"]
        lines += _locals(printer)
        if any(not isinstance(a.extent, int) for a in kernel.axes):
            size = self.dim(kernel.size, frozenset(outer))
            lines.append(f"{INDENT * 2}(if (i32.eqz {size}) (then (return)))")
        return "\n".join([*lines, *body]) + ")"

    def helpers(self) -> list[str]:
        """$floordiv, and our own functions that are called, with those that they call."""
        out = [
            "  (func $floordiv (param $a i32) (param $b i32) (result i32)\n"
            "    (i32.sub (i32.div_s (local.get $a) (local.get $b))\n"
            "      (i32.and (i32.lt_s (local.get $a) (i32.const 0))\n"
            "        (i32.ne (i32.rem_s (local.get $a) (local.get $b)) (i32.const 0)))))",
        ]
        done: set[tuple[str, int]] = set()
        for name, text in HORIZONTAL.items():
            if (name, 1) in self.needed:
                done.add((name, 1))
                out.append(text)
        while todo := sorted(self.needed - done):
            for name, lanes in todo:
                out.append(self.function(name, lanes))
                done.add((name, lanes))
        return out

    def function(self, name: str, lanes: int) -> str:
        """One of FUNCTIONS, for scalars or for vectors."""
        f = FUNCTIONS[name]
        emitter = Emitter(Layout())
        for p in f.parameters:
            ref = Ref(p.name, p.type, lanes)
            emitter.depths[ref] = 0
            emitter.scopes[0].names[p.name] = ref
        result = emitter.expr(f.body)
        statements = emitter.scopes[0].statements
        printer = Printer(self.relaxed, self.size, self.needed)
        printer.uses.count(statements)
        printer.uses.read(result, id(tuple(statements)), lanes > 1)
        body = printer.block(statements, 2)
        kind = {1: WASM, 4: dict.fromkeys(WASM, "v128")}[lanes]
        parameters = " ".join(f"(param ${p.name} {kind[p.type]})" for p in f.parameters)
        suffix = "_v" if lanes > 1 else ""
        head = (
            f"{INDENT}(func {identifier(name + suffix)} {parameters} (result {kind[f.body.type]})"
        )
        last = printer.text(result, lanes > 1)
        return "\n".join([head, *_locals(printer), *body, f"{INDENT * 2}{last})"])


def _locals(printer: Printer) -> list[str]:
    if not printer.locals:
        return []
    by_kind: dict[str, list[str]] = {}
    for name, kind in printer.locals.items():
        by_kind.setdefault(kind, []).append(f"(local ${name} {kind})")
    return [INDENT * 2 + " ".join(x for names in by_kind.values() for x in names)]


def _indented(lines: list[str]) -> str:
    return "\n".join([INDENT + lines[0], *(INDENT * 2 + line for line in lines[1:])])


def _comment(text: str) -> str:
    import re

    return re.sub(r"[^\w./: -]", "_", text, flags=re.ASCII)


def strip_custom_sections(module: bytes) -> bytes:
    """The module without its names, which weigh as much as the code."""
    out, at = bytearray(module[:8]), 8
    while at < len(module):
        start, kind = at, module[at]
        at += 1
        size = shift = 0
        while True:
            byte = module[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
        if kind:
            out += module[start:at]
    return bytes(out)
