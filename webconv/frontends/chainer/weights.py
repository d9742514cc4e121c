"""Parameters from an npz file that `chainer.serializers.save_npz` or a trainer has written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import chainer
import numpy as np

from webconv.ir.errors import ModelFormatError


def load_weights(chain: Any, path: Path) -> None:
    """Set the chain's parameters; raises ModelFormatError with all that does not fit."""
    arrays = _read(path)
    wanted = _wanted(chain)
    prefix = _prefix(wanted, arrays)
    found = {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
    problems = [f"{n} is missing" for n in wanted if n not in found]
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


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise ModelFormatError(f"{path.name}: there is no such file") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        reason = "it holds Python objects" if "pickle" in str(error) else str(error)
        raise ModelFormatError(f"{path.name}: it is not an npz file of arrays: {reason}") from None


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
    if not wanted or all(name in arrays for name in wanted):
        return ""
    first = next(iter(wanted))
    ends = [n.removesuffix(first) for n in arrays if n.endswith(f"/{first}")]
    fitting = [p for p in ends if all(p + name in arrays for name in wanted)]
    return min(fitting, key=len) if fitting else ""
