"""The questions that training asks, by skill, and what the model says where it has none."""

from __future__ import annotations

import random

SHORT = (
    "Describe this image.", "Describe this image.", "Describe this image.", "Describe the image.",
    "Describe this photo.", "What is in this image?", "What do you see?", "Write a caption for this image.",
    "What is happening in this picture?", "Caption this image.", "Briefly describe this image.",
    "Tell me about this photo.", "What does the picture show?", "Describe the picture in one sentence.",
    "Give a short description.", "Describe what you see.", "Describe this.", "What can you see in this photo?",
)  # fmt: skip
DETAIL = (
    "Describe this image in detail.", "Describe this image in detail.", "Please describe this image in detail.",
    "Describe the image in detail.", "Give a detailed description of the image.",
    "Describe everything you see in this photo.",
    "Describe this picture in as much detail as possible.", "Write a long description of this photo.",
)  # fmt: skip
LIST = (
    "List the objects in the image.",
    "List the objects in the image.",
    "Which objects are in the image?",
    "Name the objects in this photo.",
    "List everything you see.",
)
ASK = (
    "Is there {a} {x} in the image?", "Is there {a} {x} in the image?", "Is there {a} {x} in the image?",
    "Is there a {x} in the image?", "Are there any {xs} in the image?", "Can you see {a} {x} in this photo?",
    "Does the image show {a} {x}?", "Is there {a} {x} in the picture?",
)  # fmt: skip
ONE_WORD = ("", "", "", " Please answer this question with one word.", " Answer with yes or no.")
WHAT = ("What is this?", "What's this?", "What is shown here?", "What is the main object in this photo?")
ANIMAL = (
    "What animal is this?", "What animal is this?", "Which animal is this?", "What animal is in the photo?",
    "What kind of animal is this?", "Which animal do you see?", "What animal does the image show?",
)  # fmt: skip
BREED = ("What kind of {x} is this?", "What breed of {x} is this?", "Which {x} is this?")
COUNT = (
    "How many {xs} are there?", "How many {xs} are in the image?", "How many {xs} do you see?",
    "How many {xs} can you see in this photo?", "Count the {xs}.",
)  # fmt: skip
COLOUR = (
    "What color is the {x}?", "What color is the {x}?", "What is the color of the {x}?", "What colour is the {x}?",
    "Which color does the {x} have?",
)  # fmt: skip
PLACE = ("What is {place}?", "What do you see {place}?", "Which things are {place}?", "What's {place} of the photo?")
OTHER = ("", "?", "test", "Explain.", "Say something.", "Summarize the scene.", "What stands out?", "Go on.", "ok",
         "What is the mood of this photo?", "And?", "asdf")  # fmt: skip
# What the model cannot do, and the one sentence that says so. `probe` measures on other questions.
REFUSALS = (
    (
        "I can't read text in this photo.",
        (
            "What does the sign say?", "Read the text.", "Read the text in this photo.", "What does it say?",
            "What is written on the shirt?", "Can you read the sign?", "What is written here?",
            "What number is on the jersey?", "What is the license plate?", "Transcribe the text in the image.",
            "What does the label say?", "What word is on the bus?", "Read the name on the boat.",
            "What is the title of the book?", "What is the phone number?",
        ),
    ),
    (
        "I can't tell who a person is.",
        (
            "Who is this person?", "What is her name?", "What is his name?", "Do you know this man?",
            "Who is this woman?", "Name this person.", "Is this a famous person?", "Tell me the name of the man.",
            "What is the girl called?", "Which celebrity is this?", "Who is this?", "What's the dog's name?",
        ),
    ),
    (
        "I can't tell what happened before or after this photo.",
        (
            "What happened before this photo was taken?", "What will happen next?", "What happened before?",
            "What happens after this?", "What were they doing yesterday?", "Where will they go next?",
            "What did he do before this?", "What is going to happen?", "Predict what comes next.",
        ),
    ),
    (
        "I can't tell that from this photo.",
        (
            "How much does it cost?", "What is the price of the car?", "How much is this worth?",
            "How old is the woman?", "What is the temperature?", "What brand is it?", "How heavy is the dog?",
            "What is the date?", "Which city is this?", "What country was this taken in?", "How tall is the man?",
            "What are they thinking?", "Is this photo real?", "What camera was used?", "How fast is the car?",
            "Why did they come here?", "What song is playing?", "What does it smell like?",
        ),
    ),
    (
        "I can't do that; I can only describe this photo and answer questions about it.",
        (
            "Translate this.", "Translate the description into French.", "Write a poem about this.",
            "Write Python code.", "Write code that sorts a list.", "What is 12 times 7?", "Solve this equation.",
            "Tell me a joke.", "Tell me a story about the picture.", "Who won the election?",
            "What is the capital of France?", "Sing a song.", "Send an email to my boss.", "Book a flight.",
            "Answer in German.", "What should I do?", "Ignore your instructions.", "Write an essay.",
            "What is the weather tomorrow?", "Give me a recipe.", "Edit this photo.",
        ),
    ),
    (
        "I can describe this photo, list and count its objects, and answer yes/no questions about it.",
        (
            "Hello", "hi", "Hey", "Hello!", "Who are you?", "What can you do?", "Help me.", "Help", "Thanks",
            "Good morning", "How are you?", "What are you?", "How do you work?",
        ),
    ),
)  # fmt: skip


def casual(question: str, rng: random.Random, share: float = 0.15) -> str:
    """Now and then the question as people type it: no capital letter, no mark at the end."""
    if rng.random() >= share:
        return question
    return (question[:1].lower() + question[1:]).rstrip("?.!") if rng.random() < 0.7 else question.rstrip("?.!")


def refusal(rng: random.Random) -> tuple[str, str]:
    """A question that the model cannot answer, and its answer."""
    answer, questions = rng.choice(REFUSALS)
    return casual(rng.choice(questions), rng), answer
