"""Who imports whom in the package, read from the source: imports in functions count, those for type checkers do not."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "halluapp"


def module_of(path: Path) -> str:
    """halluapp/decoding/engine.py -> halluapp.decoding.engine; a package is its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def sources() -> dict[str, Path]:
    """All modules of the package by name."""
    return {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    """halluapp.decoding.engine -> decoding; `python -m halluapp` is a part of cli."""
    names = module.split(".")[1:] or ["__init__"]
    return "cli" if names[0] == "__main__" else names[0]


@cache
def imports(path: Path) -> frozenset[str]:
    """Names of the modules that a file imports, ours and others'."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in sources() else str(node.module) for name in members}
    return frozenset(names)


@cache
def edges() -> dict[str, frozenset[str]]:
    """Module -> modules of ours that it imports; the facade's own names (the version) are not a way up."""
    return {
        module: frozenset(name for name in imports(path) if name in sources() and name not in ("halluapp", module))
        for module, path in sources().items()
    }


def law() -> dict:
    """docs/import-law.toml."""
    return tomllib.loads((ROOT / "docs" / "import-law.toml").read_text(encoding="utf-8"))
