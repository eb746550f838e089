"""Names of the package are nouns of the field, never participles or riddles: the worst ones are kept out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "halluapp"
WORST = frozenset(
    "made found said told kept own place seen known given asked wanted shown looked taken meant sight shelf".split()
)


def definitions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of every function, class, argument, import alias, variable and attribute that the code defines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.alias():
                yield node.asname or node.name, node.lineno
            case ast.MatchAs(name=str()) | ast.MatchStar(name=str()) | ast.ExceptHandler(name=str()):
                yield node.name, node.lineno


def worst_names(source: str) -> list[tuple[str, int]]:
    return [(name, line) for name, line in definitions(ast.parse(source)) if name.strip("_") in WORST]


def test_no_name_of_the_package_is_a_participle():
    lines = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        lines += [f"{name}:{line} {word}" for word, line in worst_names(path.read_text(encoding="utf-8"))]
    assert not lines, "name what the thing is:\n" + "\n".join(lines)


def test_every_kind_of_definition_is_seen():
    sources = [
        "made = 1", "def found(): ...", "class told: ...", "def f(said): ...", "self.kept = 1", "own: int = 2",
        "for place in x: ...", "import x as shelf", "[1 for _seen in x]", "match x:\n case known: ...",
        "with x as given: ...", "(asked := 1)", "def f(*wanted): ...", "try: ...\nexcept E as shown: ...",
    ]  # fmt: skip
    for source in sources:
        assert len(worst_names(source)) == 1, source
    assert not worst_names("adapter = x.made(found) + y[told]\n")  # uses of names that others define
