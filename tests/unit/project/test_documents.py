"""Documents: links, names of modules and files, blocks that come out of the code, the length of the README."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import documents
import pytest
from import_graph import law, sources

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
MOST_WORDS = 1000
WRITTEN = {"runs/", ".venv/"}  # folders that commands make


@cache
def pages() -> tuple[Path, ...]:
    """All Markdown of the repository."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return tuple(ROOT / name for name in listing.stdout.decode().splitlines() if (ROOT / name).is_file())


def text_of(page: Path) -> str:
    return re.sub(r"\A---\n.*?\n---\n", "", page.read_text("utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    text = re.sub(r"<!--.*?-->|\]\([^)]*\)", "", text_of(README))
    words = sum(any(letter.isalnum() for letter in word) for word in text.split())
    assert words <= MOST_WORDS, f"README.md has {words} words"


def test_the_number_of_model_types_is_that_of_the_registry():
    from halluapp.lvlm.families import FAMILIES

    assert f"Model types: {len(FAMILIES)}, " in README.read_text("utf-8")
    assert f"any of the {len(FAMILIES)} model\ntypes" in (ROOT / "docs/guide.md").read_text("utf-8")


def test_every_link_inside_the_repository_leads_somewhere():
    broken = []
    for page in pages():
        for target in LINK.findall(FENCE.sub("", text_of(page))):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            goal = (page.parent / path).resolve() if path else page
            if not goal.exists():
                broken += [f"{page.relative_to(ROOT)}: {target}"]
            elif anchor and anchor not in anchors(goal):
                broken += [f"{page.relative_to(ROOT)}: no heading for {target}"]
    assert not broken, "\n".join(broken)


def test_every_method_has_a_link_to_its_paper():
    from halluapp.methods.registry import METHODS

    rows = {row.split("|")[1].strip(): row for row in text_of(README).splitlines() if row.startswith("| ")}
    for method in METHODS.values():
        assert method.title in rows, f"README.md has no row for {method.title}"
        if method.name != "baseline":
            assert re.search(r"\(https://arxiv\.org/abs/\d{4}\.\d{5}\)", rows[method.title]), method.title


@pytest.mark.parametrize("name", documents.BLOCKS)
def test_blocks_that_come_out_of_the_code_are_current(name):
    path, text = documents.BLOCKS[name]
    assert documents.block(path, name) == text(), "run: python tests/helpers/documents.py"


def test_the_model_card_holds_the_same_figures():
    card = documents.block(ROOT / "assets/pocket/README.md", "measured")
    assert card == documents.block(ROOT / "docs/results.md", "measured")


def test_modules_and_files_that_documents_name_exist():
    """`halluapp.x.y` may end in a name that the module defines; a path may lack its first folders."""
    missing = []
    for page in pages():
        if page.parent in (ROOT, ROOT / "docs", ROOT / "tests") and not page.name.startswith("add-a-"):  # these are run
            for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page))):
                missing += [f"{page.relative_to(ROOT)}: {code}"] if names_nothing(code) else []
    assert not missing, "\n".join(missing)


@cache
def paths() -> str:
    """All files of the repository, a line each with a slash before it."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    return "".join(f"/{name}\n" for name in listing.stdout.splitlines())


def names_nothing(code: str) -> bool:
    if re.fullmatch(r"halluapp(\.\w+)+", code):
        module, _, name = code.rpartition(".")
        return code not in sources() and not (module in sources() and name in sources()[module].read_text("utf-8"))
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|toml|js|yaml|cff))", code) and code not in WRITTEN:
        return f"/{code}" not in paths() if code.endswith("/") else f"/{code}\n" not in paths()
    return False


def test_the_floors_show_every_room_and_no_arrow_points_up():
    picture = FENCE.search((ROOT / "docs/architecture.md").read_text("utf-8"))
    assert picture
    lines = [line.partition("|")[0].split() for line in picture[0].splitlines()]
    floor = {room: number for number, rooms in enumerate(lines) for room in rooms if room.isalpha()}
    for room, others in law()["may_import"].items():
        assert room in floor
        assert not [other for other in others if floor[other] < floor[room]], room
