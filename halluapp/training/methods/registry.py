"""The catalogue of training methods, a line each: form, command, run folder, card and panel follow from the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halluapp.training.objective import Objective
    from halluapp.training.recipes import Recipe

# kind -> "module:Class" of its recipe. Names, because the list is read where neither torch nor a model is needed.
METHODS: dict[str, str] = {
    "chip": "halluapp.training.methods.chip_recipe:ChipRecipe",
    "dpo": "halluapp.training.methods.dpo_recipe:DpoRecipe",
    "hacl": "halluapp.training.methods.hacl_recipe:HaclRecipe",
    "adavib": "halluapp.training.methods.adavib_recipe:AdavibRecipe",
}


class _Recipes(Mapping[str, "type[Recipe]"]):
    """kind -> recipe class, imported on access; always as METHODS is now."""

    def __getitem__(self, kind: str) -> type[Recipe]:
        return _import(METHODS[kind])

    def __iter__(self) -> Iterator[str]:
        return iter(METHODS)

    def __len__(self) -> int:
        return len(METHODS)


class _Presets(Mapping[str, "dict[str, dict[str, Any]]"]):
    """kind -> title -> settings that differ from the defaults."""

    def __getitem__(self, kind: str) -> dict[str, dict[str, Any]]:
        return RECIPES[kind].presets

    def __iter__(self) -> Iterator[str]:
        return iter(METHODS)

    def __len__(self) -> int:
        return len(METHODS)


RECIPES, PRESETS = _Recipes(), _Presets()


def objective(kind: str) -> type[Objective]:
    """The class that computes the losses of a kind of run. Imports torch."""
    return _import(RECIPES[kind].objective)


def _import(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
