"""Runs in Chainer's environment: traces chains, and says what Chainer computes of them.

    python -m tests.frontends.chainer.generate functions OUT.npz
    python -m tests.frontends.chainer.generate nets OUT.npz
    python -m tests.frontends.chainer.generate oracles FOLDER

A program is handed over as its text form, constants beside it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.frontends.chainer.cases import FAMILIES, Case


def chain_of(case: Case) -> Any:
    """A chain without parameters that calls the case's function."""
    import chainer
    import chainer.functions as F

    class Function(chainer.Chain):  # type: ignore[misc]
        def forward(self, *xs: Any) -> Any:
            return case.call(F, *xs)

    return Function()


def expected(case: Case) -> dict[str, Any]:
    """What Chainer gives, by output."""
    import chainer

    from webconv.frontends.chainer.composites import composites, composites_off
    from webconv.frontends.chainer.record import named_outputs

    with chainer.using_config("train", False), composites(), composites_off():
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
    from webconv.frontends.chainer import trace

    found: dict[str, Any] = {}
    for cases in FAMILIES.values():
        for name, case in cases.items():
            try:
                write_program(found, name, trace(chain_of(case), *case.inputs))
            except Exception as error:
                found[f"{name}/error"] = np.array(f"{type(error).__name__}: {error}")
    np.savez(out, **found)


def variables(value: Any) -> Any:
    """An array, or a list of them, as Variables."""
    import chainer

    return (
        list(map(chainer.Variable, value)) if isinstance(value, list) else chainer.Variable(value)
    )


def inputs_of(run: Any) -> Iterator[Any]:
    """The arrays of a run; a list is its sequences one after another, and their lengths."""
    for value in run:
        if isinstance(value, list):
            yield np.concatenate(value)
            yield np.array([len(v) for v in value], np.int32)
        else:
            yield value


def joined(made: Any) -> list[Any]:
    """Outputs with lists as one array each."""
    import chainer.functions as F

    return [F.concat(v, axis=0) if isinstance(v, list) else v for v in made]


def nets(out: Path) -> None:
    """The programs of all chains in `nets`, with inputs and outputs of their runs."""
    import chainer

    from tests.frontends.chainer.nets import FAMILIES as NETS
    from tests.frontends.chainer.plain import PLAIN
    from webconv.frontends.chainer import trace
    from webconv.frontends.chainer.record import named_outputs

    found: dict[str, Any] = {}
    for family, rows in {**NETS, "plain": PLAIN}.items():
        for name, make in rows.items():
            key = f"{family}/{name}"
            net = make()
            try:
                program = trace(net.chain, *net.examples)
            except Exception as error:
                found[f"{key}/error"] = np.array(f"{type(error).__name__}: {error}")
                continue
            write_program(found, key, program)
            for k, run in enumerate(net.runs):
                with chainer.using_config("train", False):
                    made = net.chain(*map(variables, run))
                for n, array in zip(program.main.inputs, inputs_of(run), strict=True):
                    found[f"{key}/run_{k}/in/{n}"] = array
                for n, v in named_outputs(joined(made) if family == "lists" else made).items():
                    found[f"{key}/run_{k}/out/{n}"] = v.array
    np.savez(out, **found)


def oracles(folder: Path) -> None:
    """What Chainer gives for all cases, a file per family."""
    for family, cases in FAMILIES.items():
        found = {}
        for name, case in cases.items():
            for output, array in expected(case).items():
                found[f"{name}/{output}"] = array
        np.savez_compressed(folder / f"{family}.npz", **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"functions": functions, "nets": nets, "oracles": oracles}[sys.argv[1]](Path(sys.argv[2]))
