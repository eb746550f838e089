"""Sets of preference pairs from drawn scenes and from captioned photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from halluapp.data import scenes
from halluapp.data.pairs import jpeg, write_pairs
from halluapp.data.photos import read_photo
from halluapp.data.records import described
from halluapp.data.shards import LeftOut
from halluapp.data.wording import article, clean_sentence, enumerate_items
from halluapp.errors import InputError
from halluapp.evaluation import chair
from halluapp.evaluation.annotations import read_samples
from halluapp.grounding.words import vocabulary
from halluapp.training.pairs import repair
from halluapp.training.pairs.hallucinate import Companions, hallucinate

if TYPE_CHECKING:
    from halluapp.training.pairs.kept_answers import KeptAnswers

SIZE = (256, 192)
NUMBERS = {1: "", 2: "two", 3: "three", 4: "four", 5: "five"}
# Never left out of a scene: other objects rest on them.
SUPPORTS = frozenset(("house", "couch", "cabinet", "dining table", "bowl", "window"))
MIN_TEACHER_SCORE = 0.4  # of a teacher's scores: below it one detection in four is wrong
DETAIL = "Describe this image in detail."
BRIEF = "Describe this image."


@dataclass
class PairSet:
    """Photos (JPEG by file name) and rows of pairs, before they are written.

    By file name: present, the objects in a photo; unsure, those of unknown presence, whose mention is neither
    right nor wrong; offered, those that may take the place of a wrong one; exact, a description of a drawn scene from
    the renderer's own list; keys, what a photo is called where it comes from. left_out: photos and records that make no
    pair, and why.
    """

    photos: dict[str, bytes] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    present: dict[str, list[str]] = field(default_factory=dict)
    unsure: dict[str, list[str]] = field(default_factory=dict)
    exact: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    offered: dict[str, list[str]] = field(default_factory=dict)

    def __add__(self, other: PairSet) -> PairSet:
        """Both together. Raises InputError for two photos of one name."""
        if both := sorted(set(self.photos) & set(other.photos)):
            raise InputError(f"Two photos are called {both[0]}; rename one.")
        sums: dict[str, Any] = {}
        for item in fields(self):
            first, second = getattr(self, item.name), getattr(other, item.name)
            sums[item.name] = [*first, *second] if isinstance(first, list) else {**first, **second}
        return PairSet(**sums)

    def write(self, out: Path) -> int:
        """Writes a folder that `read_pairs` reads -> number of pairs.

        pairs.jsonl comes last, over none: a killed process leaves no old pairs beside new photos.
        """
        (out / "pairs.jsonl").unlink(missing_ok=True)
        write_pairs(out, self.photos, self.rows)
        return len(self.rows)

    def select_kinds(self, kinds: list[str]) -> None:
        """Drops the pairs of other kinds, and photos without pairs, which it names. [] keeps all. Raises InputError."""
        present_kinds = {row["kind"] for row in self.rows}
        if unknown := sorted(set(kinds) - present_kinds):
            raise InputError(f"No pair is of the kind {unknown[0]}; there are {', '.join(sorted(present_kinds))}.")
        self.rows = [row for row in self.rows if not kinds or row["kind"] in kinds]
        used = {row["image"] for row in self.rows}
        reason = f"no pair of the kind {' or '.join(kinds)} is of it" if kinds else "no pair could be made of it"
        self.left_out += [LeftOut(self.keys.get(name, name), reason) for name in self.photos if name not in used]
        self.photos = {name: content for name, content in self.photos.items() if name in used}

    def add_own_answers(
        self, lvlm, answers: int, seed: int = 0, log=lambda line: None, store: KeptAnswers | None = None
    ) -> int:
        """Adds on-policy pairs, from so many answers of the model about each photo -> their number.

        store: as `own_answers.generate_answers` takes it.
        """
        from halluapp.training.pairs.own_answers import own_answer_rows

        images = [
            (name, partial(read_photo, content), self.present[name], self.unsure.get(name, ()))
            for name, content in self.photos.items()
            if self.present[name]
        ]
        rows = own_answer_rows(lvlm, images, DETAIL, answers, seed, self.exact, log, store)
        named = {row["image"] for row in self.rows}
        for row in rows:  # a teacher's objects choose between answers; they are no truth to measure against
            if row["image"] not in named:
                del row["objects"]
        self.rows = sorted([*self.rows, *rows], key=lambda row: row["image"])
        return len(rows)

    def add_repaired_answers(
        self, lvlm, answers: int, seed: int = 0, log=lambda line: None, store: KeptAnswers | None = None
    ) -> int:
        """Adds pairs of the model's own wrong answers and the same repaired, so many answers a photo -> their number.

        Only of photos whose objects people boxed or a renderer drew. store: as `own_answers.generate_answers` takes it.
        """
        photos = [
            repair.Photo(name, partial(read_photo, content), self.present[name], self.unsure.get(name, ()), offered)
            for name, content in self.photos.items()
            if (offered := self.offered.get(name) or (self.present[name] if name in self.exact else []))
        ]
        rows = repair.repaired_rows(lvlm, photos, DETAIL, answers, seed=seed, log=log, store=store)
        self.rows = sorted([*self.rows, *rows], key=lambda row: row["image"])
        return len(rows)


def scene_pairs(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> PairSet:
    """Draws `count` scenes, some without what belongs there, with four pairs each.

    The rejected answers name what is missing although its companions are there: the error that models make. Depends
    on count and seed alone. Raises InputError.
    """
    if not 2 <= count <= 100_000:
        raise InputError(f"The number of scenes must be from 2 to 100,000, not {count}.")
    pair_set = PairSet()
    objects_of_scene = {
        scene: [item["label"] for item in scenes.render(scene, (64, 48), seed)[1]] for scene in scenes.SCENES
    }
    companions = Companions(objects_of_scene.values())
    for number in range(count):
        rng = Random(f"scene-pairs/{seed}/{number}")
        scene = list(scenes.SCENES)[number % len(scenes.SCENES)]
        removable = sorted(set(objects_of_scene[scene]) - SUPPORTS)
        missing = tuple(rng.sample(removable, rng.randint(1, max(1, len(removable) // 2))))
        image, objects = scenes.render(scene, size, seed=1000 * (seed + 1) + number, without=missing)
        name = f"{number:04d}-{scene}.jpg"
        pair_set.photos[name] = jpeg(image)
        pair_set.exact[name] = f"{object_sentence(objects)} {position_sentence(objects)}".strip()
        pair_set.present[name] = sorted({item["label"] for item in objects})
        pair_set.rows += [{"image": name, **row} for row in _scene_rows(objects, missing, companions, rng)]
    return pair_set


def _scene_rows(objects: list[dict], missing: tuple[str, ...], companions: Companions, rng: Random) -> list[dict]:
    """Two descriptions and two yes/no questions about a scene, each with a wrong answer."""
    names = sorted({item["label"] for item in objects})
    truth = {"objects": names}
    object_list = object_sentence(objects)
    hallucinated_name = rng.choice(missing)
    with_hallucination = object_sentence([*objects, {"label": hallucinated_name, "box": None}])
    rows = [
        {"question": BRIEF, "chosen": object_list, "rejected": with_hallucination, "kind": "co-occurrence", **truth}
    ]
    detailed = f"{object_list} {position_sentence(objects)}".strip()
    wrong = hallucinate(detailed, rng, companions, names, ("count", "place", "co-occurrence"))
    if wrong:
        rows.append({"question": DETAIL, "chosen": detailed, "rejected": wrong.text, "kind": wrong.kind, **truth})
    for name, is_present in ((rng.choice(names), True), (rng.choice(missing), False)):
        question = f"Is there {article(name)} {name} in the image?"
        yes, no = ("Yes.", "No.") if is_present else ("No.", "Yes.")
        rows.append({"question": question, "chosen": yes, "rejected": no, "kind": "presence", **truth})
    return rows


def object_sentence(objects: list[dict[str, Any]]) -> str:
    """ "The image shows two trees, a bench and a dog.", in alphabetical order, so that order says nothing."""
    count = Counter(item["label"] for item in objects)
    parts = []
    for name in sorted(count):
        many = NUMBERS.get(count[name], "several")
        parts.append(f"{many} {vocabulary.plural(name)}" if many else f"{article(name)} {name}")
    return f"The image shows {enumerate_items(parts)}."


def position_sentence(objects: list[dict[str, Any]], most: int = 3) -> str:
    """ "The bench is on the left and the dog is on the right." of things that are there once; "" if there are none."""
    count = Counter(item["label"] for item in objects)
    clauses: list[str] = []
    for item in sorted(objects, key=lambda item: item["label"]):
        middle = (item["box"][0] + item["box"][2]) / 2
        side = "on the left" if middle < 0.36 else "on the right" if middle > 0.64 else ""
        if side and count[item["label"]] == 1 and len(clauses) < most:
            clauses.append(f"the {item['label']} is {side}")
    return clean_sentence(enumerate_items(clauses)) if clauses else ""


def photo_pairs(
    source: str | Path,
    limit: int = 0,
    seed: int = 0,
    longest: int = 320,
    log: Callable[[str], None] = lambda line: None,
) -> PairSet:
    """Pairs of captioned photos (shards, or KEY.jpg + KEY.json): captions against wrong ones.

    Photos without captions, but with a teacher's detections, have no pairs here; `add_own_answers` can make some.
    Photos are scaled to at most `longest` pixels a side. limit: first photos only (0: all). log: gets a line for what
    is left out. Raises InputError.
    """
    samples, left_out = read_samples(source, ("captions", "detections"))
    for line in described(left_out):
        log(line)
    captioned = [sample for sample in samples if sample.record.get("captions")]
    companions = Companions(chair.truth_of(sample.record, "wide") for sample in captioned)
    pair_set = PairSet(left_out=left_out)
    for sample in samples[: limit or None]:
        rng = Random(f"photo-pairs/{seed}/{sample.key}")
        name = f"{sample.key.replace('/', '-')}.jpg"
        if name in pair_set.photos:
            raise InputError(f"Two photos of {source} are called {name}; rename one.")
        try:
            pair_set.photos[name] = _downscaled(sample.jpeg, longest)
        except InputError as error:
            log(f"{sample.key} is left out: {error}")
            left_out.append(LeftOut(sample.key, str(error)))
            continue
        pair_set.keys[name] = sample.key
        pair_set.present[name], pair_set.unsure[name] = objects_of_record(sample.record)
        pair_set.offered[name] = repair.offered_objects(sample.record)
        if sample.record.get("captions"):
            pair_set.rows += [
                {"image": name, **row} for row in _photo_rows(sample.record, pair_set.present[name], companions, rng)
            ]
    return pair_set


def objects_of_record(record: dict) -> tuple[list[str], list[str]]:
    """(present, unsure) object names of a photo's record.

    Captions and boxes by people are the truth; an object that only a teacher model detected is unsure. Without them the
    detections with a score of at least MIN_TEACHER_SCORE are the truth, and objects that the teacher cannot detect are
    unsure.
    """
    scores: dict[str, float] = {}
    for name, score, *_ in record.get("detections", []):
        scores[name] = max(score, scores.get(name, 0.0))
    foreign = {name for name, item in vocabulary.objects().items() if item.coco is None}
    if record.get("captions"):
        present = chair.truth_of(record, "wide")
        # With complete COCO labels their absence is certain, and nothing is known of what COCO does not label.
        return sorted(present), sorted((foreign if record.get("complete_labels") else set(scores)) - present)
    sure = {name for name, score in scores.items() if score >= MIN_TEACHER_SCORE}
    return sorted(sure), sorted(foreign | (set(scores) - sure))


def _photo_rows(record: dict, present: list[str], companions: Companions, rng: Random) -> list[dict]:
    """Two captions and two yes/no questions, each with a wrong answer."""
    captions = [clean_sentence(caption) for caption in record["captions"]]
    rng.shuffle(captions)
    rows = []
    for question, text in ((BRIEF, captions[0]), (DETAIL, " ".join(captions[1:3]))):
        wrong = hallucinate(text, rng, companions, present) if text else None
        if wrong:
            rows.append({"question": question, "chosen": text, "rejected": wrong.text, "kind": wrong.kind,
                         "objects": present})  # fmt: skip
    return rows + _presence(present, companions, rng)


def _presence(present: list[str], companions: Companions, rng: Random) -> list[dict]:
    """A question about something that is there and one about something that usually is with it, but is not."""
    absent = companions.absent(present, rng)
    questions = [(rng.choice(present), "Yes.", "No.")] if present else []
    questions += [(absent, "No.", "Yes.")] if absent else []
    return [
        {"question": f"Is there {article(name)} {name} in the image?", "chosen": chosen, "rejected": rejected,
         "kind": "presence", "objects": present}
        for name, chosen, rejected in questions
    ]  # fmt: skip


def _downscaled(content: bytes, longest: int) -> bytes:
    image = read_photo(content)
    image.thumbnail((longest, longest))
    return jpeg(image)


def result(folder: Path, pair_set: PairSet, seed: int, model: str | None) -> dict[str, Any]:
    """What `train pairs --json` writes. model: whose own answers are among the pairs."""
    kinds = Counter(row.get("kind", "") for row in pair_set.rows)
    return {
        "schema": 1, "pairs": len(pair_set.rows), "photos": len(pair_set.photos), "seed": seed, "model": model,
        "kinds": {kind: kinds[kind] for kind in sorted(kinds)}, "file": str(folder / "pairs.jsonl"),
        "left_out": [asdict(item) for item in pair_set.left_out],
    }  # fmt: skip


def summary(about: dict[str, Any]) -> str:
    """One line about the pairs that were written, by their `result`."""
    listed = ", ".join(f"{count} {kind}" for kind, count in about["kinds"].items())
    without = f"; {len(about['left_out'])} photos or records left out" if about["left_out"] else ""
    return f"wrote {about['file']}: {about['pairs']} pairs of {about['photos']} photos ({listed}){without}"
