"""`python -m halluapp.report` writes the published JSON Schemas."""

from halluapp.report.schemas import main

if __name__ == "__main__":
    raise SystemExit(main())
