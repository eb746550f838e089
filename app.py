"""Starts the app: `python app.py`, the same as `python -m halluapp serve`. A Hugging Face Space runs this file."""

import sys

from halluapp.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["serve"]))
