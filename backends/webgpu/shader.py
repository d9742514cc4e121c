"""A group of kernels as one WGSL shader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webconv.backends.kernel import Buffer, Kernel, Loop, Step
from webconv.backends.linearise import Access, Statement
from webconv.backends.webgpu.alignment import touches
from webconv.backends.webgpu.groups import Group
from webconv.backends.webgpu.schedule import LEAST_THREADS, schedule, shared_threads, wide_workgroup
from webconv.backends.webgpu.support import comment, print_dim, print_support
from webconv.backends.webgpu.text import INDENT, type_name, variable
from webconv.backends.webgpu.threads import Once, Place, Schedule, statements, threads
from webconv.backends.webgpu.wgsl import Printer, Slot
from webconv.ir import dims
from webconv.ir.dims import Dim

# Dispatches have at most this many workgroups in a row; more work than that is done in turns.
MOST_WORKGROUPS = 65535
NAME_LENGTH = 40


@dataclass(frozen=True)
class Range:
    """What one binding covers: a buffer, or weights that lie in one range; and where each lies."""

    name: str
    places: Mapping[Buffer, Place]
    element: str
    writable: bool


@dataclass(frozen=True)
class Shader:
    """WGSL, its own identifiers in order, and the number of workgroups to dispatch."""

    code: str
    names: tuple[str, ...]
    workgroups: Dim
    uses_sizes: bool


class Names:
    """Identifiers that no keyword, reserved word or built-in of WGSL can collide with."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self.all: list[str] = []

    def make(self, prefix: str, name: str) -> str:
        """`name`, of which only letters and digits stay."""
        clean = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_")[:NAME_LENGTH]
        made = f"{prefix}_{clean}" if clean else prefix
        count = self._taken.get(made, 0)
        self._taken[made] = count + 1
        self.all.append(f"{made}_{count}" if count else made)
        return self.all[-1]


@dataclass(frozen=True)
class Frame:
    """How a workgroup is divided: `share` threads for each of `rows` of the `count` coordinates."""

    share: int
    rows: int
    count: Dim

    @property
    def least(self) -> int:
        """The threads that there are for a coordinate in any case."""
        return LEAST_THREADS if self.rows == 1 else 1


@dataclass(frozen=True)
class Body:
    """A kernel on its way into print; `outer` are the loops around it inside of the shader."""

    kernel: Kernel
    schedule: Schedule
    outer: tuple[str, ...]
    name: str

    @property
    def parameters(self) -> list[str]:
        """What the frame gives to it."""
        return [
            "thread",
            "stride",
            *(v for _, v in self.schedule.fixed),
            *map(variable, self.outer),
        ]


class ShaderBuilder:
    """Prints one group. `sizes` maps symbols to members of the uniform block, in order."""

    def __init__(self, group: Group, ranges: Sequence[Range], sizes: Mapping[str, str]) -> None:
        self.group = group
        self.ranges = ranges
        self.sizes = sizes
        self.names = Names()
        self.uses_sizes = False
        self.vector = {r.name: False for r in ranges}
        self.printer = Printer(self._slot, self._size)
        with_loops = list(_with_loops(group.steps))
        self.loops = {index for _, outer in with_loops for index in outer}
        self.bodies = [self._body(k, outer) for k, outer in with_loops]

    def build(self) -> Shader:
        """The shader."""
        self._choose_vectors()
        functions = [self._function(b) for b in self.bodies]
        main, workgroups = self._wide() if self.group.wide else self._narrow()
        support = print_support(self.printer)
        code = "\n\n".join([self._bindings(), *support, *functions, main]).lstrip() + "\n"
        names = (*(r.name for r in self.ranges), *self.names.all)
        return Shader(code, names, workgroups, self.uses_sizes)

    # -- bindings --------------------------------------------------------------------------------

    def _range(self, buffer: Buffer) -> Range:
        return next(r for r in self.ranges if buffer in r.places)

    def _slot(self, access: Access) -> Slot:
        r = self._range(access.buffer)
        return Slot(r.name, r.element, self.vector[r.name])

    def _size(self, symbol: str) -> str:
        if symbol in self.loops:
            return variable(symbol)
        self.uses_sizes = True
        return f"sizes.{self.sizes[symbol]}"

    def _places(self) -> dict[Buffer, Place]:
        return {
            b: Place(p.base, p.stride, self.vector[r.name])
            for r in self.ranges
            for b, p in r.places.items()
        }

    def _choose_vectors(self) -> None:
        """A binding is read in fours where most of its accesses are four aligned elements."""
        score = dict.fromkeys(self.vector, 0)
        never = set()
        places = self._places()
        for body in self.bodies:
            lane = body.kernel.axes[-1] if body.schedule.lanes > 1 else None
            for t in touches(body.kernel, lane, places):
                name = self._range(t.buffer).name
                score[name] += t.weight if t.aligned else -t.weight
                if t.store and (t.torn or not t.aligned):
                    never.add(name)
        self.vector = {n: s > 0 and n not in never for n, s in score.items()}

    def _bindings(self) -> str:
        lines = []
        if self.uses_sizes:
            members = ", ".join(f"{m}: i32" for m in dict.fromkeys(self.sizes.values()))
            lines += [
                f"struct Sizes {{ {members} }}",
                "@group(0) @binding(0) var<uniform> sizes: Sizes;",
            ]
        for k, r in enumerate(self.ranges, 1):
            element = type_name(r.element, 4 if self.vector[r.name] else 1)
            access = "read_write" if r.writable else "read"
            lines.append(
                f"@group(0) @binding({k}) var<storage, {access}> {r.name}: array<{element}>;"
            )
        return "\n".join(lines)

    # -- functions -------------------------------------------------------------------------------

    def _body(self, kernel: Kernel, outer: tuple[str, ...]) -> Body:
        axes = self.group.fixed.get(kernel.name, ())
        fixed = tuple((a, f"c{k}") for k, a in enumerate(axes))
        chosen = schedule(kernel, fixed)
        return Body(kernel, chosen, outer, self.names.make("run", kernel.name))

    def _statements(self, b: Body) -> list[Statement | Once]:
        return statements(b.kernel, b.schedule, self._places(), b.outer)

    def _function(self, b: Body) -> str:
        parameters = ", ".join(f"{p}: i32" for p in b.parameters)
        lines = self.printer.body(self._statements(b))
        title = f"// {comment(b.kernel.computes)}\n" if b.kernel.computes else ""
        return f"{title}fn {b.name}({parameters}) {{\n" + "\n".join(lines) + "\n}"

    # -- the frame -------------------------------------------------------------------------------

    def _wide(self) -> tuple[str, Dim]:
        (body,) = self.bodies
        size = wide_workgroup(body.kernel, body.schedule)
        lines = [
            f"@compute @workgroup_size({size})",
            "fn main(@builtin(global_invocation_id) id: vec3u, "
            "@builtin(num_workgroups) groups: vec3u) {",
            f"{INDENT}{body.name}(i32(id.x), i32(groups.x) * {size});",
            "}",
        ]
        return "\n".join(lines), dims.ceildiv(threads(body.kernel, body.schedule), size)

    def _narrow(self) -> tuple[str, Dim]:
        """A workgroup for one of the coordinates, or for several if each has few threads."""
        share = shared_threads([(b.kernel, b.schedule) for b in self.bodies])
        count = dims.product(self.group.coordinates)
        rows = 1 if count == 1 else max(1, LEAST_THREADS // share)
        frame = Frame(share, rows, count)
        lines = [
            f"@compute @workgroup_size({max(share * rows, LEAST_THREADS)})",
            "fn main(@builtin(local_invocation_index) local: u32, "
            "@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {",
        ]
        ending = ["}"]
        if count != 1:
            lines += self._coordinates(frame)
            ending = [INDENT + "}", "}"]
        else:
            lines.append(f"{INDENT}let thread = i32(local);")
        calls = self._calls(self.group.steps, iter(self.bodies), frame, len(ending))
        lines += calls[:-1] if calls[-1].strip() == BARRIER else calls
        return "\n".join([*lines, *ending]), dims.ceildiv(count, rows)

    def _coordinates(self, frame: Frame) -> list[str]:
        """A loop over the coordinates that fall to a workgroup: once, unless there are many."""
        count = self._dim(frame.count)
        pad = INDENT * 2
        if frame.rows == 1:
            lines = [
                f"{INDENT}let thread = i32(local);",
                f"{INDENT}for (var at = i32(group.x); at < {count}; at += i32(groups.x)) {{",
            ]
        else:
            n, bits = frame.rows, frame.share.bit_length() - 1
            lines = [
                f"{INDENT}let thread = i32(local) & {frame.share - 1};",
                f"{INDENT}for (var first = i32(group.x) * {n}; first < {count}; "
                f"first += i32(groups.x) * {n}) {{",
                f"{pad}let at = first + (i32(local) >> {bits}u);",
            ]
        rest = "at"
        for k in range(len(self.group.coordinates) - 1, -1, -1):
            n_k = self._dim(self.group.coordinates[k])
            lines.append(f"{pad}let c{k} = {rest}" + (f" % ({n_k});" if k else ";"))
            rest = f"{rest} / ({n_k})"
        return lines

    def _calls(
        self, steps: Sequence[Step], bodies: Iterator[Body], frame: Frame, depth: int
    ) -> list[str]:
        """The kernels in order, a barrier after each."""
        lines = []
        pad = INDENT * depth
        for step in steps:
            if isinstance(step, Loop):
                i = variable(step.index.name)
                lines.append(f"{pad}for (var {i} = 0; {i} < {self._dim(step.count)}; {i}++) {{")
                lines += self._calls(step.body, bodies, frame, depth + 1)
                lines.append(f"{pad}}}")
                continue
            body = next(bodies)
            given = ["thread", str(max(frame.share, frame.least)), *body.parameters[2:]]
            call = f"{body.name}({', '.join(given)});"
            if frame.rows > 1:
                call = f"if (at < {self._dim(frame.count)}) {{ {call} }}"
            lines += [pad + call, pad + BARRIER]
        return lines

    def _dim(self, d: Dim) -> str:
        """A size in the frame's code."""
        return print_dim(d, self._size)


BARRIER = "storageBarrier();"


def _with_loops(
    steps: Sequence[Step], outer: tuple[str, ...] = ()
) -> Iterator[tuple[Kernel, tuple[str, ...]]]:
    for step in steps:
        if isinstance(step, Loop):
            yield from _with_loops(step.body, (*outer, step.index.name))
        else:
            yield step, outer
