"""How the errors of this frontend read: `<class> <layer>: <rule>, <values>`."""

from __future__ import annotations

from webconv.ir.errors import UnsupportedError


def shown(value: object, limit: int = 60) -> str:
    """`value` as text for a message, in one line and cut at `limit` characters."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def label(class_name: str, name: str) -> str:
    """What an error calls a layer: its class, and its name on one line."""
    return f"{class_name} {name if name.isprintable() else shown(name)}".strip()


class Problems:
    """What a model uses and we do not have, gathered so that one error tells all of it."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def add(self, message: str) -> None:
        """Remember `message`, once."""
        self.found[message] = None

    def raise_all(self) -> None:
        """Raise UnsupportedError with everything found; return if that is nothing."""
        if not self.found:
            return
        lines = list(self.found)
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} things are not supported:")
        raise UnsupportedError("\n  ".join(lines))
