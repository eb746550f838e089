"""`python -m halluapp`."""

from halluapp.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
