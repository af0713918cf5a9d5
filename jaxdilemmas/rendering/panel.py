"""What stands beside a picture: the step, the agents with their returns, what has happened, gauges and the legend."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdilemmas.rendering.picture import HIDDEN, Picture, Shown

MOST_AGENTS = 16
"""Agents that have a row of their own."""


class Tally(NamedTuple):
    """What has come of an episode so far.

    Attributes:
      returns: `[..., N]` float32, sums of rewards.
      events: by name `[..., N]`, sums of what the info of the game reports.
    """

    returns: Any
    events: Mapping[str, Any] = {}


class Row(NamedTuple):
    """A line of the panel.

    Attributes:
      text: what it says.
      glyph: the sign before it, or "".
      agent: whose colour the sign has.
      level: how far a bar is filled, from 0 to 1, or None for no bar.
    """

    text: str
    glyph: str = ""
    agent: int = HIDDEN
    level: float | None = None


class Layout(NamedTuple):
    """Where things stand in an image, in pixels.

    Attributes:
      cell: side of a cell.
      board: (width, height) of the plane.
      line: height of a row.
      size: (width, height) of the image.
    """

    cell: int
    board: tuple[int, int]
    line: int
    size: tuple[int, int]


def lay_out(picture: Picture, width: int, num_rows: int) -> Layout:
    """The plane on the left, the panel with `num_rows` rows on the right, in an image of `width` pixels."""
    cell = max(1, int((width - max(0.25 * width, min(170, 0.5 * width))) // picture.width))
    board = (round(cell * picture.width), round(cell * picture.height))
    line = min(max(round(width / 46), 9), 22)
    return Layout(cell, board, line, (width, max(board[1], (num_rows + 1) * line)))


def rows_of(picture: Picture, shown: Shown, tally: Tally | None) -> list[Row]:
    """The rows beside one state, the legend last; as many for every state of an episode."""
    rows = [Row(f"step {int(shown.step_count)}")]
    sign = next((name for name in ("agent", "walker", "car") if name in picture.glyphs), "")
    for agent in range(min(picture.num_agents, MOST_AGENTS)):
        words = [name for name, holds in shown.status.items() if holds[agent]]
        score = "" if tally is None else f"  {format_number(tally.returns[agent])}"
        rows.append(Row(f"agent {agent}{score}  {', '.join(words)}".rstrip(), sign, agent))
    if picture.num_agents > MOST_AGENTS:
        rows.append(Row(f"and {picture.num_agents - MOST_AGENTS} more agents"))
    if tally is not None:
        rows.append(Row(f"collective return {format_number(np.sum(tally.returns))}"))
        rows += [Row(f"{name.replace('_', ' ')} {format_number(np.sum(v))}") for name, v in tally.events.items()]
    for gauge, level in zip(picture.gauges, shown.levels, strict=True):
        share = float(np.clip(level / gauge.most, 0, 1))
        rows.append(Row(f"{gauge.name} {format_number(level)} of {format_number(gauge.most)}", level=share))
    return [*rows, *(Row(text, name) for name, text in picture.legend.items())]


def format_number(value: Any) -> str:
    """A number with as many digits as it needs, at most four."""
    return f"{float(value):.4g}"
