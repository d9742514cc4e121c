"""A draw as a fragment shader, and the list of what it reads.

Textures that are only uploaded (weights, inputs) hold texel t at (t % 4096, t / 4096): `line`.
Textures that are drawn to hold it in bands of two rows, (t / 2 % 4096, 2 * (t / 8192) + t % 2):
`band`, so that the 2 x 2 fragments that GPUs shade together are neighbours and no row is half used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from webconv.backends.expr import Fold
from webconv.backends.kernel import Buffer
from webconv.backends.linearise import Let, LoadTo, Operand, Ref
from webconv.backends.webgl.draws import TEXEL, Draw
from webconv.backends.webgl.glsl import (
    CHOICE,
    HELPERS,
    INDENT,
    LOGIC,
    PRIMARY,
    SUM,
    UNARY,
    Text,
    type_name,
)
from webconv.backends.webgl.printer import Printer, function_texts
from webconv.backends.webgl.texels import Fetch, Sampler, Texels, is_line
from webconv.ir import dims
from webconv.ir.errors import GraphError

# What every WebGL2 takes.
MOST_SAMPLERS = 16
# Texels that the first band of a texture holds; an index below needs no check.
BAND = 8192


@dataclass(frozen=True)
class Shader:
    """Code to follow PROLOGUE; the textures that it reads, and its uniforms by symbol.

    `key` is the code without names: shaders of equal keys are the same program.
    """

    code: str
    key: str
    samplers: tuple[Sampler, ...]
    sampler_names: tuple[str, ...]
    symbols: dict[str, str]


def element(buffer: Buffer) -> str:
    """The type of a texture's elements: f32 or i32."""
    return "f32" if buffer.dtype.is_float else "i32"


def shader(draw: Draw, history: Collection[Buffer]) -> Shader:
    """The fragment shader of a draw."""
    em = Texels(draw, history)
    origin: tuple[Operand, ...] = ()
    if draw.stacked:
        ring = draw.targets[0].ring
        assert ring is not None
        origin = (em.origin(ring, draw.texels),)
    em.define(TEXEL, Let(Ref("q", "i32"), "texel", origin))
    if dims.bounds(draw.texels)[1] > BAND:
        end = Let(Ref("", "bool"), "leave", (Ref("q", "i32"), em.dim(draw.texels)))
        em.scopes[0].statements.append(end)
    em.folds = [e for e in draw.exprs if isinstance(e, Fold)]
    values = [em.expr(t.value) for t in draw.targets]
    return Writer(draw, em, values).shader()


class Writer:
    """Prints the frame around the statements, with readable names and without."""

    def __init__(self, draw: Draw, em: Texels, values: list[Operand]) -> None:
        self.draw, self.em, self.values = draw, em, values
        self.samplers = tuple(em.samplers)
        if len(self.samplers) > MOST_SAMPLERS:
            raise GraphError(f"{draw.name} reads {len(self.samplers)} textures")
        self.symbols: dict[str, str] = {}
        self.named = True

    def shader(self) -> Shader:
        """Both forms."""
        comment = f"// {printable(self.draw.name)}: {printable(self.draw.computes)}\n"
        titles = [s.buffer.name for s in self.samplers]
        titles += [t.buffer.name for t in self.draw.targets]
        self.named = False
        key = self._code([f"t{k}" for k in range(len(titles))])
        self.named = True
        names = identifiers(titles, "t_")
        code = self._code(names)
        own = tuple(names[: len(self.samplers)])
        return Shader(comment + code, key, self.samplers, own, dict(self.symbols))

    def _code(self, names: list[str]) -> str:
        self.symbols = {}
        reads = dict(zip(self.samplers, names, strict=False))
        outputs = names[len(self.samplers) :]
        printer = Printer(lambda p, target, s: _load(p, target, s, reads), self._size)
        lines, values = printer.body(self.em.scopes[0].statements, self.values)
        functions, needs = function_texts(printer.functions)
        helpers = [HELPERS[h] for h in HELPERS if h in printer.helpers | needs.helpers]
        uniforms = [f"uniform {_sampler_type(s)} {n};" for s, n in reads.items()]
        if self.symbols:
            uniforms.append(f"uniform int {', '.join(self.symbols.values())};")
        outs = [
            f"layout(location = {k}) out {'FLOAT4' if element(t.buffer) == 'f32' else 'ivec4'} {n};"
            for k, (t, n) in enumerate(zip(self.draw.targets, outputs, strict=True))
        ]
        results = (
            f"{INDENT}{n} = {_stored(printer, v)};" for n, v in zip(outputs, values, strict=True)
        )
        main = ["void main() {", *lines, *results, "}"]
        return "\n".join([*uniforms, *outs, *helpers, *functions, *main, ""])

    def _size(self, name: str) -> str:
        known = self.symbols.values()
        new = identifier(name, "n_", known) if self.named else f"n{len(known)}"
        return self.symbols.setdefault(name, new)


def _sampler_type(s: Sampler) -> str:
    return "FLOATS" if element(s.buffer) == "f32" else "isampler2D"


def _stored(printer: Printer, value: Text) -> str:
    """A result as its texture holds it."""
    whole = printer.splat(value, 4)
    if value.type == "f32":
        return f"stored({whole.code})"
    return whole.code if value.type == "i32" else f"ivec4({whole.code})"


# -- loads -------------------------------------------------------------------------------------


def _load(p: Printer, target: Ref, s: LoadTo, names: dict[Sampler, str]) -> Text:
    """The elements that an access reaches, 0 where its guard is false."""
    access = s.access
    assert isinstance(access, Fetch)
    where = _offset(p.operand(access.address), access.constant)
    ring, origin = (None if o is None else p.operand(o) for o in (access.ring, access.origin))
    samplers = [names[s] for s in access.samplers]
    kind, lanes = element(access.buffer), 1 if access.kind == "uniform" else 4
    if access.kind == "each" and ring is None and origin is None:
        helper = f"{_fetch(access)}_each_{_place(access)}"
        p.helpers[helper] = None
        code, lanes = f"{helper}({samplers[0]}, {p.splat(where, 4).code})", 4
    elif access.kind == "each" or any(t.lanes > 1 for t in (where, ring) if t is not None):
        parts = [_texel(access, samplers, *texts) for texts in _apart(p, where, ring, origin)]
        code, lanes = f"{type_name(kind, 4)}({', '.join(parts)})", 4
    else:
        code = _texel(access, samplers, where, ring, origin)
    text = _typed(Text(code, PRIMARY, kind, lanes), target.type)
    return text if access.guard is None else _guarded(p, text, p.operand(access.guard))


def _offset(where: Text, constant: int) -> Text:
    if not constant:
        return where
    if where.type == "ivec2":
        return replace(where, code=f"{where.at(SUM)} + ivec2({constant}, 0)", level=SUM)
    if where.code == "0":
        return replace(where, code=str(constant))
    sign = "+" if constant > 0 else "-"
    return replace(where, code=f"{where.at(SUM)} {sign} {abs(constant)}", level=SUM)


def _apart(
    p: Printer, where: Text, ring: Text | None, origin: Text | None
) -> Iterator[tuple[Text, Text | None, Text | None]]:
    """The address, block and origin of each lane; what is shared gets a name."""
    shared = [None if t is None else replace(t, code=p.named(t), level=PRIMARY)
              for t in (where, ring, origin)]  # fmt: skip
    for lane in "xyzw":
        a, b, c = (
            replace(t, code=f"{t.code}.{lane}", lanes=1) if t is not None and t.lanes > 1 else t
            for t in shared
        )
        assert a is not None
        yield a, b, c


def _fetch(access: Fetch) -> str:
    return "fetch" if element(access.buffer) == "f32" else "ifetch"


def _place(access: Fetch) -> str:
    return "at_line" if is_line(access.buffer) else "at_band"


def _texel(
    access: Fetch, samplers: list[str], where: Text, ring: Text | None, origin: Text | None
) -> str:
    """A texel, or the element `where` of one."""
    fetch = _fetch(access)
    single = access.kind != "texel"
    place = f"{_place(access)}({f'{where.at(SUM)} >> 2' if single else where.code})"
    if where.type == "ivec2":
        place = where.code
    tail = f"[{where.at(UNARY)} & 3]" if single else ""
    if ring is None:
        place = place if origin is None else f"{origin.at(SUM)} + {place}"
        return f"{fetch}({samplers[0]}, {place}){tail}"
    if origin is not None:
        place = f"block({ring.at(UNARY)} >> 1, {origin.code}) + {place}"
    copy = f"({ring.at(UNARY)} & {len(samplers) - 1})"
    *others, last = (f"{fetch}({s}, {place}){tail}" for s in samplers)
    chosen = "".join(f"{copy} == {k} ? {f} : " for k, f in enumerate(others))
    return f"({chosen}{last})"


def _typed(text: Text, type: str) -> Text:
    """Stored elements as values of `type`."""
    if type == text.type:
        return text
    if type == "u32":
        return Text(f"{type_name(type, text.lanes)}({text.code})", PRIMARY, type, text.lanes)
    if text.lanes > 1:
        return Text(f"notEqual({text.code}, ivec4(0))", PRIMARY, "bool", 4)
    return Text(f"({text.code} != 0)", PRIMARY, "bool")


def _guarded(p: Printer, text: Text, guard: Text) -> Text:
    lanes = max(text.lanes, guard.lanes)
    name = type_name(text.type, lanes)
    zero = "0.0" if text.type == "f32" else "0u" if text.type == "u32" else "0"
    zero = "false" if text.type == "bool" else zero
    nothing = f"{name}({zero})" if lanes > 1 else zero
    whole = p.splat(text, lanes).code
    if guard.lanes == 1:
        return Text(f"{guard.at(LOGIC)} ? {whole} : {nothing}", CHOICE, text.type, lanes)
    if text.type == "f32":
        return Text(f"mix({nothing}, {whole}, {guard.code})", PRIMARY, text.type, lanes)
    p.helpers["pick"] = None
    return Text(f"pick({guard.code}, {whole}, {nothing})", PRIMARY, text.type, lanes)


# -- names -------------------------------------------------------------------------------------


def printable(name: str) -> str:
    """A name out of a model as a comment may hold it."""
    return re.sub(r"[^\w./: -]|__+", "_", name, flags=re.ASCII)[:200]


def identifier(title: str, prefix: str, taken: Collection[str]) -> str:
    """A new identifier that no local value, function or reserved word can be."""
    base = prefix + (re.sub(r"[^A-Za-z0-9]+", "_", title)[:80].strip("_") or "x")
    name, k = base, 1
    while name in taken:
        k += 1
        name = f"{base}_{k}"
    return name


def identifiers(titles: Iterable[str], prefix: str) -> list[str]:
    """New identifiers for all titles."""
    made: list[str] = []
    for title in titles:
        made.append(identifier(title, prefix, made))
    return made
