"""Arrows point one way: what docs/import-law.toml allows, all of it, and nothing else."""

from __future__ import annotations

from graphlib import TopologicalSorter

import import_graph
from import_graph import edges, law, room_of

ALLOWED = {room: set(others) for room, others in law()["may_import"].items()}
FACADES = set(law()["facades"]["names"])


def between_rooms() -> dict[str, set[str]]:
    """Room -> rooms that its modules import."""
    rooms: dict[str, set[str]] = {}
    for module, others in edges().items():
        room = rooms.setdefault(room_of(module), set())
        room |= {room_of(other) for other in others} - {room_of(module)}
    return rooms


def test_every_room_has_a_line_and_every_line_a_room():
    assert set(between_rooms()) - FACADES == set(ALLOWED)


def test_nothing_is_imported_that_the_law_does_not_allow():
    for module, others in edges().items():
        room = room_of(module)
        if room not in FACADES:
            broken = {other for other in others if room_of(other) not in ALLOWED[room] | {room}}
            assert not broken, f"{module} must not import {', '.join(sorted(broken))}"


def test_nothing_is_allowed_that_is_not_used():
    used = between_rooms()
    for room, others in ALLOWED.items():
        assert others == used[room], f"{room}: the law names {sorted(others)}, used are {sorted(used[room])}"


def test_rooms_and_modules_have_no_cycle():
    assert list(TopologicalSorter(ALLOWED).static_order())
    assert list(TopologicalSorter(edges()).static_order())


def test_nobody_imports_the_facades_the_recipes_or_the_command_line():
    for module, others in edges().items():
        tops = {other for other in others if room_of(other) in {"numerics", "recipes", "cli"} - {room_of(module)}}
        assert not tops or module == "halluapp.__main__", f"{module} imports {sorted(tops)}"


def test_gradio_is_imported_by_the_page_and_its_server_only():
    for module, path in import_graph.sources().items():
        if room_of(module) not in ("ui", "serving"):
            assert not {name for name in import_graph.imports(path) if name.split(".")[0].startswith("gradio")}, module
