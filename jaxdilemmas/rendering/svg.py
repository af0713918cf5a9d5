"""Draws a picture as SVG."""

from html import escape

import numpy as np

from jaxdilemmas.rendering.glyphs import AGENT, INK, PAPER, Glyph, Shape, agent_colour, ink_on
from jaxdilemmas.rendering.panel import Layout, Row
from jaxdilemmas.rendering.picture import HIDDEN, Marks, Picture


def draw_svg(picture: Picture, marks: Marks, rows: list[Row], layout: Layout) -> str:
    """One `<svg>` element that needs nothing else.

    Args:
      picture: how the game looks.
      marks: `[M]`, of one state.
      rows: of the panel.
      layout: where all stands.
    """
    width, height = layout.size
    board = f'<svg width="{layout.board[0]}" height="{layout.board[1]}" viewBox="0 0 {picture.width} {picture.height}">'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="sans-serif">',
        "<title>" + escape("; ".join(row.text for row in rows if row.agent != HIDDEN or not row.glyph)) + "</title>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        board,
        *_marks(picture, picture.ground),
        *_marks(picture, marks),
        "</svg>",
        *_panel(picture, rows, layout),
        "</svg>",
    ]
    return "".join(parts)


def draw_glyph(glyph: Glyph, agent: int) -> str:
    """The shapes of a glyph around (0, 0), one unit wide."""
    return "".join(_shape(shape, agent) for shape in glyph.shapes)


def _shape(shape: Shape, agent: int) -> str:
    colours = {AGENT: agent_colour(max(agent, 0)), "": "none"}
    paint = f'fill="{colours.get(shape.fill, shape.fill)}"'
    if shape.stroke:
        paint += f' stroke="{colours.get(shape.stroke, shape.stroke)}" stroke-width="{shape.stroke_width:g}"'
    if len(shape.points) == 1:
        ((x, y),) = shape.points
        return f'<circle cx="{x:g}" cy="{y:g}" r="{shape.radius:g}" {paint}/>'
    return f'<polygon points="{" ".join(f"{x:g},{y:g}" for x, y in shape.points)}" {paint}/>'


def _marks(picture: Picture, marks: Marks) -> list[str]:
    glyphs = list(picture.glyphs.values())
    parts = []
    for k in np.flatnonzero(marks.glyph != HIDDEN):
        glyph, agent = glyphs[marks.glyph[k]], int(marks.agent[k])
        x, y, turn, width, height = (float(part[k]) for part in marks[1:6])
        place = f"translate({x:g} {y:g})"
        place += f" rotate({turn:g})" if turn else ""
        place += f" scale({width:g} {height:g})" if (width, height) != (1, 1) else ""
        parts.append(f'<g transform="{place}">{draw_glyph(glyph, agent)}</g>')
        if glyph.is_numbered:
            ink = ink_on(agent_colour(agent))
            size = 0.42 * min(width, height)
            parts.append(
                f'<text x="{x:g}" y="{y + 0.06 + 0.36 * size:g}" font-size="{size:g}" text-anchor="middle" '
                f'fill="{ink}">{agent}</text>'
            )
    return parts


def _panel(picture: Picture, rows: list[Row], layout: Layout) -> list[str]:
    left, line = layout.board[0] + layout.line, layout.line
    parts = []
    for k, row in enumerate(rows):
        middle, text_left = line * (k + 1), float(left)
        if row.level is not None:
            width = layout.size[0] - left - line / 2
            for share, colour in ((1.0, "#dee2e6"), (row.level, "#1c7ed6")):
                place = f'x="{left}" y="{middle + 0.36 * line:g}" width="{width * share:g}" height="3"'
                parts.append(f'<rect {place} fill="{colour}"/>')
        if row.glyph:
            scale = 0.9 * line
            sign = draw_glyph(picture.glyphs[row.glyph], row.agent)
            parts.append(f'<g transform="translate({left + scale / 2:g} {middle}) scale({scale:g})">{sign}</g>')
            text_left += line * 1.2
        parts.append(
            f'<text x="{text_left:g}" y="{middle + 0.3 * line:g}" font-size="{0.72 * line:g}" fill="{INK}">'
            f"{escape(row.text)}</text>"
        )
    return parts
