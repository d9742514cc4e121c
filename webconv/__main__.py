"""`python -m webconv` is the command line."""

from webconv.cli import main

if __name__ == "__main__":
    main()
