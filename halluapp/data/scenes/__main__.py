"""python -m halluapp.data.scenes OUT: writes the example scenes and their truth."""

import sys
from pathlib import Path

from halluapp.data.scenes import write

if len(sys.argv) != 2:
    sys.exit("usage: python -m halluapp.data.scenes OUT")
for path in write(Path(sys.argv[1])):
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
