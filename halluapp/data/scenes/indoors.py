"""Indoor objects: a function draws each around the middle of its foot, under its label."""

from __future__ import annotations

import math

from halluapp.data.scenes.pen import Fill, Pen


def couch(p: Pen, cloth: Fill) -> None:
    p.shadow(92)
    light, dark = cloth
    with p.thing("couch"):
        for x in (-68, 68):
            p.box(x - 4, -8, x + 4, 0, "#5f3f28", 1)
        p.box(-78, -66, 78, -12, cloth, 12)
        for x in (-66, 1):
            p.box(x, -36, x + 65, -15, (light, dark), 5)
            p.box(x + 2, -35, x + 63, -33, "#ffffff33", 1)
        for x in (-90, 70):
            p.box(x, -48, x + 20, -6, (light, dark), 9)
        p.box(-80, -12, 80, -6, dark, 2)


def pillow(p: Pen, colour: Fill) -> None:
    with p.thing("pillow"):
        p.blob([(-14, -2), (-13, -14), (-14, -27), (0, -25), (14, -27), (13, -14), (14, -2), (0, -4)], colour)


def tv(p: Pen) -> None:
    with p.thing("tv"):
        p.box(-16, -4, 16, 0, "#2a2e36", 1.5)
        p.box(-4, -10, 4, -2, "#2a2e36")
        p.box(-52, -70, 52, -8, ("#2a2e36", "#14171c"), 3)
        p.box(-49, -67, 49, -11, ("#3e6f9e", "#16324f"))
        p.poly([(-49, -11), (-49, -28), (-24, -46), (-2, -24), (16, -38), (49, -16), (49, -11)], "#2c5a4a")
        p.oval(28, -54, 6, 6, "#ffe9a8")
        p.poly([(-49, -67), (-14, -67), (-42, -11), (-49, -11)], "#ffffff18")


def cabinet(p: Pen) -> None:
    p.shadow(66)
    with p.thing("cabinet"):
        for x in (-52, 52):
            p.box(x - 3, -6, x + 3, 0, "#5f3f28")
        p.box(-62, -34, 62, -5, ("#c08a55", "#93612f"), 2)
        p.box(-64, -37, 64, -33, "#d9a66d", 1)
        for x in (-30, 30):
            p.box(x - 26, -29, x + 26, -9, "#00000018", 1.5)
            p.oval(x, -19, 1.8, 1.8, "#f1e0c0")


def potted_plant(p: Pen) -> None:
    p.shadow(18)
    with p.thing("potted plant"):
        for angle, length in ((-62, 44), (-36, 54), (-12, 62), (14, 58), (38, 52), (64, 42)):
            a = math.radians(angle)
            tip = (length * math.sin(a), -26 - length * math.cos(a))
            side = (7 * math.cos(a), 7 * math.sin(a))
            mid = (tip[0] * 0.55, -26 + (tip[1] + 26) * 0.55)
            leaf = [(0, -24), (mid[0] - side[0], mid[1] - side[1]), tip, (mid[0] + side[0], mid[1] + side[1])]
            p.blob(leaf, ("#5fb36a", "#2b7a45"))
            p.line([(0, -24), (tip[0] * 0.9, -26 + (tip[1] + 26) * 0.9)], "#ffffff40", 0.8)
        p.poly([(-15, -28), (15, -28), (11, 0), (-11, 0)], ("#d9825b", "#a9522f"))
        p.box(-17, -31, 17, -24, "#e39a76", 1.5)


def lamp(p: Pen) -> None:
    p.oval(0, -104, 46, 40, "#ffe9a855", blur=10)
    p.shadow(15)
    with p.thing("lamp"):
        p.box(-13, -4, 13, 0, "#4a4f57", 2)
        p.line([(0, -3), (0, -95)], "#4a4f57", 2.6)
        p.poly([(-13, -124), (13, -124), (24, -92), (-24, -92)], ("#fff3cf", "#f6d48a"))


def window(p: Pen) -> None:
    with p.thing("window"):
        p.box(-36, -92, 36, 0, "#fbfbf7", 2)
        p.box(-32, -88, 32, -4, ("#8fc7ea", "#e3f3fb"))
        p.oval(-12, -66, 10, 4, "#ffffffcc")
        p.oval(-3, -69, 8, 4, "#ffffffcc")
        p.poly([(-32, -4), (-32, -22), (-10, -32), (12, -18), (32, -26), (32, -4)], ("#8fc98a", "#5fa566"))
        p.box(-1.5, -88, 1.5, -4, "#fbfbf7")
        p.box(-32, -48, 32, -45, "#fbfbf7")
        p.box(-40, -2, 40, 3, "#efece2", 1)


def picture(p: Pen) -> None:
    p.box(-27, -40, 29, 3, "#00000030", 1, blur=1.5)
    with p.thing("picture"):
        p.box(-28, -42, 28, 0, ("#b98a4e", "#8f6530"), 1)
        p.box(-24, -38, 24, -4, ("#f6c48b", "#e4866a"))
        p.oval(8, -22, 6, 6, "#fff0c9")
        p.poly([(-24, -4), (-24, -14), (-8, -22), (4, -12), (14, -18), (24, -10), (24, -4)], "#5b4a78")


def clock(p: Pen) -> None:
    with p.thing("clock"):
        p.oval(0, -16, 16, 16, "#2f3a46")
        p.oval(0, -16, 13.6, 13.6, ("#ffffff", "#eceff2"))
        for hour in range(12):
            a = hour * math.pi / 6
            p.line([(r * math.sin(a), -16 - r * math.cos(a)) for r in (11, 12.4)], "#2f3a46", 1)
        p.line([(0, -16), (-5.5, -20.5)], "#2f3a46", 1.6)
        p.line([(0, -16), (6, -23.5)], "#2f3a46", 1.1)


def cup(p: Pen, colour: Fill) -> None:
    p.shadow(11, ry=2)
    with p.thing("cup"):
        p.ring(11, -11, 5, colour[1], 2.4)
        p.poly([(-10, -20), (10, -20), (8, 0), (-8, 0)], colour)
        p.oval(0, -20, 10, 2.6, "#f7f3ea")
        p.oval(0, -19.8, 8.2, 1.9, "#5a3822")


def bottle(p: Pen) -> None:
    p.shadow(9, ry=2)
    with p.thing("bottle"):
        left = [(-9, 0), (-9, -28), (-8, -36), (-3.5, -44), (-3.5, -58)]
        p.blob([*left, *((-x, y) for x, y in reversed(left))], ("#7fbf8f", "#2f7a4c"))
        p.box(-9, -28, 9, -11, "#f7efd8")
        p.box(-4.2, -62, 4.2, -54, "#b03a2e", 1)
        p.line([(-5.5, -8), (-5.5, -32)], "#ffffff66", 1.4)


def fruit(p: Pen, label: str, colour: Fill) -> None:
    with p.thing(label):
        p.oval(0, -9, 9.5, 9, colour)
        p.oval(-3, -12.5, 3, 2.2, "#ffffff66")
        if label == "apple":
            p.line([(0, -17), (1.5, -21)], "#5f3f28", 1.2)
            p.blob([(1, -19), (6, -23), (8, -19)], "#4f9a4f")


def bowl(p: Pen) -> None:
    with p.thing("bowl"):
        p.blob([(-30, -20), (30, -20), (25, -6), (12, 0), (-12, 0), (-25, -6)], ("#5a9bc8", "#2b5f8a"))
        p.box(-31, -22, 31, -17.5, "#8cc0e2", 2)


def vase(p: Pen) -> None:
    p.shadow(11, ry=2)
    with p.thing("vase"):
        for x, y, colour in ((-16, -60, "#e8503a"), (0, -70, "#f3c13a"), (15, -61, "#c774c9")):
            p.line([(0, -26), (x, y)], "#4f9a4f", 1.6)
            for a in range(6):
                p.oval(x + 5 * math.cos(a * math.pi / 3), y + 5 * math.sin(a * math.pi / 3), 3.6, 3.6, colour)
            p.oval(x, y, 2.8, 2.8, "#7a4a1f")
        right = [(6, -34), (5, -26), (11, -12), (7, 0)]
        p.blob([*right, *((-x, y) for x, y in reversed(right))], ("#ffffff", "#c9d6e2"))
        p.line([(-9, -13), (9, -13)], "#4a86b8", 1.6)


def dining_table(p: Pen) -> None:
    p.oval(0, 2, 150, 6, "#14203840", blur=4)
    with p.thing("dining table"):
        for x in (-128, 128):
            p.poly([(x - 6, -56), (x + 6, -56), (x + 4, 0), (x - 4, 0)], ("#a9703f", "#704622"))
        p.box(-140, -62, 140, -50, "#8f5c30", 1)
        p.box(-152, -72, 152, -60, ("#d9a66d", "#b57b43"), 3)


def refrigerator(p: Pen) -> None:
    p.shadow(40)
    with p.thing("refrigerator"):
        p.box(-36, -150, 36, -2, ("#f4f7f9", "#c3ccd4"), 5)
        p.box(-36, -101, 36, -99, "#8b98a4")
        for y0, y1 in ((-136, -112), (-90, -52)):
            p.box(26, y0, 29, y1, "#7d8994", 1.5)
        p.box(-24, -134, -14, -122, "#f3c13a", 1)
        p.box(-10, -130, 2, -120, "#e8503a", 1)


def cat(p: Pen, coat: Fill) -> None:
    p.shadow(17)
    with p.thing("cat"):
        p.line([(12, -4), (22, -4), (27, -10), (25, -18)], coat[1], 4.5)
        p.blob([(-13, 0), (-12, -22), (-5, -32), (6, -32), (13, -18), (14, 0), (0, 1)], coat)
        p.poly([(-12, -40), (-12, -55), (-3, -47)], coat[0])
        p.poly([(10, -40), (10, -55), (1, -47)], coat[0])
        p.oval(-1, -39, 12.5, 11, coat)
        for x in (-6, 4):
            p.oval(x, -40, 2.2, 2.6, "#f6e58d")
            p.oval(x, -40, 0.8, 2.2, "#2b2420")
        p.oval(-1, -35.5, 1.4, 1, "#d98880")
        for x in (-5, 4):
            p.oval(x, -2, 4, 2.6, "#fff6e9")
