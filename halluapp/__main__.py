"""`python -m halluapp`."""

import sys

from halluapp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
