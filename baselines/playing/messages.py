"""What a page and the server write to each other: JSON objects with a type.

A page sends a type and at most one whole number; `parse` refuses everything else. The server sends `hello` once, then
`frame` after each change, with the marks that differ from those the page has; `said` and `error` have a sentence.
"""

import json
from typing import Any, NamedTuple

import numpy as np

from baselines.playing.keyboard import Keyboard
from baselines.playing.session import MOST_STEPS_A_SECOND, Session
from jaxdilemmas.arguments import MOST_COUNT, is_count, require
from jaxdilemmas.rendering.picture import picture_of, show_states
from jaxdilemmas.rendering.replay import changes_between, describe_picture, in_words, is_in_words, quantize, words_of

MOST_BYTES = 4096
"""The length of a message from a page."""

NUMBERS: dict[str, tuple[str, int, int] | None] = {
    "act": ("action", 0, MOST_COUNT),
    "back": ("steps", 1, MOST_COUNT),
    "pause": ("is_paused", 0, 1),
    "pace": ("rate", 0, MOST_STEPS_A_SECOND),
    "restart": None,
    "save": None,
}
"""The types of messages from a page, each with the name, the least and the largest value of its number."""


def parse(text: Any) -> tuple[str, int]:
    """The type and the number of a message from a page; 0 where the type has no number.

    Raises:
      ValueError: it is no such message.
    """
    require(isinstance(text, str), "message", type(text).__name__, "text")
    require(len(text) <= MOST_BYTES, "message", f"{len(text)} characters", f"at most {MOST_BYTES}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    require(isinstance(message, dict), "message", text[:80], "a JSON object")
    kind = message.get("type")
    require(isinstance(kind, str) and kind in NUMBERS, "type", kind, f"one of {', '.join(NUMBERS)}")
    number = NUMBERS[kind]
    fields = {"type"} if number is None else {"type", number[0]}
    require(message.keys() == fields, "fields", sorted(message)[:8], f"{', '.join(sorted(fields))} of type {kind}")
    if number is None:
        return kind, 0
    name, least, most = number
    value = message[name]
    require(is_count(value, least, most), name, value, f"a whole number from {least} to {most}")
    return kind, value


class Scene(NamedTuple):
    """What a session looks like now.

    Attributes:
      marks: `[M, 7]` int32, see `rendering.replay.quantize`.
      fields: of the frame, the same for all pages.
      obs: of each agent, see `rendering.replay.in_words`; None if agents see a board, whose window the page shows.
    """

    marks: np.ndarray
    fields: dict[str, Any]
    obs: list[Any] | None


def look_at(session: Session) -> Scene:
    """The scene of the moment."""
    env, moment, tally = session.env, session.moments[-1], session.tallies[-1]
    shown = show_states(env, moment.state)
    status = {name: holds[None] for name, holds in shown.status.items()}
    events = [f"{name.replace('_', ' ')} {np.sum(v):.4g}" for name, v in tally.events.items() if np.any(v)]
    fields = {
        "step": int(shown.step_count),
        "num_steps": len(session.steps),
        "returns": np.round(tally.returns, 4).tolist(),
        "status": words_of(status, 1, env.num_agents)[0],
        "actions": session.steps[-1].actions.tolist() if session.steps else None,
        "levels": np.round(shown.levels.astype(np.float64), 4).tolist(),
        "events": " · ".join(events),
        "num_episodes": session.files.num_episodes,
        "is_over": session.is_over,
    }
    return Scene(quantize(shown.marks), fields, in_words(env, moment.obs) if is_in_words(env) else None)


def frame(scene: Scene, session: Session, seat: int, before: np.ndarray | None) -> dict[str, Any]:
    """The message that shows a scene to the person at `seat`, whose page has the marks `before`, or none yet."""
    return {
        "type": "frame",
        **scene.fields,
        "marks": scene.marks.ravel().tolist() if before is None else None,
        "changes": None if before is None else changes_between(before, scene.marks),
        "observation": None if scene.obs is None else scene.obs[seat],
        "is_paused": session.is_paused,
        "rate": session.rate,
        "waiting_for": session.waiting_for,
        "away": sorted(set(session.seats) - session.present),
    }


def hello(session: Session, seat: int, keyboard: Keyboard, title: str) -> dict[str, Any]:
    """The first message to a page: who plays, how the game looks, and its keys."""
    return {
        "type": "hello",
        "title": title,
        "seat": seat,
        "picture": describe_picture(session.env, picture_of(session.env)),
        "keys": [keys._asdict() for keys in keyboard.actions],
        "stand": keyboard.stand,
    }


def error(reason: Exception | str) -> dict[str, Any]:
    """The message that something was refused, and why."""
    return {"type": "error", "message": str(reason)}
