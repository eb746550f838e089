"""Names beyond the detector's own labels, from the ImageNet classifier that its trunk brings: lion, guitar, castle.

A classifier that knows one thing a photo is right about photos of one thing, and cannot show that a thing is absent:
these names are only ever confirmed, and only where the detector grounds none of its own labels. One more thing follows
from a sure animal: a photo of a lion hardly shows a dog.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Name -> the classes of ILSVRC 2012 that show it (Russakovsky et al. 2015), by their place in the usual order.
_ANIMALS = """
fish 0-1 389-397; shark 2-4; frog 30-32; turtle 33-37; lizard 38-48; crocodile 49; alligator 50; snake 52-68;
scorpion 71; spider 72-77; koala 105; jellyfish 107; snail 113; crab 118-121; lobster 122-123; whale 147-148;
sea lion 150; wolf 269-272; fox 277-280; cougar 286; lynx 287; leopard 288-289; jaguar 290; lion 291; tiger 292;
cheetah 293; meerkat 299; beetle 300-307; bee 309; grasshopper 311; dragonfly 319; butterfly 321-326; starfish 327;
rabbit 330-332; hamster 333; porcupine 334; squirrel 335; beaver 337; guinea pig 338; pig 341; hippopotamus 344;
antelope 351-353; camel 354; llama 355; otter 360; skunk 361; badger 362; armadillo 363; sloth 364; monkey 365-382;
gorilla 366; chimpanzee 367; orangutan 365; lemur 383; panda 388
"""
_THINGS = """
accordion 401; guitar 402 546; banjo 420; cello 486; cornet 513; drum 541; flute 558; piano 579 881; harmonica 593;
harp 594; saxophone 776; trombone 875; violin 889; castle 483; lighthouse 437; fountain 562; tent 672; bridge 821 839
888; tractor 866; snowmobile 802; camera 732 759; microphone 650; helmet 518 560; hat 515 808; sunglasses 836-837;
swimsuit 445 638-639; shoe 502 514 630 770 774; mountain 970 980; beach 977-978; volcano 980; flower 985; mushroom 947;
strawberry 949; lemon 951; pineapple 953; ice cream 928
"""
# The detector's own labels that are animals, with their classes.
_OWN = """
bird 7-24 80-100 127-146; dog 151-268; cat 281-285; bear 294-297; horse 339; zebra 340; cow 345-347; sheep 348-349;
elephant 101 385-386; giraffe
"""
CLASSES = 1000


def _classes(table: str) -> dict[str, tuple[int, ...]]:
    parsed = {}
    for entry in " ".join(table.split()).split(";"):
        words = [word for word in entry.split() if not word[0].isdigit()]
        spans = [span.split("-") for span in entry.split() if span[0].isdigit()]
        parsed[" ".join(words)] = tuple(n for span in spans for n in range(int(span[0]), int(span[-1]) + 1))
    return parsed


@cache
def animals() -> dict[str, tuple[int, ...]]:
    """Animals that are none of the detector's labels, with their classes."""
    return _classes(_ANIMALS)


@cache
def own_animals() -> dict[str, tuple[int, ...]]:
    """The detector's labels that are animals, with their classes."""
    return _classes(_OWN)


@cache
def names() -> dict[str, tuple[int, ...]]:
    """All names that are none of the detector's labels, with their classes."""
    return animals() | _classes(_THINGS)


@dataclass(frozen=True)
class Sureness:
    """From a name's share of the classifier's probability to P(name in photo), as calibrated on photos of one thing.

    p = sigmoid(slope * log-odds of the share + offset); a name is confirmed from p = least. exclusion: how much a sure
    foreign animal lowers the odds of the detector's own animals.
    """

    slope: float
    offset: float
    least: float
    exclusion: float

    def probability(self, share: float) -> float:
        """P(name in photo) of its share of the classifier's probability, 0 to 1."""
        share = min(max(share, 1e-6), 1 - 1e-6)
        return 1 / (1 + math.exp(-self.slope * math.log(share / (1 - share)) - self.offset))

    def confirmed(self, posterior: Tensor, presence: Mapping[str, float], cut: float) -> dict[str, float]:
        """The names that a posterior [1000] confirms, with their p; none where one of the detector's labels has a
        `presence` of `cut` or more, for then the photo shows more than one thing."""
        if max(presence.values(), default=0.0) >= cut:
            return {}
        probabilities = {name: self.probability(share) for name, share in shares(posterior).items()}
        return {name: p for name, p in probabilities.items() if p >= self.least}

    def without(self, p: Mapping[str, float], confirmed: Mapping[str, float]) -> dict[str, float]:
        """The detector's own probabilities, those of its animals lowered where a foreign animal is confirmed."""
        factor = self.exclusion if set(confirmed) & set(animals()) else 1.0
        return {label: _scaled(value, factor) if label in own_animals() else value for label, value in p.items()}


def _scaled(p: float, factor: float) -> float:
    """A probability whose odds are multiplied."""
    return p * factor / (p * factor + 1 - p)


def activation_box(wide: Tensor, weight: Tensor, name: str) -> list[float]:
    """The box around a name's class activation map (Zhou et al. 2016), where it has half of its best value.

    wide [1280, g, g]: the classifier's last maps; weight [1000, 1280]: of its last layer.
    """
    grid = wide.shape[-1]
    activation = (weight[list(names()[name])].mean(0)[:, None, None] * wide).sum(0)
    rows, columns = (activation >= 0.5 * activation.max()).nonzero(as_tuple=True)
    if not len(rows):
        return [0.0, 0.0, 1.0, 1.0]
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return [round(int(edge) / grid, 4) for edge in edges]


def shares(posterior: Tensor) -> dict[str, float]:
    """A posterior over the 1,000 classes -> each name's share."""
    values = posterior.tolist()
    return {name: sum(values[index] for index in classes) for name, classes in names().items()}
