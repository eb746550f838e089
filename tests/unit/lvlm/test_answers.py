"""Answers to learn from are the tokens that the model writes: the checkpoint's own template, the prompt cut off.

The kind of the fault is an answer tokenised alone: LLaMA's tokenizer begins every text with a space of its own, so that
an answer with a space before it began with an empty token, and chat formats without that space were missed.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import tiny
import tiny_families
from transformers import AutoConfig, AutoTokenizer
from transformers.processing_utils import ProcessorMixin

from halluapp.lvlm.families import FAMILIES
from halluapp.lvlm.text import PromptTokenizer
from halluapp.settings import ASSETS
from halluapp.training.batches.packed_forward import answer_ids

CHECKPOINTS = Path(__file__).resolve().parents[4] / "shared/checkpoints"  # published small files; beside the project
NAMES = (
    "HuggingFaceTB--SmolVLM-256M-Instruct", "Qwen--Qwen2.5-VL-3B-Instruct", "Qwen--Qwen3-VL-8B-Instruct",
    "ibm-granite--granite-docling-258M", "llava-hf--llava-1.5-7b-hf", "llava-hf--llava-v1.6-mistral-7b-hf",
)  # fmt: skip
QUESTION = "What is in the image?"
ANSWERS = (
    "A dog.", "Yes", "no", "a red car beside two people", "3 dogs", '"Stop", it says.', "(nothing)", "图中有一只狗。",
    "Two lines.\n\nAnd a third.", "été", "A", "- a cup\n- a plate", "\U0001f415 a dog",
)  # fmt: skip


def _whole(tokenizer, answer: str) -> list[int]:
    """Ids of question and answer by transformers and the checkpoint's template alone, up to the end of the answer."""
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False).rstrip()
    started = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = tokenizer(text, add_special_tokens=not started)["input_ids"]
    return ids if text.endswith(tokenizer.eos_token) else [*ids, tokenizer.eos_token_id]


@pytest.mark.parametrize("name", NAMES)
def test_prompt_and_answer_are_the_checkpoints_own_template(name) -> None:
    folder = CHECKPOINTS / name
    if not folder.is_dir():
        pytest.skip(f"the small files of {name} are not beside the project")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = ProcessorMixin.get_processor_dict(folder)[0]["chat_template"]
    words = PromptTokenizer(tokenizer)
    words.template = FAMILIES[AutoConfig.from_pretrained(folder).model_type].lvlm_class().template
    prompt = words.chat_ids(words.chat(QUESTION))
    for answer in ANSWERS:
        assert prompt + words.answer_ids(answer) == _whole(tokenizer, answer), answer


@pytest.mark.parametrize("kind", [*tiny.KINDS, "qwen2_5_vl", "qwen3_vl", "smolvlm", "idefics3"])
def test_every_familys_answers_follow_its_prompt(kind) -> None:
    model = tiny.lvlm(kind) if kind in tiny.KINDS else tiny_families.lvlm(kind)
    prompt, lead = model.prompt_ids(QUESTION, "photo"), model.answer_frame.lead
    for answer in ANSWERS:
        ids = answer_ids(model, answer)
        assert [*prompt, *ids] == [*model.chat_ids(model.chat(QUESTION) + lead + answer), ids[-1]], answer
        assert ids[-1] in model.end_tokens
        assert model.decode(ids) == answer


@pytest.mark.parametrize("kind", ["llava_next", "instructblip"])
def test_a_template_without_an_assistants_turn_adds_one_space(kind) -> None:
    model = tiny_families.lvlm(kind)
    assert model.answer_frame.lead == " "
    assert model.answer_ids("A dog.")[-1] == model.tokenizer.eos_token_id
    assert model.tokenizer.decode(model.answer_ids("A dog.")[:-1]) == " A dog."


def test_spaces_around_an_answer_are_not_learned() -> None:
    model = tiny.lvlm()
    assert model.answer_ids("  A dog.\n") == model.answer_ids("A dog.")


def test_the_end_token_is_the_templates_own() -> None:
    """Some checkpoints end a turn with another token than the tokenizer's end of text."""
    words = PromptTokenizer(copy.deepcopy(tiny_families.tokenizer("qwen2_5_vl")))
    words.tokenizer.eos_token = "<|endoftext|>"
    words.tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
        "{{ part['text'] }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    assert words.answer_ids("A dog.")[-1] == words.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_the_embedded_models_answers_are_what_its_adapters_were_trained_on() -> None:
    """Its tokenizer puts no space of its own before a text: ids are those of the form in which they were tokenised."""
    words = PromptTokenizer(AutoTokenizer.from_pretrained(ASSETS / "pocket"))
    for answer in ANSWERS:
        earlier = words.tokenizer(" " + answer, add_special_tokens=False)["input_ids"]
        assert words.answer_ids(answer) == [*earlier, words.tokenizer.eos_token_id]
