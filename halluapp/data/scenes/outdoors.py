"""Outdoor objects: a function draws each around the middle of its foot, under its label."""

from __future__ import annotations

import math

from halluapp.data.scenes.pen import Fill, Pen


def car(p: Pen, body: Fill) -> None:
    p.shadow(48)
    with p.thing("car"):
        roof = [(-40, -25), (-28, -27), (-19, -41), (-8, -44), (9, -44), (18, -41), (29, -27), (41, -24)]
        p.blob([(-30, -7), (-46, -9), (-46, -20), *roof, (47, -18), (47, -9), (30, -7)], body)
        p.poly([(-24, -27), (-16, -39), (-2, -40.5), (-2, -27)], ("#e7f6ff", "#8fb8d6"))
        p.poly([(2, -27), (2, -40.5), (10, -40), (16, -38), (25, -27)], ("#e7f6ff", "#8fb8d6"))
        p.box(-44, -19, 45, -17.5, "#ffffff55", 0.7)
        p.box(4, -24, 10, -22.6, "#00000066", 0.7)
        p.oval(44.5, -18.5, 2.2, 3, "#fff3b0")
        p.oval(-45, -18.5, 1.6, 3, "#d8342c")
        for x in (-25, 26):
            p.oval(x, -9, 10, 10, "#22262d")
            p.oval(x, -9, 5, 5, ("#e3e7ec", "#9aa3ad"))


def tree(p: Pen, light: str, dark: str) -> None:
    p.shadow(34)
    with p.thing("tree"):
        p.poly([(-6, 0), (-4, -50), (4, -50), (7, 0)], ("#8a5f3c", "#5f3f28"))
        p.line([(0, -38), (14, -58)], "#6f4b30", 3.5)
        for x, y, r in ((-22, -64, 22), (22, -66, 23), (0, -58, 24), (-12, -88, 22), (13, -92, 21), (0, -76, 26)):
            p.oval(x, y, r, r, (light, dark))
        for x, y, r in ((-14, -96, 8), (-28, -72, 7), (12, -100, 7), (4, -78, 9), (26, -74, 6)):
            p.oval(x, y, r, r * 0.7, "#ffffff22")


def house(p: Pen, wall: Fill, roof: Fill, floors: int = 2) -> None:
    top = -34 * floors - 8
    with p.thing("house"):
        p.box(-38, top, 38, 0, wall)
        p.poly([(-45, top), (-24, top - 30), (24, top - 30), (45, top)], roof)
        for row in range(floors):
            for x in (-22, 0, 22):
                y = top + 12 + 34 * row
                if (x, row) == (0, floors - 1):
                    p.box(-8, y, 8, 0, ("#7a4a2f", "#5c3521"), 2)
                    p.oval(4.5, -13, 1.2, 1.2, "#f1d27a")
                    continue
                p.box(x - 8, y, x + 8, y + 18, "#fffdf5", 1)
                p.box(x - 6.5, y + 1.5, x + 6.5, y + 16.5, ("#a9d2ec", "#dff1fb"))
                p.box(x - 0.6, y + 1.5, x + 0.6, y + 16.5, "#fffdf5")


def person(p: Pen, shirt: Fill, trousers: str, hair: str, skin: str = "#e8b58f") -> None:
    p.shadow(15)
    with p.thing("person"):
        p.line([(-5, -32), (-6, -4)], trousers, 8)
        p.line([(5, -32), (6, -4)], trousers, 8)
        for x in (-5, 8):
            p.box(x - 5, -5, x + 5, 0, "#2c2f38", 2)
        p.line([(-10, -60), (-15, -36)], shirt if isinstance(shirt, str) else shirt[1], 6)
        p.line([(10, -60), (15, -38)], shirt if isinstance(shirt, str) else shirt[1], 6)
        p.oval(-15, -34, 3.2, 3.2, skin)
        p.oval(15, -36, 3.2, 3.2, skin)
        p.box(-12, -65, 12, -29, shirt, 6)
        p.box(-3.5, -70, 3.5, -63, skin)
        p.oval(0, -78, 10, 11, skin)
        p.blob([(-11, -76), (-10, -88), (0, -92), (10, -88), (11, -77), (6, -84), (-3, -85)], hair)
        p.oval(-3.5, -78, 1.1, 1.4, "#2b2420")
        p.oval(4, -78, 1.1, 1.4, "#2b2420")
        p.line([(-2.5, -73), (0.5, -72), (3.5, -73)], "#a65b4a", 0.9)


def bus(p: Pen, body: Fill) -> None:
    p.shadow(78)
    with p.thing("bus"):
        p.box(-76, -70, 76, -8, body, 9)
        p.box(-76, -30, 76, -25, "#ffffffaa")
        p.box(-70, -60, 42, -36, ("#d9effb", "#7fabc9"), 4)
        for x in (-48, -26, -4, 18):
            p.box(x - 1, -60, x + 1, -36, "#39424e")
        p.box(47, -62, 62, -12, ("#cfe8f7", "#7fabc9"), 3)
        p.box(54, -62, 55, -12, "#39424e")
        p.box(66, -60, 76, -34, ("#d9effb", "#7fabc9"), 3)
        p.box(-20, -69, 30, -62.5, "#1f2732", 2)
        p.oval(73, -18, 2.4, 3.2, "#fff3b0")
        for x in (-46, 36):
            p.oval(x, -10, 11, 11, "#22262d")
            p.oval(x, -10, 5.5, 5.5, ("#e3e7ec", "#9aa3ad"))


def bicycle(p: Pen, frame: str) -> None:
    p.shadow(34)
    with p.thing("bicycle"):
        for x in (-22, 22):
            p.ring(x, -15, 14, "#2a2e36", 2.4)
            for a in range(6):
                dx, dy = 13 * math.cos(a * math.pi / 6), 13 * math.sin(a * math.pi / 6)
                p.line([(x - dx, -15 - dy), (x + dx, -15 + dy)], "#9aa3ad", 0.5)
        p.line([(-22, -15), (-10, -36), (14, -36), (-2, -15), (-22, -15)], frame, 2.6)
        p.line([(-12, -40), (-2, -15)], frame, 2.6)
        p.line([(22, -15), (13, -42), (19, -45)], frame, 2.6)
        p.box(-19, -43, -6, -39.5, "#2a2e36", 1.7)
        p.line([(-6, -10), (2, -20)], "#50575f", 1.6)


def bench(p: Pen) -> None:
    p.shadow(46)
    with p.thing("bench"):
        for x in (-34, 34):
            p.line([(x, 0), (x, -40)], "#3b4048", 4)
        for y in (-40, -32, -19):
            p.box(-44, y, 44, y + 5.5, ("#c98f57", "#96622f"), 1.5)


def dog(p: Pen, coat: Fill, ear: str) -> None:
    p.shadow(30)
    with p.thing("dog"):
        dark = coat[1]
        for x in (-17, -10, 12, 19):
            p.line([(x, -18), (x, -2)], dark, 6)
            p.oval(x + 1.5, -2, 4, 2.4, dark)
        p.line([(-24, -30), (-32, -38), (-33, -46)], dark, 5)
        p.blob([(-26, -30), (-14, -35), (8, -34), (22, -36), (26, -24), (14, -14), (-12, -15), (-25, -17)], coat)
        p.blob([(14, -36), (20, -50), (32, -54), (40, -46), (50, -42), (49, -35), (38, -33), (24, -28)], coat)
        p.blob([(20, -50), (26, -53), (26, -40), (21, -33), (16, -38)], ear)
        p.oval(49, -41, 3, 2.4, "#2b2420")
        p.oval(36, -46, 1.6, 1.8, "#2b2420")
        p.line([(40, -36), (46, -36.5)], "#6b3f2a", 1)
        p.line([(19, -33), (27, -29)], "#d8342c", 3)


def traffic_light(p: Pen) -> None:
    p.shadow(9)
    with p.thing("traffic light"):
        p.line([(0, 0), (0, -70)], "#3b4048", 4)
        p.box(-9, -104, 9, -62, ("#39404a", "#20252c"), 4)
        for y, colour in ((-96, "#ff5a4f"), (-83, "#6b5a26"), (-70, "#25552f")):
            p.oval(0, y, 5, 5, colour)
        p.oval(-1.5, -97.5, 1.6, 1.4, "#ffffff88")


def stop_sign(p: Pen) -> None:
    p.shadow(9)
    with p.thing("stop sign"):
        p.line([(0, 0), (0, -72)], "#8b939c", 3.5)
        for r, colour in ((20, "#ffffff"), (18.2, "#cf2e2e")):
            angles = [(side + 0.5) * math.pi / 4 for side in range(8)]
            p.poly([(r * math.cos(a), -84 + r * math.sin(a)) for a in angles], colour)
        strokes = (
            [(-8, -88), (-12, -88), (-12, -84), (-8, -84), (-8, -80), (-12, -80)],  # S
            [(-6, -88), (-2, -88)],  # T
            [(-4, -88), (-4, -80)],
            [(0.5, -88), (5, -88), (5, -80), (0.5, -80), (0.5, -88)],  # O
            [(8, -80), (8, -88), (12, -88), (12, -84), (8, -84)],  # P
        )
        for stroke in strokes:
            p.line(stroke, "#ffffff", 1.5)


def parasol(p: Pen, colours: tuple[str, str] = ("#e8503a", "#fff4e2")) -> None:
    p.shadow(46, x=18)
    with p.thing("umbrella"):
        p.line([(0, 0), (0, -84)], "#c7a06a", 3)
        rim = [(-52 + 104 * k / 6, -62 - (4 if k in (0, 6) else 0)) for k in range(7)]
        for k in range(6):
            (x0, y0), (x1, y1) = rim[k], rim[k + 1]
            turns = [n * math.pi / 20 for n in range(11)]
            up = [(x0 * math.cos(t), y0 + (-98 - y0) * math.sin(t)) for t in turns]
            down = [(x1 * math.cos(t), y1 + (-98 - y1) * math.sin(t)) for t in reversed(turns)]
            p.poly([*up, *down, ((x0 + x1) / 2, -60)], colours[k % 2])
        p.oval(0, -99, 2.2, 2.2, "#c7a06a")


def sailboat(p: Pen) -> None:
    p.oval(0, 1, 46, 3, "#ffffff66", blur=1)
    with p.thing("boat"):
        p.line([(2, -8), (2, -92)], "#7a5a3a", 2.4)
        p.blob([(5, -90), (24, -56), (40, -20), (20, -17), (5, -18), (4, -50)], ("#ffffff", "#dfe6ee"))
        p.blob([(-1, -82), (-14, -46), (-28, -20), (-12, -18), (-1, -19), (0, -50)], ("#ffd9a0", "#f0a35c"))
        p.poly([(-44, -14), (44, -14), (34, 0), (-34, 0)], ("#c0392b", "#7d1f16"))
        p.box(-44, -15.5, 44, -12.5, "#fff4e2", 1.2)


def beach_ball(p: Pen) -> None:
    p.shadow(15)
    with p.thing("sports ball"):
        p.oval(0, -13, 13, 13, "#fdfdfd")
        for start, colour in ((-1.9, "#e8503a"), (0.2, "#2f80c4"), (2.3, "#f3c13a")):
            arc = [(13 * math.cos(start + t / 10), -13 + 13 * math.sin(start + t / 10)) for t in range(11)]
            p.blob([(-2, -15), *arc], colour)
        p.oval(-4, -18, 4.5, 3, "#ffffff77")


def surfboard(p: Pen) -> None:
    p.shadow(12)
    with p.thing("surfboard"):
        p.blob([(-9, 0), (-12, -40), (-8, -82), (0, -98), (8, -82), (12, -40), (9, 0), (0, 3)], ("#46c2b3", "#1d8f9e"))
        p.line([(0, -94), (0, 0)], "#ffffffaa", 1.4)
        p.box(-11.4, -46, 11.4, -36, "#fff4e2")


def bird(p: Pen) -> None:
    with p.thing("bird"):
        p.blob([(-18, -7), (-9, -10), (-1, -2), (9, -11), (19, -8), (9, -6), (2, 3), (-3, 3), (-9, -5)], "#f7f9fb")
        p.blob([(-18, -7), (-12, -9), (-10, -6)], "#5a6570")
        p.blob([(19, -8), (13, -10), (11, -7)], "#5a6570")
        p.poly([(3, 0), (8, 1), (3, 3)], "#f0a030")


def kite(p: Pen) -> None:
    with p.thing("kite"):
        p.poly([(0, -26), (-16, -4), (0, 0)], "#e8503a")
        p.poly([(0, -26), (16, -4), (0, 0)], "#f3c13a")
        p.poly([(-16, -4), (0, 26), (0, 0)], "#2f80c4")
        p.poly([(16, -4), (0, 26), (0, 0)], "#3aa76d")
        p.line([(0, 26), (5, 36), (-3, 46), (4, 56)], "#7a6a5a", 0.9)
        for x, y in ((5, 36), (-3, 46)):
            p.poly([(x - 5, y - 3), (x + 5, y + 3), (x + 5, y - 3), (x - 5, y + 3)], "#e8503a")
