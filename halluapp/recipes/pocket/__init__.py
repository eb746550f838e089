"""The recipe of the embedded LVLM: `python -m halluapp.recipes.pocket`."""
