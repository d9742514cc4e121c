"""The graph IR: operators, dims, dtypes, programs, the NumPy reference and the text form."""

if __name__ == "ir":
    raise ImportError("import webconv.ir; the bare name 'ir' is not a package of its own")
