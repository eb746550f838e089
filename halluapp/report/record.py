"""What all published outputs share: how strictly their values are read, and boxes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1


class Record(BaseModel):
    """A JSON object with known keys.

    Strict: "3" is no number and 1.0 no whole number, numbers are finite. Further keys are allowed and kept, so that a
    file of a newer version can be read, and written again without loss.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="allow",
        allow_inf_nan=False,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


# A JSON array is a list in Python, which a strict tuple would refuse; the members stay strict.
Box = Annotated[tuple[float, float, float, float], Field(strict=False)]
Interval = Annotated[tuple[float | None, float | None], Field(strict=False)]
