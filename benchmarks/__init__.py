"""Measurements of webconv beside its peers, in one browser session."""


class BenchmarkError(Exception):
    """Something a measurement needs is missing or fails; the message is one line."""
