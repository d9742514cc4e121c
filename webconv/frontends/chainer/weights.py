"""Parameters from a file that `save_npz`, `save_hdf5` or a trainer of Chainer has written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import chainer
import h5py
import numpy as np

from webconv.frontends.chainer.composites import composites, composites_off
from webconv.ir.errors import ModelFormatError

Shapes = Mapping[str, tuple[int, ...] | None]


def load_weights(
    chain: Any, path: Path, calls: Sequence[tuple[Callable[..., Any], Sequence[Any]]] = ()
) -> None:
    """Set the chain's parameters; raises ModelFormatError with all that does not fit.

    `calls` are what is called, with examples: what a first call makes has its shape then.
    """
    arrays = _read(path)
    if any(shape is None for shape in _wanted(chain).values()):
        _initialise(chain, calls)
    wanted = dict(sorted(_wanted(chain).items()))
    prefix = _prefix(path, wanted, arrays)
    found = {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
    problems = [
        f"{n} is a link that is not registered, so its arrays are in no file: make it in "
        "`with self.init_scope():`"
        for n in _unregistered(chain)
    ]
    problems += [f"{n} is missing" for n in wanted if n not in found]
    problems += [f"{n} belongs to nothing in the chain" for n in found if n not in wanted]
    for name, shape in wanted.items():
        if name in found and shape is not None and found[name].shape != shape:
            problems.append(f"{name} is {list(found[name].shape)}, but the chain has {list(shape)}")
        if name in found and found[name].dtype.kind not in "biuf":
            problems.append(f"{name} is of {found[name].dtype}, not of numbers")
    if problems:
        shown = "; ".join(problems[:20]) + (
            f"; and {len(problems) - 20} more" * (len(problems) > 20)
        )
        raise ModelFormatError(f"{path.name}: its arrays do not fit the chain: {shown}")
    for name, parameter in chain.namedparams():
        key = name.strip("/")
        if parameter.array is None:
            parameter.initialize(found[key].shape)
    chainer.serializers.NpzDeserializer(found, strict=True).load(chain)


def _unregistered(chain: Any) -> list[str]:
    """Links that chains have as plain attributes, by their paths."""
    known = {id(link) for link in chain.links()}
    return [
        f"{path.strip('/')}/{name}".lstrip("/")
        for path, link in chain.namedlinks()
        for name, value in vars(link).items()
        if isinstance(value, chainer.Link) and id(value) not in known
    ]


def _read(path: Path) -> dict[str, Any]:
    rule = f"{path.name}: it is not an npz file of arrays"
    try:
        if h5py.is_hdf5(path):
            return _read_hdf5(path)
        with path.open("rb") as file:
            if not file.read(4).startswith(b"PK"):
                raise ModelFormatError(f"{rule}, as save_npz writes it, nor HDF5 of save_hdf5")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise ModelFormatError(f"{path.name}: there is no such file") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        reason = "it holds Python objects" if "pickle" in reason else reason
        raise ModelFormatError(f"{rule}: {reason}") from None


def _read_hdf5(path: Path) -> dict[str, Any]:
    arrays: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            arrays[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return arrays


def _wanted(chain: Any) -> dict[str, tuple[int, ...] | None]:
    """The shape of every array that the chain saves; None where it is made at the first call."""
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(chain)
    shapes: dict[str, tuple[int, ...] | None] = {
        name: None if array.dtype == object else array.shape
        for name, array in serializer.target.items()
    }
    for name, parameter in chain.namedparams():
        if parameter.array is None:
            shapes[name.strip("/")] = None
    return shapes


def _initialise(chain: Any, calls: Sequence[tuple[Callable[..., Any], Sequence[Any]]]) -> None:
    """Call the chain, so that it makes what it saves; what else it keeps stays as it is."""
    kept = [(link, _attributes(link)) for link in chain.links()]
    try:
        with (
            chainer.using_config("train", False),
            chainer.no_backprop_mode(),
            composites(),
            composites_off(),
        ):
            for function, examples in calls:
                function(*map(_variables, examples))
    except Exception:
        # The trace calls it too, and tells what is wrong with its line.
        return
    finally:
        for link, before in kept:
            for name in _attributes(link):
                if name in before:
                    setattr(link, name, before[name])
                else:
                    delattr(link, name)


def _attributes(link: Any) -> dict[str, Any]:
    """What a link holds that it does not save, and no links."""
    saved = {*link._params, *link._persistent}
    return {
        name: [*value] if type(value) is list else value
        for name, value in vars(link).items()
        if not name.startswith("_") and name not in saved and not isinstance(value, chainer.Link)
    }


def _variables(example: Any) -> Any:
    if isinstance(example, list | tuple):
        return [*map(_variables, example)]
    array = example.array if isinstance(example, chainer.Variable) else example
    return chainer.Variable(np.array(array))


def _prefix(path: Path, wanted: Shapes, arrays: Mapping[str, Any]) -> str:
    """What stands before the names in a snapshot: `updater/model:main/`, `.../predictor/`.

    Raises ModelFormatError if several models in it fit as well, with other numbers.
    """
    prefixes = {n.removesuffix(w) for w in wanted for n in arrays if f"/{n}".endswith(f"/{w}")}

    def fitting(prefix: str) -> int:
        return sum(
            prefix + name in arrays and shape in (None, arrays[prefix + name].shape)
            for name, shape in wanted.items()
        )

    ranked = sorted(prefixes, key=lambda prefix: (-fitting(prefix), len(prefix), prefix))
    if not ranked:
        return ""
    best = [p for p in ranked if fitting(p) == fitting(ranked[0])]
    # The whole model holds its parts.
    others = [p for p in best[1:] if not p.startswith(best[0])]
    if any(not _same(best[0], p, wanted, arrays) for p in others):
        raise ModelFormatError(
            f"{path.name}: it holds several models that fit the chain ({', '.join(best)}); leave "
            "--weights out, and let make_net() load the one that is meant: "
            f"chainer.serializers.load_npz({path.name!r}, chain, path={best[0]!r})"
        )
    return best[0]


def _same(a: str, b: str, names: Shapes, arrays: Mapping[str, Any]) -> bool:
    both = [n for n in names if a + n in arrays and b + n in arrays]
    either = [n for n in names if a + n in arrays or b + n in arrays]
    return both == either and all(np.array_equal(arrays[a + n], arrays[b + n]) for n in both)
