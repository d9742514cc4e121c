"""Parameters from a file that `save_npz`, `save_hdf5` or a trainer of Chainer has written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import chainer
import h5py
import numpy as np

from webconv.ir.errors import ModelFormatError


def load_weights(chain: Any, path: Path) -> None:
    """Set the chain's parameters; raises ModelFormatError with all that does not fit."""
    arrays = _read(path)
    wanted = dict(sorted(_wanted(chain).items()))
    prefix = _prefix(wanted, arrays)
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
        name: array.shape for name, array in serializer.target.items()
    }
    for name, parameter in chain.namedparams():
        if parameter.array is None:
            shapes[name.strip("/")] = None
    return shapes


def _prefix(wanted: dict[str, Any], arrays: dict[str, Any]) -> str:
    """What stands before the names in a snapshot: `updater/model:main/`, `.../predictor/`."""
    prefixes = {n.removesuffix(w) for w in wanted for n in arrays if f"/{n}".endswith(f"/{w}")}

    def fitting(prefix: str) -> tuple[int, int]:
        return sum(prefix + name in arrays for name in wanted), -len(prefix)

    return max(sorted(prefixes), key=fitting, default="")
