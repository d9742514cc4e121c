"""Keras as the oracle: on NumPy, where tiny models take no time to compile."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "numpy"
