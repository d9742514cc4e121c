"""WebGL2."""
