"""The one entrance: a question about a word of an answer in, plain JSON data out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from halluapp.decoding import engine
from halluapp.decoding.events import Decoded, Failed
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.errors import InputError, quotation
from halluapp.inspection.answer import Word, token_ends, word_at, words_of
from halluapp.inspection.attention import KINDS, answer_attention, heat
from halluapp.inspection.evidence import evidence, reliance
from halluapp.inspection.hallu_space import direction_words, energy
from halluapp.inspection.occlusion import counterfactual, occlusion
from halluapp.inspection.photo_features import views_of
from halluapp.inspection.prior import prior_probe
from halluapp.inspection.visual_words import visual_words
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.families.grids import WHOLE, Box
from halluapp.methods.base import Method
from halluapp.request import make_request

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Question:
    """What is asked about one answer of a comparison; it can be pickled.

    view: one of `VIEWS`. methods: of the comparison, `method` is the name of the one whose answer `ids` is. word: its
    number in the answer, from 1. box: what the counterfactual covers, in 0..1 of the photo.
    """

    view: str
    photo: Image.Image
    prompt: str
    methods: tuple[Method, ...]
    method: str
    ids: tuple[int, ...]
    word: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    box: Box = WHOLE

    @property
    def own_method(self) -> Method:
        """The method whose answer it is."""
        return next(method for method in self.methods if method.name == self.method)

    def about(self, view: str) -> Question:
        """The same question in another view."""
        return replace(self, view=view)


def ask(
    lvlm: LVLM, photo: Any, prompt: str, methods: Sequence[Method], method: str, word: str | int = 1, box: Box = WHOLE,
    **sampling: Any,
) -> Question:  # fmt: skip
    """Decodes the answer of a method and asks about a word of it, by its number or itself -> an evidence question.

    photo, sampling: as in `request.make_request`. Raises InputError.
    """
    request = make_request(photo, prompt, list(methods), **sampling)
    answerer = next(one for one in request.methods if one.name == method)
    job, ids = engine.Job(Views(lvlm, request.photo, request.sampling.seed), request.prompt, [answerer]), []
    for event in engine.decode(lvlm, job, request.sampling):
        if isinstance(event, Decoded):
            ids.append(event.token.id)
        elif isinstance(event, Failed):
            raise InputError(event.error)
    number = _number(lvlm, ids, str(word).strip())
    return Question(
        "evidence", request.photo, request.prompt, request.methods, method, tuple(ids), number, request.sampling, box
    )


def _number(lvlm: LVLM, ids: Sequence[int], word: str) -> int:
    """The number of a word that is named by its number, or of the first that reads so. Raises InputError."""
    if word.isdecimal():
        return int(word)
    matches = [index for index, one in enumerate(words_of(lvlm, ids), 1) if one.text.lower() == word.lower()]
    if not matches:
        raise InputError(f"The answer does not hold the word {quotation(word)}; it is: {lvlm.decode(list(ids))}")
    return matches[0]


def inspect(lvlm: LVLM, question: Question, stop: Callable[[], bool] = bool) -> dict[str, Any]:
    """The answer to a question: {"view", "word": {"number", "text"}, ..} and what the view's function returns.

    stop: says that nobody waits for the answer any more; views that take many passes ask it between them.
    Raises InputError (MissingWeights among them) with one sentence.
    """
    if question.view not in VIEWS:
        raise InputError(f"There is no view {quotation(question.view)}; known are {', '.join(VIEWS)}.")
    if not question.ids:
        raise InputError("The answer is empty, so there is nothing to look at.")
    size = lvlm.decoder.get_input_embeddings().weight.shape[0]
    if not all(0 <= index < size and index != lvlm.image_token for index in question.ids):  # of a file somebody opened
        raise InputError("The tokens of this answer are not this model's; run the comparison again.")
    word = word_at(lvlm, question.ids, question.word)
    views = views_of(lvlm, question.photo, question.sampling.seed)
    look = VIEWS[question.view]
    return {
        "view": question.view,
        "method": question.method,
        "word": {"number": question.word, "text": word.text, "first": word.first, "last": word.last},
        **(look(lvlm, question, word, stop) if question.view in LONG else look(lvlm, question, views, word)),
    }


def _evidence(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    return evidence(
        lvlm, views, question.prompt, question.methods, question.ids, word.first, word.last,
        question.sampling.repetition_penalty,
    )  # fmt: skip


def _reliance(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    values = reliance(lvlm, views, question.prompt, question.ids, question.own_method)
    return {"text": lvlm.decode(list(question.ids)), "ends": token_ends(lvlm, question.ids), "reliance": values}


def _attention(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    attention = answer_attention(lvlm, views, question.prompt, question.own_method, question.ids)
    return {
        **heat(lvlm, views, question.prompt, attention, question.photo.size, word.first, word.last),
        "kinds": list(KINDS),
        "layers": attention.shares_by_layer(word.first, word.last),
        "tokens": attention.shares(),
        "pieces": [lvlm.piece(index) for index in question.ids],
    }


def _occlusion(lvlm: LVLM, question: Question, word: Word, stop: Callable[[], bool]) -> dict[str, Any]:
    return occlusion(
        lvlm, question.photo, question.prompt, question.own_method, question.ids, word.first, word.last,
        question.sampling.seed, stop,
    )  # fmt: skip


def _counterfactual(lvlm: LVLM, question: Question, word: Word, stop: Callable[[], bool]) -> dict[str, Any]:
    text = lvlm.decode(list(question.ids))
    method, sampling = question.own_method, question.sampling
    return counterfactual(lvlm, question.photo, question.prompt, method, sampling, text, question.box, stop)


def _prior(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    return {"probe": prior_probe(lvlm, question.photo, question.prompt, question.sampling.seed, views)}


def _space(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    measured = energy(lvlm, views, question.prompt, question.own_method, question.ids)
    words = {str(layer): direction_words(lvlm, layer) for layer in measured["layers"]}
    return {**measured, "directions": words, "pieces": [lvlm.piece(index) for index in question.ids]}


def _visual(lvlm: LVLM, question: Question, views: Views, word: Word) -> dict[str, Any]:
    return {"tokens": visual_words(lvlm, views, question.prompt, question.photo.size)}


LONG = ("occlusion", "counterfactual")  # views of many passes, over pictures of their own
VIEWS: dict[str, Callable[..., dict[str, Any]]] = {
    "evidence": _evidence,
    "reliance": _reliance,
    "attention": _attention,
    "occlusion": _occlusion,
    "counterfactual": _counterfactual,
    "prior": _prior,
    "space": _space,
    "visual": _visual,
}
