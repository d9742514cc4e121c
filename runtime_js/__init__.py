"""The runner that bundles ship: plain ES modules, as package data."""
