"""Words of the table that mean something else where they stand: colours, adjectives, meat, games, brands, quotes."""

from __future__ import annotations

import re

from halluapp.grounding.words.language import (
    ARTICLES,
    BE,
    COLOURS,
    DETERMINERS,
    ING_NOUNS,
    Token,
    is_function,
    word_at,
    word_before,
)

COLOUR_SIGNS = frozenset(
    "in wearing bright dark light is are was were dressed painted dyed colored coloured neon burnt vivid deep pale "
    "turned turns turning glows glowing fluorescent reflective lit mostly all solid".split()
)
TINTS = frozenset("colored coloured color colour hue tinted tint glow".split())
ADJECTIVE_ENDINGS = ("ed", "y", "ful", "ous", "al", "ic", "ive", "less", "en")
FRUIT_PARTS = frozenset(
    "slice slices wedge wedges half halves segment segments peel peels rind section sections".split()
)
# Verbs that captions use of a fruit on its own; other words behind "an orange" are what it colours.
FRUIT_VERBS = frozenset(
    "looks smells tastes seems appears grows drops sits sit lies lays lie rolls rests hangs cut sliced peeled "
    "floats falls stands".split()
)
FRUITS = frozenset(
    "apple apples banana bananas lemon lemons lime limes pear pears grapes peach mango kiwi fruit".split()
)
GAMES = frozenset("basketball football baseball volleyball softball".split())
MEAT = frozenset("chicken lamb duck goose pigeon ostrich bison buffalo".split())
COOKED = frozenset(
    "roasted roast fried grilled baked barbecued barbecue bbq cooked smoked steamed crispy breaded curried spicy "
    "teriyaki sesame peking braised tandoori jerk marinated shredded boneless rotisserie sliced diced chopped "
    "battered sauteed stewed glazed broiled minced ground poached seared deep-fried stir-fried pan-fried "
    "oven-roasted".split()
)
DISHES = frozenset(
    "wing breast leg thigh drumstick nugget tender finger strip soup salad curry chop stew shank skewer kebab "
    "noodle broth pie tikka parmesan dish dinner dumpling egg liver meat rib rack roast fillet cutlet patty taco "
    "wrap rice".split()
)
SERVED = frozenset("plate bowl dish piece slice side portion bucket serving meal rack leg pieces slices".split())
EATING = frozenset(
    "eat eats eating ate cook cooks cooking cooked serve serves serving served fry frying roast roasting grill "
    "grilling".split()
)
TASTY = frozenset(
    "waffles dumplings biscuits stuffing mushrooms peas corn onions peppers cashews rice vegetables potatoes "
    "fries pasta noodles salad sauce beans broccoli bread cheese gravy".split()
)
BRANDS = frozenset(
    "apple orange coach kitty bulls bears cubs hawks eagles buffalo cowboys penguins ducks jets target".split()
)
SAYING = (
    r"(?:says?|saying|said|reads?|reading|spells?|spelling|labell?ed|written|words?|titled|entitled|marked|letters)"
)
QUOTED = re.compile(rf"\b{SAYING}\b[\s,:]*(?:(?:the|words?)\s+){{0,2}}([\"“”'‘])(.*?)[\"”'’](?!\w)", re.IGNORECASE)


def is_colour(tokens: list[Token], index: int) -> bool:
    """Whether "orange" or "rose" colours something: "an orange glow", "black and orange", "painted orange"."""
    before, after = word_before(tokens, index), word_at(tokens, index + 1)
    if before in COLOUR_SIGNS | COLOURS or before.endswith("ly") or after in TINTS:
        return True
    if before in ("and", "or", "with", "on") and index > 1 and tokens[index - 2].word in COLOURS:
        return True
    if not after and before == "and" and word_before(tokens, index - 2) in BE:
        return True  # "is lime and orange"
    if not after and before in ("one", "other") and any(t.word in COLOURS for t in tokens[max(0, index - 5) : index]):
        return True  # "one red and one orange"
    if after in ("and", "or"):
        return word_at(tokens, index + 2) in COLOURS
    if index and tokens[index].gap == "," and tokens[index - 1].word in COLOURS:
        return True
    if not after and word_at(tokens, index + 1, joined=False) in COLOURS and tokens[index + 1].gap == ",":
        return True
    if not after or is_function(after):
        return before.endswith("ed") and before not in ("red", "peeled", "sliced")
    return not _fruit_before(tokens, index, before, after)


def _fruit_before(tokens: list[Token], index: int, before: str, after: str) -> bool:
    """Whether the word `after` a fruit belongs to it: "an orange sits", "orange slices", "an orange cut in half"."""
    if after in FRUIT_PARTS | FRUIT_VERBS | FRUITS:
        return True
    ends = word_at(tokens, index + 2)
    verb = after.endswith("ed") or (after.endswith("ing") and after not in ING_NOUNS)
    return verb and (not ends or is_function(ends)) and before in DETERMINERS


def is_adjective(tokens: list[Token], index: int) -> bool:
    """Whether "remote" describes a place: "a remote village", "a remote, snowy valley", "is remote"."""
    before, after = word_before(tokens, index), word_at(tokens, index + 1)
    if before in BE | {"very", "more", "most", "so", "too", "quite", "rather", "fairly", "seems", "looks"}:
        return True
    if after in ("and", "but") and word_at(tokens, index + 2).endswith(ADJECTIVE_ENDINGS):
        return bool(word_at(tokens, index + 3)) and not is_function(tokens[index + 3].word)
    if not after and index + 2 < len(tokens) and tokens[index + 1].gap == ",":
        noun = word_at(tokens, index + 2)
        return not is_function(tokens[index + 1].word) and bool(noun) and not is_function(noun)
    verb = after in FRUIT_VERBS | {"left", "next"} or after.endswith(("ing", "ed"))
    return bool(after) and not (is_function(after) or after.startswith("control") or verb)


def is_meat(tokens: list[Token], index: int) -> bool:
    """Whether "chicken", "lamb", "duck" ... are eaten here: "roasted chicken", "lamb chops", "a plate of chicken"."""
    before, after = word_before(tokens, index), word_at(tokens, index + 1)
    if before in COOKED or after in DISHES or after.removesuffix("s") in DISHES:
        return True
    if before in EATING | {"some"} or (before == "of" and word_before(tokens, index - 1) in SERVED):
        return True
    if before in ("with", "of") and tokens[index].word in ("chicken", "lamb"):
        return True
    if after in ("and", "with", "or", "on") and word_at(tokens, index + 2) in TASTY:
        return before not in ARTICLES
    return before in ("and", "with") and word_before(tokens, index - 1) in TASTY


def is_game(tokens: list[Token], index: int) -> bool:
    """As in "playing football", "a game of basketball"."""
    before = word_before(tokens, index)
    if before in ("play", "plays", "playing", "played", "game", "watching"):
        return True
    return before == "of" and word_before(tokens, index - 1) in ("game", "games", "match")


def is_brand(tokens: list[Token], index: int) -> bool:
    """As in "an Apple logo", "a Chicago Bears jersey"; only in a text that writes ordinary words small."""
    token = tokens[index]
    if token.word not in BRANDS or not token.capital or not index or tokens[index].gap:
        return False
    others = [t for t in tokens[1:] if t is not token]
    return sum(t.capital for t in others) <= max(1, len(others) // 3)


def is_only_a_name(tokens: list[Token], index: int) -> bool:
    """As in "a dog named Bear", "the word dog"."""
    before = word_before(tokens, index)
    return (before in ("named", "called", "nicknamed") and tokens[index].capital) or before in ("word", "letters")


def quotations(text: str) -> list[tuple[int, int]]:
    """The spans that a text quotes after a word of saying: a sign that says "Dog"."""
    if not any(mark in text for mark in "\"“'‘"):
        return []
    return [match.span(2) for match in QUOTED.finditer(text)]


# "a geothermal plant", "the plant manager": works, no plants.
WORKS = frozenset(
    "power nuclear geothermal solar hydroelectric thermal desalination cement steel chemical industrial treatment "
    "sewage wastewater waste processing recycling packing assembly manufacturing bottling automobile auto oil gas "
    "coal concrete asphalt textile meat".split()
)
# "a car horn", "the bus timetable", "dog food": what belongs to a vehicle or an animal that need not be there.
VEHICLE_PARTS = frozenset(
    "horn whistle timetable schedule ticket fare route terminal depot shelter insurance dealership alarm rental wash "
    "license licence registration manual magazine".split()
)
ANIMAL_GOODS = frozenset("food treat biscuit litter kennel clinic feeder leather meat milk logo cartoon emoji".split())


def is_works(tokens: list[Token], index: int) -> bool:
    """Whether "plant" is a factory: "a geothermal plant", "the plant manager"."""
    return word_before(tokens, index) in WORKS or word_at(tokens, index + 1) in (
        "manager",
        "worker",
        "workers",
        "floor",
    )


def is_owner(tokens: list[Token], index: int, goods: frozenset[str]) -> bool:
    """Whether the next word is one of these goods, so that the noun only says whose: "a car horn"."""
    after = word_at(tokens, index + 1)
    return after in goods or after.removesuffix("s") in goods


COLOURED_THINGS = frozenset(
    "sky sea ocean ice snow forest grass leaf brick stone sand rose apple banana carrot mouse elephant mud lime "
    "lemon navy light fire".split()
)


def is_shade(tokens: list[Token], index: int) -> bool:
    """As in "a sky blue dress", "leopard print", "a sand colored wall": the noun only says how something looks."""
    after = word_at(tokens, index + 1)
    if after in ("colored", "coloured", "shaped", "themed", "print", "printed", "patterned", "pattern", "striped"):
        return True
    if tokens[index].word not in COLOURED_THINGS or after not in COLOURS - {"bright", "dark", "orange", "golden"}:
        return False
    nextword = word_at(tokens, index + 2)
    return bool(nextword) and not is_function(nextword)
