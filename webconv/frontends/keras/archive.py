"""Reads members of a `.keras` archive into memory; nothing is ever extracted to disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from webconv.frontends.keras.errors import shown
from webconv.ir.errors import ModelFormatError

SIGNATURE = b"PK\x03\x04"
# Keras stores its members uncompressed, and deflated JSON or weights shrink by far less than this.
FLOOR_BYTES, EXPANSION = 1 << 24, 100
TOTAL_EXPANSION = 200


def members(path: Path) -> dict[str, bytes]:
    """The configuration, the metadata and the weights of the archive, by name.

    Raises ModelFormatError if it is not a zip file, is damaged, names a path outside of itself, or
    unpacks to far more than it holds.
    """
    wanted = ("config.json", "metadata.json", "model.weights.h5", "model.weights.npz")
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _check(info)
            total = sum(i.file_size for i in archive.infolist())
            if total > FLOOR_BYTES and total > TOTAL_EXPANSION * path.stat().st_size:
                raise ModelFormatError(f"the archive would unpack to {total} bytes: a zip bomb")
            names = set(archive.namelist())
            return {n: archive.read(n) for n in wanted if n in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as e:
        raise ModelFormatError(f"the archive is damaged, {shown(str(e), 160)}") from None
    except (RuntimeError, ValueError, KeyError, UnicodeDecodeError) as e:
        raise ModelFormatError(f"the archive cannot be read, {shown(str(e), 160)}") from None


def _check(info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise ModelFormatError(f"member {shown(info.filename)} lies outside of the archive")
    if info.file_size > FLOOR_BYTES and info.file_size > EXPANSION * info.compress_size:
        sizes = f"{info.compress_size} bytes would unpack to {info.file_size}"
        raise ModelFormatError(f"member {shown(info.filename)} is a zip bomb: {sizes}")
