"""WebGPU."""
