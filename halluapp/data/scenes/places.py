"""Six places: each draws its background and its things from back to front, varied by the pen's random generator."""

from __future__ import annotations

from halluapp.data.scenes import indoors, outdoors
from halluapp.data.scenes.pen import Fill, Pen

CARS = (
    ("#f0604d", "#b5281d"),
    ("#3f8fd0", "#1f5c94"),
    ("#f5c24a", "#c98d1c"),
    ("#4fb58c", "#23795a"),
    ("#f2f4f6", "#aab4be"),
)
SHIRTS = (("#f3c13a", "#d99a1b"), ("#e8503a", "#b93524"), ("#5aa0d8", "#2f6fa8"), ("#9b6fc0", "#70459a"))
GREENS = (("#8fcf6f", "#3f8f4a"), ("#a5d46a", "#4f9a3f"), ("#78c488", "#2f8058"))


def _sky(p: Pen, fill: Fill, horizon: float, clouds: int = 3) -> None:
    p.box(0, 0, 400, horizon, fill)
    for index in range(clouds):
        x, y = 40 + 340 * (index + p.rng.random()) / clouds, p.rng.uniform(18, 52)
        scale = p.rng.uniform(0.7, 1.2)
        for dx, dy, r in ((-22, 3, 11), (-6, -4, 15), (12, 0, 13), (26, 5, 9)):
            p.oval(x + dx * scale, y + dy * scale, r * 1.35 * scale, r * 0.72 * scale, "#ffffffb8", blur=1.2)


def _tufts(p: Pen, y0: float, y1: float, colour: str, count: int) -> None:
    for _ in range(count):
        y = p.rng.uniform(y0, y1)
        x, h = p.rng.uniform(0, 400), 3 + 7 * (y - y0) / (y1 - y0)
        for lean in (-0.4, 0, 0.4):
            p.line([(x, y), (x + lean * h, y - h)], colour, 0.9)


def street(p: Pen) -> None:
    """A row of houses, two cars, a tree, a traffic light and a person."""
    _sky(p, ("#7fbfe8", "#e4f2f7"), 196)
    walls = [("#f4d6b0", "#e2b588"), ("#cfdfe6", "#a9c2cd"), ("#f2c3b5", "#dd9a88"), ("#e9e2c8", "#cdc29c")]
    p.rng.shuffle(walls)
    for index, wall in enumerate(walls):
        with p.at(52 + 100 * index, 196, 1.12):
            outdoors.house(
                p, wall, ("#a65440", "#7a3528") if index % 2 else ("#66707c", "#434c57"), 2 + p.rng.randrange(2)
            )
    p.box(0, 194, 400, 210, ("#d9d3c7", "#c3bcae"))
    p.box(0, 208, 400, 212, "#9a948a")
    p.box(0, 211, 400, 272, ("#666c75", "#4c525b"))
    for x in range(-10, 400, 56):
        p.poly([(x + 4, 238), (x + 34, 238), (x + 32, 241), (x, 241)], "#f3e9c8")
    p.box(0, 270, 400, 300, ("#cfc8ba", "#b4ac9d"))
    p.box(0, 269, 400, 272, "#8f897f")
    colours = p.rng.sample(CARS, 2)
    with p.at(p.rng.uniform(250, 300), 207, 1.0):
        outdoors.tree(p, *p.rng.choice(GREENS))
    with p.at(p.rng.uniform(80, 130), 231, 1.05):
        outdoors.car(p, colours[0])
    with p.at(p.rng.uniform(215, 255), 265, 1.4, flip=True):
        outdoors.car(p, colours[1])
    with p.at(p.rng.uniform(40, 75), 292, 1.05):
        outdoors.person(p, p.rng.choice(SHIRTS), "#3b4a6b", "#4a2f1d")
    with p.at(368, 290, 1.25):
        outdoors.traffic_light(p)


def living_room(p: Pen) -> None:
    """A couch with a cat, a television on a cabinet, a potted plant, a lamp, a window and a picture."""
    p.box(0, 0, 400, 212, p.rng.choice([("#f3e3cf", "#ead2b5"), ("#dfe9e4", "#c8dad2"), ("#e8e0ee", "#d3c8df")]))
    p.box(0, 206, 400, 213, "#fbf7ef")
    p.box(0, 212, 400, 300, ("#c99b6d", "#a97848"))
    for y in (222, 236, 254, 276):
        p.box(0, y, 400, y + 0.8, "#8a5f3870")
    p.oval(165, 268, 150, 24, ("#b9574d", "#963f3a"))
    p.oval(165, 268, 138, 20.5, ("#e2a58c", "#cf8873"))
    p.oval(165, 268, 126, 17.5, ("#b9574d", "#963f3a"))
    with p.at(196, 128, 1.0):
        indoors.window(p)
    with p.at(p.rng.uniform(78, 92), 118, 1.1):
        indoors.picture(p)
    with p.at(322, 236, 1.05):
        indoors.cabinet(p)
    with p.at(322, 198, 1.0):
        indoors.tv(p)
    with p.at(30, 240, 1.05):
        indoors.lamp(p)
    cloth = p.rng.choice([("#5a9aa8", "#2f6b7a"), ("#7d8fc4", "#4d5f96"), ("#a8b06a", "#757d3c")])
    with p.at(134, 254, 1.05):
        indoors.couch(p, cloth)
    with p.at(86, 232, 1.05):
        indoors.pillow(p, ("#f3c867", "#dba03a"))
    with p.at(p.rng.uniform(150, 178), 220, 0.9, flip=p.rng.random() < 0.5):
        indoors.cat(p, p.rng.choice([("#e9a356", "#c47a2c"), ("#8d949c", "#5f666e"), ("#4a4038", "#332b25")]))
    with p.at(262, 268, 1.15):
        indoors.potted_plant(p)


def beach(p: Pen) -> None:
    """The sea with a boat, an umbrella, a ball, a surfboard and a bird."""
    _sky(p, ("#5fb2e6", "#fbe9cf"), 150, 3)
    p.oval(p.rng.uniform(60, 340), 44, 40, 40, "#fff3c455", blur=9)
    p.box(0, 144, 400, 205, ("#2f8fc0", "#74cfd3"))
    for _ in range(26):
        x, y = p.rng.uniform(0, 400), p.rng.uniform(150, 196)
        w = 4 + (y - 146) * 0.35
        p.line([(x - w, y), (x + w, y)], "#ffffff60", 0.9)
    with p.at(p.rng.uniform(240, 320), 168, 0.8, flip=p.rng.random() < 0.5):
        outdoors.sailboat(p)
    shore = [(0, 206), (60, 200), (140, 208), (220, 199), (310, 207), (400, 198)]
    p.poly([*((x, y - 5) for x, y in shore), (400, 300), (0, 300)], "#ffffffd0", blur=1)
    p.poly([*shore, (400, 300), (0, 300)], ("#f5dfae", "#dfb878"))
    for _ in range(60):
        x, y = p.rng.uniform(0, 400), p.rng.uniform(216, 298)
        p.oval(x, y, 1 + (y - 210) / 70, 0.7, "#b98f5650")
    with p.at(352, 276, 1.15):
        outdoors.surfboard(p)
    p.poly([(82, 268), (196, 268), (216, 288), (66, 288)], ("#4a86b8", "#2f6394"))
    p.poly([(104, 268), (118, 268), (96, 288), (80, 288)], "#ffffffb0")
    p.poly([(160, 268), (174, 268), (198, 288), (182, 288)], "#ffffffb0")
    with p.at(p.rng.uniform(96, 116), 272, 1.5):
        outdoors.parasol(p)
    with p.at(p.rng.uniform(232, 276), 274, 1.25):
        outdoors.beach_ball(p)
    with p.at(p.rng.uniform(180, 230), p.rng.uniform(60, 90), 1.0):
        outdoors.bird(p)


def park(p: Pen) -> None:
    """A meadow with a dog, a bench under a tree, and a kite in the sky."""
    _sky(p, ("#79c0ec", "#e9f5ee"), 190)
    p.blob([(-60, 200), (40, 140), (150, 172), (260, 134), (460, 168), (460, 320), (-60, 320)], ("#b6d9a0", "#8fc27d"))
    p.blob([(-60, 220), (90, 168), (240, 190), (460, 162), (460, 340), (-60, 340)], ("#9ccf7c", "#6fae58"))
    p.poly([(0, 204), (400, 190), (400, 300), (0, 300)], ("#86c563", "#5a9a45"))
    p.blob(
        [(226, 200), (231, 200), (224, 222), (262, 256), (330, 312), (190, 312), (184, 258), (208, 222)],
        ("#ecdcb4", "#d8bf8a"),
    )
    _tufts(p, 214, 298, "#3f7f3a80", 60)
    for _ in range(26):
        x, y = p.rng.uniform(0, 400), p.rng.uniform(216, 296)
        p.oval(x, y, 1.7, 1.7, p.rng.choice(["#ffffff", "#f6d860", "#f0a0b8"]))
    with p.at(348, 208, 0.8):
        outdoors.tree(p, *p.rng.choice(GREENS))
    with p.at(84, 236, 1.55):
        outdoors.tree(p, *p.rng.choice(GREENS))
    with p.at(116, 252, 1.0):
        outdoors.bench(p)
    x, y = p.rng.uniform(236, 300), p.rng.uniform(52, 72)
    with p.at(x, y, 1.05):
        outdoors.kite(p)
    with p.at(p.rng.uniform(262, 312), 278, 1.35, flip=True):
        coat, ear = p.rng.choice(
            [
                (("#d9a066", "#b47a3e"), "#8a5527"),
                (("#f2ece0", "#cfc4b0"), "#6b4a30"),
                (("#8a6a4c", "#64482f"), "#3f2c1c"),
            ]
        )
        outdoors.dog(p, coat, ear)


def kitchen(p: Pen) -> None:
    """A table with a bowl of fruit, a cup, a bottle and a vase, a refrigerator and a clock."""
    p.box(0, 0, 400, 216, p.rng.choice([("#e6efe9", "#d2e2da"), ("#f3e7d6", "#e9d6bb"), ("#dfe8f0", "#cbd9e6")]))
    for y in range(0, 120, 20):
        for x in range(0, 400, 40):
            p.box(x + 20 * (y // 20 % 2), y + 90, x + 20 * (y // 20 % 2) + 39, y + 109, "#ffffff38", 1)
    p.box(0, 210, 400, 217, "#fbf8f1")
    p.box(0, 216, 400, 300, ("#b9c4c6", "#93a2a6"))
    for x in range(-200, 640, 60):
        p.line([(200 + (x - 200) * 0.7, 217), (x, 300)], "#ffffff55", 0.8)
    with p.at(198, 128, 1.1):
        indoors.window(p)
    with p.at(104, 86, 1.25):
        indoors.clock(p)
    with p.at(346, 238, 1.25):
        indoors.refrigerator(p)
    with p.at(168, 284, 0.98):
        indoors.dining_table(p)
    with p.at(p.rng.uniform(52, 66), 215, 1.0):
        indoors.vase(p)
    fruits = [("apple", ("#ef5a4a", "#b32a20")), ("orange", ("#f9b04a", "#df7f1a")), ("apple", ("#a5cf5a", "#6f9a2f"))]
    p.rng.shuffle(fruits)
    for dx, (label, colour) in zip((-16, 16, 0), fruits, strict=True):
        with p.at(138 + dx, 199, 1.05):
            indoors.fruit(p, label, colour)
    with p.at(138, 216, 1.05):
        indoors.bowl(p)
    with p.at(p.rng.uniform(200, 212), 215, 1.0):
        indoors.bottle(p)
    with p.at(p.rng.uniform(248, 262), 216, 1.05):
        indoors.cup(p, p.rng.choice([("#f07a62", "#c24a35"), ("#5aa0d8", "#2f6fa8"), ("#f3c867", "#d29a34")]))


def bus_stop(p: Pen) -> None:
    """A bus at a stop sign, a person and a bicycle, with trees behind."""
    _sky(p, ("#f2a97c", "#fdeccb"), 200, 4)
    p.oval(p.rng.uniform(90, 300), 150, 26, 26, "#fff3c4")
    p.blob(
        [(-60, 210), (50, 150), (140, 178), (250, 146), (340, 172), (460, 150), (460, 320), (-60, 320)],
        ("#b98aa0", "#8f6a88"),
    )
    p.box(0, 198, 400, 214, ("#8fae72", "#6f9058"))
    for x in (36, 122, 306, 380):
        with p.at(x + p.rng.uniform(-8, 8), 208, p.rng.uniform(0.62, 0.82)):
            outdoors.tree(p, "#c9b45a", "#7f8a3f")
    p.box(0, 212, 400, 262, ("#6b6d78", "#50535e"))
    p.box(0, 234, 400, 236, "#f3e0b0b0")
    p.box(0, 260, 400, 300, ("#cdbfae", "#ab9c8b"))
    p.box(0, 259, 400, 262, "#877c70")
    with p.at(p.rng.uniform(158, 182), 252, 1.45):
        outdoors.bus(p, p.rng.choice([("#f0604d", "#b5281d"), ("#3f8fd0", "#1f5c94"), ("#58b07a", "#2b7a4c")]))
    with p.at(336, 286, 1.35):
        outdoors.stop_sign(p)
    with p.at(p.rng.uniform(278, 292), 290, 1.15):
        outdoors.person(p, p.rng.choice(SHIRTS), "#4a3f5c", p.rng.choice(["#2b2420", "#8a4f24", "#d9b25a"]))
    with p.at(p.rng.uniform(66, 96), 291, 1.2):
        outdoors.bicycle(p, p.rng.choice(["#2f8f8a", "#d8342c", "#f3a13a"]))


SCENES = {
    "street": street,
    "living-room": living_room,
    "beach": beach,
    "park": park,
    "kitchen": kitchen,
    "bus-stop": bus_stop,
}
