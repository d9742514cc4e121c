"""Lines of the user's code, for messages."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

import chainer
import numpy as np

# Files whose lines are not the user's.
OURS = (str(Path(chainer.__file__).parent), str(Path(__file__).parent))
LIBRARIES = ("<frozen", *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
NUMPY = str(Path(np.__file__).parent)


def is_users(file: str) -> bool:
    """True for a file that is neither Chainer's nor NumPy's nor ours."""
    return not file.startswith((*OURS, NUMPY))


def user_line() -> str:
    """`net.py:12: h = F.relu(x)`, the line that runs and is nobody's but the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename):
        # What is behind the recording calls webconv, and is no part of the chain.
        frame = None if frame.f_code.co_qualname == "record" else frame.f_back
    return _shown(frame.f_code.co_filename, frame.f_lineno) if frame else "a link of Chainer"


def failed_line(error: BaseException) -> str | None:
    """The last line of the user's on the way to an error; None if it was made before any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*OURS, *LIBRARIES))]
    return _shown(own[-1].filename, own[-1].lineno or 0) if own else None


def _shown(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{Path(file).name}:{line}" + (f": {text}" if text else "")


def reason(error: BaseException) -> str:
    """What an error of the user's code says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
