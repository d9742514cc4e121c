"""Kernel IR, lowering, legalisation, printers for three targets, and the bundle writer."""

if __name__ == "backends":
    raise ImportError(
        "import webconv.backends; the bare name 'backends' is not a package of its own"
    )
