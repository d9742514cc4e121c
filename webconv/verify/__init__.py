"""Parity checks in a real browser."""
