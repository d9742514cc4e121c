"""ONNX's types and tensors as ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from webconv.ir import dims, dtypes
from webconv.ir.dims import Dim
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.op import Array, TensorType

ELEMENTS: dict[int, DType] = {
    TensorProto.FLOAT16: dtypes.f16,
    TensorProto.FLOAT: dtypes.f32,
    TensorProto.DOUBLE: dtypes.f64,
    TensorProto.INT8: dtypes.i8,
    TensorProto.INT16: dtypes.i16,
    TensorProto.INT32: dtypes.i32,
    TensorProto.INT64: dtypes.i64,
    TensorProto.UINT8: dtypes.u8,
    TensorProto.UINT16: dtypes.u16,
    TensorProto.UINT32: dtypes.u32,
    TensorProto.UINT64: dtypes.u64,
    TensorProto.BOOL: dtypes.bool_,
}
CODES = {dtype: code for code, dtype in ELEMENTS.items()}

# More elements than any tensor of a model that a page could load.
MOST_ELEMENTS = 1 << 34


def type_name(code: int) -> str:
    """`bfloat16` for 16."""
    try:
        return str(TensorProto.DataType.Name(code)).lower()
    except ValueError:
        return f"type {code}"


def dtype_of(code: int) -> DType:
    """The DType of an ONNX element type; raises UnsupportedError for the others."""
    if code not in ELEMENTS:
        raise UnsupportedError(f"tensors of {type_name(code)} are not supported")
    return ELEMENTS[code]


def symbol_name(text: str) -> str:
    """A name for a size that an expression can hold: `batch size` becomes `batch_size`."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    if not name or name in dims.FUNCTIONS or name.startswith(dims.SIGNED):
        name = f"size_{name}".rstrip("_")
    return f"n{name}" if name[0].isdigit() else name


def input_shape(name: str, proto: onnx.TypeProto.Tensor) -> tuple[Dim, ...]:
    """The shape of a graph input; a size without a value or name becomes `<input>_<axis>`."""
    if not proto.HasField("shape"):
        raise ModelFormatError(f"input {name!r} has no shape; give it with --input-shape")
    shape: list[Dim] = []
    for axis, d in enumerate(proto.shape.dim):
        if d.HasField("dim_value") and d.dim_value >= 0:
            shape.append(d.dim_value)
        else:
            # paddle2onnx calls every size that it does not know "?".
            named = "" if d.dim_param == "?" else d.dim_param
            shape.append(dims.symbol(symbol_name(named or f"{name}_{axis}")))
    return tuple(shape)


def type_proto(t: TensorType) -> onnx.TypeProto:
    """Our type as ONNX's; a size that is an expression is left open."""
    shape = [d if isinstance(d, int) else None for d in t.shape]
    return onnx.helper.make_tensor_type_proto(CODES[t.dtype], shape)


def tensor_array(tensor: TensorProto, folder: Path) -> Array:
    """The array of a tensor; external data is mapped from a file inside of `folder`."""
    dtype = dtype_of(tensor.data_type)
    count = 1
    for n in tensor.dims:
        if n < 0:
            raise ModelFormatError(f"tensor {tensor.name!r} has the shape {list(tensor.dims)}")
        count *= n
    if count > MOST_ELEMENTS:
        rule = "which no page could load"
        raise ModelFormatError(f"tensor {tensor.name!r} has {count} elements, {rule}")
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, dtype, count, folder)
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise ModelFormatError(f"tensor {tensor.name!r} is damaged: {error}") from None
    return array if array.dtype == dtype.numpy else array.astype(dtype.numpy)


def _external(tensor: TensorProto, dtype: DType, count: int, folder: Path) -> Array:
    """Follows onnx's docs/ExternalData.md: location, offset and length as strings."""
    entries = {e.key: e.value for e in tensor.external_data}
    path = _inside(folder, entries.get("location", ""), tensor.name)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        raise ModelFormatError(
            f"tensor {tensor.name!r}: offset and length must be numbers"
        ) from None
    expected = count * dtype.numpy.itemsize
    size = path.stat().st_size
    if offset < 0 or (length not in (-1, expected)) or offset + expected > size:
        raise ModelFormatError(
            f"tensor {tensor.name!r} needs {expected} bytes at {max(offset, 0)} of {path.name!r}, "
            f"which has {size}" + (f"; its entry says {length}" if length != -1 else "")
        )
    shape = tuple(tensor.dims)
    if not expected:
        return np.zeros(shape, dtype.numpy)
    return np.memmap(path, dtype.numpy.newbyteorder("<"), "r", offset, shape)


def _inside(folder: Path, location: str, tensor: str) -> Path:
    """The file `location` of `folder`; raises ModelFormatError if it lies elsewhere."""
    rule = "it must be a file inside of the model's folder"
    where = Path(location)
    root = os.path.realpath(folder)
    real = os.path.realpath(folder / where)
    outside = not location or where.is_absolute() or ".." in where.parts or "\0" in location
    if outside or os.path.commonpath([root, real]) != root:
        raise ModelFormatError(f"tensor {tensor!r} lies in {location!r}: {rule}")
    if not Path(real).is_file():
        raise ModelFormatError(f"tensor {tensor!r} lies in {location!r}, which does not exist")
    return Path(real)
