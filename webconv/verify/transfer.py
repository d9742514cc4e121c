"""Values with NumPy arrays in them as one run of bytes, and back; `transfer.js` is the other end.

A packet is the length of its JSON text (uint32, little-endian), the text, and the arrays' bytes,
each from a multiple of 8. In the text an array is `{"$array": [dtype, offset, length]}` with the
offset counted from the end of the padded text, and a number that JSON cannot write is
`{"$number": "NaN"}`.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

ALIGNMENT = 8

# Arrays of these types become the typed array of the same meaning; bool becomes Uint8Array.
DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, widths in {
        "float": (16, 32, 64),
        "int": (8, 16, 32, 64),
        "uint": (8, 16, 32, 64),
    }.items()
    for bits in widths
)


def pack(value: object) -> bytes:
    """Encode JSON values, NumPy arrays and scalars, and `bytes` (as uint8) into a packet."""
    chunks: list[bytes] = []
    size = 0

    def encode(item: object) -> object:
        nonlocal size
        if isinstance(item, np.generic):
            return _number(item.item())
        if not isinstance(item, (np.ndarray, bytes)):
            raise TypeError(f"a page takes JSON values and arrays, not {type(item).__name__}")
        array = _plain(item)
        chunk = _pad(array.tobytes())
        entry = {"$array": [array.dtype.name, size, array.size]}
        chunks.append(chunk)
        size += len(chunk)
        return entry

    text = json.dumps(_finite(value), default=encode, allow_nan=False).encode()
    return struct.pack("<I", len(text)) + _pad(text, before=4) + b"".join(chunks)


def unpack(packet: bytes) -> Any:
    """Decode a packet; arrays come back one-dimensional, in memory of their own."""
    (length,) = struct.unpack_from("<I", packet)
    start = 4 + length + -(4 + length) % ALIGNMENT

    def decode(item: dict[str, Any]) -> object:
        if set(item) == {"$array"}:
            dtype, offset, count = item["$array"]
            return np.frombuffer(packet, dtype, count, start + offset).copy()
        if set(item) == {"$number"}:
            return float(item["$number"])
        return item

    return json.loads(packet[4 : 4 + length], object_hook=decode)


def _plain(item: np.ndarray[Any, Any] | bytes) -> np.ndarray[Any, Any]:
    """Bring an array to a dtype that has a typed array, in C order and little-endian."""
    array = np.frombuffer(item, np.uint8) if isinstance(item, bytes) else item
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.name not in DTYPES:
        raise TypeError(f"a page has no typed array for dtype {array.dtype}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _number(value: object) -> object:
    """Write a float that JSON has no literal for as the page's `String(value)` does."""
    if isinstance(value, float) and not np.isfinite(value):
        return {"$number": "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    return value


def _finite(value: object) -> object:
    """Replace every non-finite float in a tree of lists and dicts."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return _number(value)


def _pad(data: bytes, before: int = 0) -> bytes:
    """Fill up with zeros so that `before` bytes and these end at a multiple of ALIGNMENT."""
    return data + b"\0" * (-(before + len(data)) % ALIGNMENT)
