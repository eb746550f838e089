"""Which objects occur together: the source of hard negatives."""

from __future__ import annotations

import random
from collections import Counter

from halluapp.evaluation.annotations import AnnotatedObjects


class Cooccurrence:
    """How often objects occur, and occur together, in the training photos: the source of hard negatives."""

    def __init__(self, photos: list[AnnotatedObjects]):
        self.count = Counter(name for photo in photos for name in photo.present)
        self.pairs: dict[str, Counter] = {}
        for photo in photos:
            for name in photo.present:
                self.pairs.setdefault(name, Counter()).update(photo.present - {name})

    def absent(
        self, photo: AnnotatedObjects, kind: str, rng: random.Random, among: set[str] | None = None
    ) -> str | None:
        """An object that the photo does not show; kind: random, popular or adversarial (POPE's three).

        Where a photo says which names are certain to be absent (`TrainingPhoto.certain`), it is one of them.
        """
        certain = getattr(photo, "certain", None)
        pool = [
            n
            for n in (among or self.count)
            if n not in photo.present
            and self.count[n] >= 20
            and (n not in photo.possible if certain is None else n in certain)
        ]
        if not pool:
            return None
        if kind == "random":
            return rng.choice(pool)
        if kind == "popular":
            return rng.choice(sorted(pool, key=lambda name: -self.count[name])[:12])
        score = Counter()
        for name in photo.present:
            for other, together in self.pairs.get(name, {}).items():
                score[other] += together / self.count[name]
        return rng.choice(sorted(pool, key=lambda name: -score[name])[:12])
