"""Draws a picture as an RGB array. Needs Pillow."""

import functools
import math
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from jaxdilemmas.rendering.glyphs import AGENT, INK, PAPER, Glyph, Shape, agent_colour, ink_on
from jaxdilemmas.rendering.panel import Layout, Row
from jaxdilemmas.rendering.picture import HIDDEN, Marks, Picture

OVERSAMPLING = ((48 * 48, 4), (512 * 512, 2))
"""Pixels of a sign up to which it is drawn so many times larger and then made smaller, so that its edges are smooth."""

CORNERS = 32
"""Of the polygon that stands for a circle."""

Sprite = tuple[np.ndarray, np.ndarray]
"""Colours times opacity `[h, w, 3]` and 256 minus opacity `[h, w, 1]`, uint16."""


class Canvas:
    """Draws pictures of one game in one size; the ground and the signs are drawn once and kept.

    Args:
      picture: how the game looks.
      layout: where all stands.
    """

    def __init__(self, picture: Picture, layout: Layout) -> None:
        self.layout = layout
        self._picture = picture
        self._glyphs = list(picture.glyphs.values())
        width, height = layout.size
        self._ground = np.full((height, width, 3), ImageColor.getrgb(PAPER), np.uint8)
        self._draw(picture.ground, self._ground)

    def draw(self, marks: Marks, rows: list[Row]) -> np.ndarray:
        """One state, `[height, width, 3]` uint8.

        Args:
          marks: `[M]`.
          rows: of the panel.
        """
        frame = self._ground.copy()
        self._draw(marks, frame)
        line, left = self.layout.line, self.layout.board[0] + self.layout.line
        for k, row in enumerate(rows):
            top = line // 2 + line * k
            sprite = panel_row(row, self._picture.glyphs.get(row.glyph), line, self.layout.size[0] - left)
            paste(frame, sprite, left, top)
        return frame

    def _draw(self, marks: Marks, frame: np.ndarray) -> None:
        """Draws marks on the plane; what is beyond its edges is cut off."""
        cell, (width, height) = self.layout.cell, self.layout.board
        board = frame[:height, :width]
        shown = np.flatnonzero(marks.glyph != HIDDEN)
        sizes = [np.maximum(np.round(part * cell), 1) for part in marks[4:6]]
        signs = [marks.glyph, np.round(marks.turn) % 360, *sizes, marks.agent]
        places = np.stack([part[shown] * cell for part in marks[1:3]], 1).tolist()
        numbers = np.stack([part[shown] for part in signs], 1).astype(int).tolist()
        for (x, y), (glyph, turn, wide, high, agent) in zip(places, numbers, strict=True):
            sprite = draw_sprite(self._glyphs[glyph], wide, high, turn, agent)
            rows, cols = sprite[0].shape[:2]
            paste(board, sprite, math.floor(x - cols / 2 + 0.5), math.floor(y - rows / 2 + 0.5))


def paste(frame: np.ndarray, sprite: Sprite, left: int, top: int) -> None:
    """Puts a sprite into a frame `[H, W, 3]` uint8, in place, as far as it is within."""
    colours, clear = sprite
    rows, cols = colours.shape[:2]
    height, width = frame.shape[:2]
    if left >= 0 and top >= 0 and left + cols <= width and top + rows <= height:
        region = frame[top : top + rows, left : left + cols]
    else:
        first_row, first_col = max(-top, 0), max(-left, 0)
        last_row, last_col = min(rows, height - top), min(cols, width - left)
        if first_row >= last_row or first_col >= last_col:
            return
        part = (slice(first_row, last_row), slice(first_col, last_col))
        colours, clear = colours[part], clear[part]
        region = frame[top + first_row : top + last_row, left + first_col : left + last_col]
    region[...] = (region * clear + colours) >> 8


@functools.lru_cache(maxsize=8192)
def draw_sprite(glyph: Glyph, width: int, height: int, turn: int, agent: int) -> Sprite:
    """A sign of so many pixels, turned by degrees, with the number of its agent upright."""
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reach = abs(rotation) @ (width, height)
    cols, rows = (max(int(np.ceil(side - 1e-6)), 1) for side in reach)
    factor = next((factor for most, factor in OVERSAMPLING if rows * cols <= most), 1)
    image = Image.new("RGBA", (cols * factor, rows * factor))
    draw = ImageDraw.Draw(image)
    centre = np.array([cols, rows]) * factor / 2
    for shape in glyph.shapes:
        points = (_corners(shape) * (width, height)) @ rotation.T * factor + centre - 0.5
        line = max(round(shape.stroke_width * min(width, height) * factor), 1) if shape.stroke else 0
        layer = Image.new("RGBA", image.size) if is_clear(shape) else image
        corners = [(x, y) for x, y in points.tolist()]
        ImageDraw.Draw(layer).polygon(corners, _paint(shape.fill, agent), _paint(shape.stroke, agent), line)
        if layer is not image:
            image.alpha_composite(layer)
    if glyph.is_numbered and min(width, height) >= 9:
        size = 0.5 * min(width, height) * factor
        place = (centre[0], centre[1] + 0.06 * height * factor)
        draw.text(place, str(agent), _paint(ink_on(agent_colour(agent)), agent), _font(size), anchor="mm")
    return as_sprite(np.asarray(image.reduce(factor) if factor > 1 else image))


@functools.lru_cache(maxsize=1024)
def panel_row(row: Row, glyph: Glyph | None, line: int, width: int) -> Sprite:
    """A row of the panel, so high and so wide."""
    image = Image.new("RGBA", (max(width, 1), line), PAPER)
    draw = ImageDraw.Draw(image)
    left = 0.0
    if glyph is not None:
        sprite = draw_sprite(glyph, round(0.9 * line), round(0.9 * line), 0, row.agent)
        pixels = np.asarray(image.convert("RGB")).copy()
        paste(pixels, sprite, 0, 0)
        image = Image.fromarray(pixels).convert("RGBA")
        draw, left = ImageDraw.Draw(image), 1.2 * line
    draw.text((left, 0.45 * line), row.text, INK, _font(0.72 * line), anchor="lm")
    if row.level is not None:
        draw.rectangle((0, line - 3, width - 1, line - 1), "#dee2e6")
        draw.rectangle((0, line - 3, max(row.level * width - 1, 0), line - 1), "#1c7ed6")
    return as_sprite(np.asarray(image))


def as_sprite(pixels: np.ndarray) -> Sprite:
    """Prepares pixels `[h, w, 4]` uint8 to be pasted."""
    opacity = pixels[..., 3:].astype(np.uint16)
    opacity += opacity >> 7  # 255 becomes 256
    return pixels[..., :3] * opacity, 256 - opacity


def is_clear(shape: Shape) -> bool:
    """Whether one sees through a shape, so that it is laid over the shapes below it."""
    return any(len(colour) == len("#rrggbbaa") for colour in (shape.fill, shape.stroke))


def _corners(shape: Shape) -> np.ndarray:
    """The corners of a shape, `[corners, 2]`."""
    if len(shape.points) > 1:
        return np.array(shape.points)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    return np.array(shape.points) + shape.radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _paint(colour: str, agent: int) -> str | None:
    return (agent_colour(max(agent, 0)) if colour == AGENT else colour) or None


@functools.lru_cache(maxsize=64)
def _font(size: float) -> Any:
    return ImageFont.load_default(size)
