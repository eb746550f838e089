"""The formulas of the methods and of their evaluation under stable names, for people who want the mathematics alone.

    from halluapp.numerics import contrast

No model, page or command is imported; tensors go in, tensors come out. Each function's docstring gives shapes, errors
and the equation. Where the published code of a method's authors differs from their paper, the default is the paper's
formula, and `authors=True`, `mode=`, `variant=`, `formula=` or `gate=` gives what their code computes; tests/golden
holds inputs and outputs of that code for both.

| method | functions |
|---|---|
| VDD, VCD, ICD, M3ID, PAI | `contrast`, `plausible` |
| calibration | `calibrate`, `combine_priors`, `label_scores`, `normalise`, `calibrate_next_token` |
| | `calibration_error` |
| Nullu | `hallu_space`, `spectrum`, `project_out` |
| AdaVIB | `pool`, `pool_std`, `gaussian_kl`, `similarity_entropy`, `adaptive_weight`, `photo_weights`, `adavib_loss` |
| CHiP | `sequence_logps`, `sequential_kl`, `segment_logps`, `changed_tokens`, `token_weights`, `diffuse`, `chip_loss` |
| HACL | `contrastive_loss`, `FeatureQueue` |
| CHAIR | `object_mentions`, `chair` |
| POPE | `parse_answer`, `read_answer`, `pope_scores` |

`authors=True` of `changed_tokens` leaves out insertions, of `pool` and `pool_std` divides without a guard and pools
deviations like means, of `calibrate` divides as the script does (NaN included), of `combine_priors` adds masses as they
are, of `label_scores` counts the ten most probable tokens only; `chip_loss(..., mode="joint")` is one sigmoid over the
sum of all margins; `read_answer` and `pope_scores` take `variant="vcd"`, which searches for the label in the text.
"""

from __future__ import annotations

from halluapp.evaluation.bootstrap import calibration_error
from halluapp.evaluation.chair import ChairScore, chair, object_mentions
from halluapp.evaluation.pope import PopeScore, parse_answer, pope_scores, read_answer
from halluapp.lvlm.diffusion import diffuse
from halluapp.methods.formulas.contrast import contrast, plausible
from halluapp.methods.formulas.hallu_space import hallu_space, project_out, spectrum
from halluapp.methods.formulas.label_calibration import (
    calibrate,
    calibrate_next_token,
    combine_priors,
    label_scores,
    normalise,
)
from halluapp.training.batches.changed_tokens import changed_tokens, token_weights
from halluapp.training.methods.adavib_loss import (
    adaptive_weight,
    adavib_loss,
    gaussian_kl,
    photo_weights,
    pool,
    pool_std,
    similarity_entropy,
)
from halluapp.training.methods.chip_loss import Answers, chip_loss, segment_logps, sequence_logps, sequential_kl
from halluapp.training.methods.hacl_loss import FeatureQueue, contrastive_loss

__all__ = [
    "Answers", "ChairScore", "FeatureQueue", "PopeScore", "adaptive_weight", "adavib_loss", "calibrate",
    "calibrate_next_token", "calibration_error", "chair", "changed_tokens", "chip_loss", "combine_priors", "contrast",
    "contrastive_loss", "diffuse", "gaussian_kl", "hallu_space", "label_scores", "normalise", "object_mentions",
    "parse_answer", "photo_weights", "plausible", "pool", "pool_std", "pope_scores", "project_out", "read_answer",
    "segment_logps", "sequence_logps", "sequential_kl", "similarity_entropy", "spectrum", "token_weights",
]  # fmt: skip
