"""Runs in Chainer's environment: traces chains, and says what Chainer computes of them.

    python -m tests.frontends.chainer.generate functions OUT.npz
    python -m tests.frontends.chainer.generate nets OUT.npz
    python -m tests.frontends.chainer.generate zoo OUT.npz
    python -m tests.frontends.chainer.generate oracles FOLDER

A program is handed over as its text form, constants beside it.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tests.frontends.chainer.cases import FAMILIES, Case
from tests.frontends.chainer.more_cases import MORE
from tests.frontends.chainer.refused import REFUSED, X
from webconv.ir.graph import Program
from webconv.ir.lists import members


def chain_of(case: Case) -> Any:
    """A chain without parameters that calls the case's function."""
    import chainer
    import chainer.functions as F

    class Function(chainer.Chain):  # type: ignore[misc]
        def forward(self, *xs: Any) -> Any:
            return case.call(F, *xs)

    return Function()


@contextmanager
def plain_chainer() -> Iterator[None]:
    """Chainer's own functions at inference, with the names that NumPy has dropped."""
    import chainer

    from webconv.frontends.chainer.composites import composites, composites_off

    with chainer.using_config("train", False), composites(), composites_off():
        yield


def expected(case: Case) -> dict[str, Any]:
    """What Chainer gives, by output."""
    import chainer

    from webconv.frontends.chainer.record import named_outputs

    with plain_chainer():
        made = named_outputs(chain_of(case)(*map(chainer.Variable, case.inputs)))
    return {name: v.array if isinstance(v, chainer.Variable) else v for name, v in made.items()}


def write_program(found: dict[str, Any], name: str, program: Any) -> None:
    """Put a program's text and constants among `found`."""
    from webconv.ir.text import print_program

    def store(array: Any) -> tuple[int]:
        found[f"{name}/weight_{len(found)}"] = array
        return (len(found) - 1,)

    found[f"{name}/program"] = np.array(print_program(program, store))


def functions(out: Path) -> None:
    """The programs of all cases in one file; what cannot be traced stands there as its error."""
    found: dict[str, Any] = {}
    for cases in (*FAMILIES.values(), *MORE.values()):
        for name, case in cases.items():
            write_traced(found, name, lambda c=case: (chain_of(c), *c.inputs))
    for name, case in REFUSED.items():
        write_traced(found, f"refused/{name}", lambda c=case: (chain_of(c), *c.inputs))
    for name, model in no_models().items():
        write_traced(found, name, lambda m=model: (m, X))
    np.savez(out, **found, **names())


def no_models() -> dict[str, Any]:
    """What is no chain to convert, but is given."""
    import chainer.functions as F
    import chainer.links as L

    return {"classifier": L.Classifier(L.Linear(4, 3)), "function": lambda x: F.relu(x)}


def write_traced(
    found: dict[str, Any], name: str, arguments: Callable[[], tuple[Any, ...]]
) -> Program | None:
    """Put the program of `trace(*arguments())` among `found`, or why there is none."""
    from webconv.frontends.chainer import trace

    try:
        program = trace(*arguments())
    except Exception as error:
        found[f"{name}/error"] = np.array(f"{type(error).__name__}: {error}")
        return None
    write_program(found, name, program)
    return program


def names() -> dict[str, Any]:
    """What `chainer.functions` and `chainer.links` have, and the functions that cases call."""
    import chainer
    import chainer.functions as F
    import chainer.links as L

    called: set[str] = set()

    class Noted:
        def __getattr__(self, name: str) -> Any:
            called.add(name)
            return getattr(F, name)

    with plain_chainer():
        for cases in (*FAMILIES.values(), *MORE.values()):
            for case in cases.values():
                case.call(Noted(), *map(chainer.Variable, case.inputs))
    public = {n: f for n, f in vars(F).items() if callable(f) and not n.startswith("_")}
    links = [n for n, c in vars(L).items() if inspect.isclass(c) and issubclass(c, chainer.Link)]
    return {
        "names/functions": np.array(
            [f"{f.__module__.split('.')[2]} {n}" for n, f in public.items()]
        ),
        "names/links": np.array(links),
        "names/called": np.array(sorted(called)),
    }


def variables(value: Any) -> Any:
    """An array, or a list of them, as Variables."""
    import chainer

    return (
        list(map(chainer.Variable, value)) if isinstance(value, list) else chainer.Variable(value)
    )


def run_chain(net: Any, run: Any) -> Any:
    """What Chainer gives; examples that are no list are arguments of their own, as in a run."""
    given = map(variables, run)
    starred = len(net.examples) > len(run)
    with plain_chainer():
        return net.chain(*next(given)) if starred else net.chain(*given)


def named(graph: Any, made: Any) -> dict[str, Any]:
    """The arrays that a chain gave by the outputs of its graph, those of a list one by one."""
    import chainer

    from webconv.frontends.chainer.record import named_outputs
    from webconv.verify.names import by_name

    found = {
        name: v.array if isinstance(v, chainer.Variable) else v
        for name, v in named_outputs(made).items()
    }
    if not graph.lists.inputs:
        return found
    positions = {str(k): array for k, array in enumerate(found.values())}
    return dict(members(by_name(positions, list(graph.outputs), "output", graph.lists.outputs)))


def nets(out: Path) -> None:
    """The programs of all chains in `nets`, with inputs and outputs of their runs."""
    from tests.frontends.chainer.nets import FAMILIES as NETS
    from tests.frontends.chainer.plain import PLAIN

    write_nets(out, {**NETS, "plain": PLAIN})


def zoo(out: Path) -> None:
    """The same of the networks that people write."""
    from tests.frontends.chainer.zoo import FAMILIES as ZOO

    families = {name: import_module(f"tests.frontends.chainer.zoo_{name}").ROWS for name in ZOO}
    write_nets(out, families)


def write_nets(out: Path, families: Mapping[str, Mapping[str, Callable[[], Any]]]) -> None:
    """The programs of chains, with inputs and outputs of their runs, in one file."""
    found: dict[str, Any] = {}
    for family, rows in families.items():
        for name, make in rows.items():
            key = f"{family}/{name}"
            try:
                net = make()
            except FileNotFoundError:
                # A net from beside the shared model files, which are not here.
                found[f"{key}/absent"] = np.array(True)
                continue
            found[f"{key}/links"] = np.array([type(own).__name__ for own in net.chain.links()])
            program = write_traced(found, key, lambda n=net: (n.chain, *n.examples))
            if program is None:
                continue
            for k, run in enumerate(net.runs):
                graph = program.main
                seen = [n for n in graph.inputs if n not in graph.lists.lengths]
                for n, array in members(dict(zip(seen, run, strict=True))):
                    found[f"{key}/run_{k}/in/{n}"] = array
                for n, array in named(graph, run_chain(net, run)).items():
                    found[f"{key}/run_{k}/out/{n}"] = array
    np.savez(out, **found)


def oracles(folder: Path) -> None:
    """What Chainer gives for all cases, a file per family."""
    for family, cases in {**FAMILIES, **MORE}.items():
        found = {}
        for name, case in cases.items():
            for output, array in expected(case).items():
                found[f"{name}/{output}"] = array
        np.savez_compressed(folder / f"{family}.npz", **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    tasks = {"functions": functions, "nets": nets, "zoo": zoo, "oracles": oracles}
    tasks[sys.argv[1]](Path(sys.argv[2]))
