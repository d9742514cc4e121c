"""WebGPU: kernels as WGSL, as few dispatches as pay, one submit per run."""

from webconv.backends.webgpu.section import compile

__all__ = ["compile"]
