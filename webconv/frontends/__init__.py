"""Readers of model files; each gives a Program."""
