"""How assets/presence was made: the embedded detector's head on its own trunk, and its calibration.

`python -m halluapp.recipes.presence --help` lists the stages. Nothing outside this folder imports it.
"""
