"""Entries to WGSL and a plan: what the session binds, and the dispatches of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webconv.backends.compiled import Compiled, Weights
from webconv.backends.dims_js import dims_function
from webconv.backends.kernel import Buffer, Entry, Loop
from webconv.backends.legalise import WEBGPU, element, legalise
from webconv.backends.plan import hinted, plan_slots, total_size
from webconv.backends.webgpu.groups import Group, Planned, Repeat, groups, plan_groups
from webconv.backends.webgpu.shader import Names, Range, Shader, ShaderBuilder
from webconv.backends.webgpu.threads import Place
from webconv.ir.graph import Program
from webconv.ir.dims import Dim

PREFIXES = {"input": "in", "output": "out", "state": "state", "temp": "tmp"}
WORD = 4
