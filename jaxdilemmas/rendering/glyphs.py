"""The signs of which pictures consist, as shapes in a unit square; every renderer draws them from this table."""

from typing import NamedTuple

AGENT = "agent"
"""In place of a colour: the colour of the agent that a mark belongs to."""

AGENT_COLOURS = ("#cc6622", "#112299", "#55ccaa", "#aa55ff", "#bbee00", "#770022", "#aaccff", "#117777")
"""Colours of agents 0 to 7; agent 8 has the colour of agent 0, and so on: numbers tell these apart.

Any two differ by at least 22 in CIEDE2000 for people with deuteranopia or protanopia, and by 28 for others. The colours
are our choice, found by search.
"""

INK, PAPER = "#22262b", "#fbf9f4"
"""Colours of lines and of the ground."""


class Shape(NamedTuple):
    """A filled shape, in units of the side of its glyph; (0, 0) is the middle, y points south.

    Attributes:
      points: corners `((x, y), ...)` of a polygon, or one point, the centre of a circle.
      fill: a colour `#rrggbb` or `#rrggbbaa`, `AGENT`, or "" for none.
      stroke: colour of the outline, likewise.
      radius: of a circle.
      stroke_width: width of the outline.
    """

    points: tuple[tuple[float, float], ...]
    fill: str = ""
    stroke: str = ""
    radius: float = 0.0
    stroke_width: float = 0.06


class Glyph(NamedTuple):
    """A sign.

    Attributes:
      shapes: in the order of drawing; drawn for a mark that points north.
      symbol: two characters of text or none; `N` stands for the number of the agent and `>` for an arrow.
      is_numbered: whether the number of the agent stands on it.
    """

    shapes: tuple[Shape, ...]
    symbol: str = "  "
    is_numbered: bool = False


def square(fill: str, side: float = 1.0, stroke: str = "", width: float = 0.06) -> Shape:
    """A square around the middle."""
    return box(-side / 2, -side / 2, side / 2, side / 2, fill, stroke, width)


def box(
    left: float, top: float, right: float, bottom: float, fill: str, stroke: str = "", width: float = 0.06
) -> Shape:
    """A rectangle."""
    return Shape(((left, top), (right, top), (right, bottom), (left, bottom)), fill, stroke, stroke_width=width)


def circle(x: float, y: float, radius: float, fill: str, stroke: str = "", width: float = 0.06) -> Shape:
    """A circle."""
    return Shape(((x, y),), fill, stroke, radius, width)


def cross(colour: str, reach: float, width: float) -> tuple[Shape, Shape]:
    """Two diagonal bars."""
    a, b = reach - width, reach + width
    return (
        Shape(((-b, -a), (-a, -b), (b, a), (a, b)), colour),
        Shape(((b, -a), (a, -b), (-b, a), (-a, b)), colour),
    )


_BODY = circle(0, 0.06, 0.38, AGENT, INK)
_NOSE = Shape(((-0.2, -0.24), (0, -0.5), (0.2, -0.24)), INK)
_DIAMOND = ((0.0, -0.4), (0.36, 0.0), (0.0, 0.4), (-0.36, 0.0))
_CORNERS_OF_STAR = ((0, -1), (0.59, -0.81), (0.95, -0.31), (0.95, 0.31), (0.59, 0.81))
_STAR = tuple(
    (sign * x * size, sign * y * size)
    for sign in (1, -1)
    for k, (x, y) in enumerate(_CORNERS_OF_STAR)
    for size in (0.46 if (k % 2 == 0) == (sign == 1) else 0.22,)
)

GLYPHS = {
    "floor": Glyph((square(PAPER),), " ."),
    "void": Glyph((square("#d8d4cb"),), "  "),
    "wall": Glyph((square("#5b6068"), box(-0.5, -0.5, 0.5, -0.34, "#71767f")), "##"),
    "apple_cell": Glyph((circle(0, 0, 0.07, "#c9c2b2"),), " ,"),
    "apple": Glyph(
        (
            circle(0, 0.06, 0.27, "#2f9e44", "#1b5e2a", 0.05),
            box(-0.03, -0.36, 0.03, -0.16, "#5c4322"),
            Shape(((0.03, -0.28), (0.2, -0.4), (0.24, -0.26)), "#74c476"),
        ),
        " a",
    ),
    "coin": Glyph((circle(0, 0, 0.28, AGENT, INK, 0.05), circle(0, 0, 0.17, "", "#ffffffaa", 0.05)), "No"),
    "river": Glyph(
        (square("#9cc9e8"), box(-0.4, -0.12, 0.1, -0.06, "#c3e0f3"), box(-0.1, 0.2, 0.4, 0.26, "#c3e0f3")), "~~"
    ),
    "stream": Glyph((square("#c9e4f5"), box(-0.3, -0.03, 0.3, 0.03, "#e4f2fb")), " ~"),
    "waste": Glyph(
        (
            Shape(
                ((-0.4, 0.1), (-0.3, -0.25), (-0.05, -0.15), (0.12, -0.38), (0.38, -0.1), (0.3, 0.3), (-0.1, 0.38)),
                "#6b4f2a",
                "#46331a",
            ),
            circle(-0.12, 0.08, 0.08, "#a5854f"),
            circle(0.14, 0.0, 0.06, "#a5854f"),
        ),
        "%%",
    ),
    "beam": Glyph((square("#ffb00055"), box(-0.09, -0.5, 0.09, 0.5, "#f08c00")), "**"),
    "clean_beam": Glyph(
        (square("#22b8cf44"), box(-0.32, -0.5, -0.22, 0.5, "#0b7285"), box(0.22, -0.5, 0.32, 0.5, "#0b7285")), "::"
    ),
    "claim_beam": Glyph((square("#e599f755"), box(-0.05, -0.5, 0.05, 0.5, "#9c36b5")), ".."),
    "resource": Glyph((square("#a9987f", 1.0, "#8d7f6a", 0.05),), "[]"),
    "claimed": Glyph((square(AGENT, 1.0, "#8d7f6a", 0.05), square("#ffffff99", 0.6)), "N="),
    "paying": Glyph((square(AGENT, 1.0, INK, 0.05),), "N$"),
    "damaged": Glyph(cross("#22262bcc", 0.36, 0.05), ""),
    "agent": Glyph((_NOSE, _BODY), "N>", is_numbered=True),
    "walker": Glyph((_BODY,), "No", is_numbered=True),
    "out": Glyph((circle(0, 0, 0.36, "", AGENT, 0.07), *cross("#22262b66", 0.22, 0.03)), "Nx", is_numbered=True),
    "frozen": Glyph((circle(0, 0.06, 0.46, "", "#4dabf7", 0.1), *cross("#e7f5ffcc", 0.3, 0.05)), "Nx"),
    "hit": Glyph((Shape(_STAR, "#ffd43b", INK, stroke_width=0.05),), ""),
    "marked": Glyph((circle(0, 0, 0.4, "#ffffff", INK, 0.12),), ""),
    "timer": Glyph((square("#e03131"),), ""),
    "gauge": Glyph((square("#1c7ed6"),), ""),
    "counter": Glyph((square("#b08968", 1.0, "#8d6b4d", 0.04),), "##"),
    "pot": Glyph((square("#b08968"), circle(0, 0, 0.42, "#495057", INK)), "UU"),
    "onions": Glyph(
        (
            square("#b08968"),
            circle(-0.15, 0.1, 0.2, "#f2d16b", "#8d6b1d"),
            circle(0.16, -0.05, 0.2, "#f2d16b", "#8d6b1d"),
        ),
        "OO",
    ),
    "dishes": Glyph(
        (square("#b08968"), circle(0, 0.08, 0.33, "#f1f3f5", "#868e96"), circle(0, -0.04, 0.33, "#ffffff", "#868e96")),
        "DD",
    ),
    "serving": Glyph(
        (
            square("#8ce99a"),
            Shape(
                ((0, -0.35), (0.3, 0.05), (0.1, 0.05), (0.1, 0.35), (-0.1, 0.35), (-0.1, 0.05), (-0.3, 0.05)), "#2b8a3e"
            ),
        ),
        "SS",
    ),
    "onion": Glyph(
        (circle(0, 0.08, 0.3, "#f2d16b", "#8d6b1d"), Shape(((-0.06, -0.2), (0, -0.42), (0.06, -0.2)), "#69db7c")), " o"
    ),
    "dish": Glyph((circle(0, 0, 0.38, "#ffffff", "#868e96"), circle(0, 0, 0.22, "", "#ced4da")), " d"),
    "soup": Glyph((circle(0, 0, 0.38, "#ffffff", "#868e96"), circle(0, 0, 0.27, "#e8590c")), " s"),
    "gem": Glyph((Shape(_DIAMOND, AGENT, INK), Shape(((0.0, -0.4), (0.0, 0.4), (-0.36, 0.0)), "#ffffff44")), "Ng"),
    "shared_gem": Glyph((Shape(_STAR, "#c2255c", INK), circle(0, 0, 0.12, "#ffffffaa")), " *"),
    "road": Glyph((square("#ced4da"),), " ."),
    "lane_mark": Glyph((square("#ffffff"),), ""),
    "car": Glyph((square(AGENT, 1.0, INK, 0.05), box(-0.38, -0.36, 0.38, -0.12, "#e7f5ff")), "N>", is_numbered=True),
    "arrow_left": Glyph((Shape(((-0.42, 0.2), (0.1, 0.02), (0.1, 0.38)), "#ffffff", INK, stroke_width=0.04),), ""),
    "arrow_right": Glyph((Shape(((0.42, 0.2), (-0.1, 0.02), (-0.1, 0.38)), "#ffffff", INK, stroke_width=0.04),), ""),
    "pool": Glyph((circle(0, 0, 0.5, "#4dabf7"),), "()"),
    "pool_rim": Glyph((circle(0, 0, 0.49, "#edf2f7", INK, 0.02),), "( "),
    "flow": Glyph((square("#a5d8ff"),), ""),
    "reach": Glyph((square("#dee2e6"),), ""),
}
"""Every sign by its name."""


def tile(colour: tuple[int, int, int], name: str) -> Glyph:
    """The sign of a tile that is not in the table: a square in the colour that observations have."""
    return Glyph((square("#{:02x}{:02x}{:02x}".format(*colour)),), name[:1] * 2)


def agent_colour(agent: int) -> str:
    """The colour of an agent, `#rrggbb`."""
    return AGENT_COLOURS[agent % len(AGENT_COLOURS)]


def ink_on(colour: str) -> str:
    """Black or white, what can be read better on a colour `#rrggbb`."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
