"""Episodes to watch: one HTML page that needs nothing else, with the states as differences.

>>> replay = record(env, policies.scripted(env, "greedy"), jax.random.key(0))
>>> replay  # in a notebook
>>> save_replay([replay], "replay.html")
"""

import base64
import html
import json
import math
import os
import string
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import resources
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdilemmas.arguments import check_count, check_kind, require
from jaxdilemmas.environment import Environment, Policy, check_key
from jaxdilemmas.rendering.glyphs import AGENT_COLOURS
from jaxdilemmas.rendering.picture import HIDDEN, Marks, Picture, picture_of, show_states, unwrap
from jaxdilemmas.spaces import WithExtras

UNIT = 100
"""Lengths in a replay are whole hundredths of a cell."""

MOST_OBSERVED = 64
"""Numbers of an observation up to which a replay holds observations; larger ones are boards, whose window is shown."""

MOST_REPLAYS = 4
"""Episodes side by side on one page."""


class Replay(NamedTuple):
    """An episode to watch, NumPy arrays.

    Attributes:
      env: the game.
      states: `[T + 1, ...]`, from the start to the last step.
      actions: `[T, N]`, or `[T, N, ...]` where the action space is a Box.
      rewards: `[T, N]` float32.
      events: by name `[T, N]`, what the info of the game reports.
      title: what is shown above.
      metrics: numbers about the whole episode, by name.
    """

    env: Environment
    states: Any
    actions: Any
    rewards: Any
    events: Mapping[str, Any] = {}
    title: str = ""
    metrics: Mapping[str, float] = {}

    def _repr_html_(self) -> str:
        """The replay in a frame of a notebook."""
        page = html.escape(make_page([self]), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="640" style="border: 0" sandbox="allow-scripts"></iframe>'


def record(env: Environment, policy: Policy, key: jax.Array, num_steps: int | None = None, title: str = "") -> Replay:
    """Plays an episode by a policy.

    Args:
      env: a game without `AutoReset`.
      policy: a function `policy(key, state) -> actions [N]`, such as `policies.scripted(env, name)`.
      key: a JAX PRNG key, used once.
      num_steps: the most steps; `max_steps` of the game when left out.
      title: what is shown above.

    Raises:
      ValueError: an argument is of another kind.
    """
    game, _ = unwrap(env)
    picture_of(game)
    check_key(key)
    require(
        callable(policy), "policy", policy, "a function policy(key, state), as jaxdilemmas.policies.scripted returns"
    )
    num_steps = check_count("num_steps", int(game.default_params.max_steps) if num_steps is None else num_steps)
    states, actions, rewards, info, is_over = jax.device_get(_play(game, policy, num_steps, key))
    length = int(is_over.argmax()) + 1 if is_over.any() else num_steps
    return Replay(
        game,
        jax.tree.map(lambda leaf: leaf[: length + 1], states),
        actions[:length],
        rewards[:length],
        {name: values[:length] for name, values in info.items()},
        title,
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def _play(env: Environment, policy: Policy, num_steps: int, key: jax.Array) -> tuple[Any, ...]:
    """States `[T + 1, ...]`, and actions, rewards, info and whether the episode ended, `[T, ...]`."""

    def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_act, key_step = jax.random.split(key)
        actions = policy(key_act, state)
        _, following, rewards, terminated, truncated, info = env.step(key_step, state, actions)
        return following, (following, actions, rewards, info, terminated | truncated)

    key, key_reset = jax.random.split(key)
    _, first = env.reset(key_reset)
    _, (later, *others) = jax.lax.scan(step, first, jax.random.split(key, num_steps))
    states = jax.tree.map(lambda start, rest: jax.numpy.concatenate([start[None], rest]), first, later)
    return states, *others


def save_replay(replays: Sequence[Replay], path: str | os.PathLike[str]) -> None:
    """Writes a page with one episode, or with several side by side.

    Args:
      replays: one to four.
      path: the HTML file to write.

    Raises:
      ValueError: as `make_page`, or `path` is of another kind.
    """
    require(isinstance(path, str | os.PathLike), "path", path, "a path of a file")
    page = make_page(replays)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def make_page(replays: Sequence[Replay]) -> str:
    """An HTML page with one episode, or with several side by side. It loads nothing from elsewhere.

    Raises:
      ValueError: there are no replays or more than four, one is of another kind, or its arrays do not fit each other.
    """
    is_list = isinstance(replays, Sequence) and 1 <= len(replays) <= MOST_REPLAYS
    require(is_list, "replays", replays, f"a list of 1 to {MOST_REPLAYS} replays")
    for replay in replays:
        check_kind("replays", replay, Replay, "a list of Replays, as record(...) returns them")
        check_replay(replay)
    title = " | ".join(replay.title or type(replay.env).__name__ for replay in replays)
    return fill_page(title, pack(replays))


def pack(replays: Sequence[Replay]) -> str:
    """The episodes as the page holds them: JSON, compressed, in letters."""
    text = json.dumps([describe(replay) for replay in replays], separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def fill_page(title: str, packed: str) -> str:
    """The page of episodes that `pack` returned."""
    script = read_web("board.js") + read_web("replay.js")
    template = string.Template(read_web("replay.html"))
    return template.substitute(title=html.escape(title), style=read_web("style.css"), data=packed, script=script)


def read_web(name: str) -> str:
    """The text of a file of the web pages."""
    return resources.files("jaxdilemmas.rendering").joinpath("web", name).read_text(encoding="utf-8")


def check_replay(replay: Replay) -> None:
    """Raises a ValueError unless the arrays of a replay are of one episode of its game."""
    game, states = unwrap(replay.env, replay.states)
    picture_of(game)
    game.check_state(states, is_batch_allowed=True)
    num_steps = len(np.atleast_1d(states.step_count)) - 1
    require(np.ndim(states.step_count) == 1, "states", np.shape(states.step_count), "one leading axis, of time")
    arrays = {"rewards": replay.rewards, **{f"events[{name!r}]": values for name, values in replay.events.items()}}
    for name, values in arrays.items():
        shape = (num_steps, game.num_agents)
        require(np.shape(values) == shape, f"{name} of shape", np.shape(values), f"{shape}, by the states")
    shape = (num_steps, game.num_agents, *game.action_space.shape)
    require(np.shape(replay.actions) == shape, "actions of shape", np.shape(replay.actions), f"{shape}, by the states")


def describe(replay: Replay) -> dict[str, Any]:
    """An episode as JSON: the picture of the game, its first frame, and for each step what changes."""
    game, states = unwrap(replay.env, replay.states)
    picture, shown = picture_of(game), show_states(game, states)
    frames = quantize(shown.marks)
    returns = sums_from_start(replay.rewards)
    return {
        "title": replay.title or type(game).__name__,
        "metrics": {name: float(value) for name, value in replay.metrics.items() if np.isfinite(value)},
        "picture": describe_picture(game, picture),
        "first": frames[0].ravel().tolist(),
        "changes": [changes_between(frames[t], frames[t + 1]) for t in range(len(frames) - 1)],
        "first_step": int(shown.step_count[0]),
        "returns": np.round(returns, 4).tolist(),
        "levels": np.round(shown.levels.astype(np.float64), 4).tolist(),
        "status": words_of(shown.status, len(frames), picture.num_agents),
        "actions": np.round(np.asarray(replay.actions, np.float64), 3).tolist()
        if replay.actions.dtype.kind == "f"
        else replay.actions.tolist(),
        "events": {name: happened(values) for name, values in replay.events.items() if np.any(values)},
        "observations": observations_of(game, states),
    }


def sums_from_start(values: np.ndarray) -> np.ndarray:
    """Sums of `values` `[T, N]` before each frame, `[T + 1, N]` float64."""
    sums = np.cumsum(values, 0, dtype=np.float64)
    return np.concatenate([np.zeros_like(sums[:1]), sums])


def describe_picture(game: Any, picture: Picture) -> dict[str, Any]:
    """How a game looks, as JSON."""
    window = getattr(game, "window", None)
    return {
        "width": float(picture.width),
        "height": float(picture.height),
        "num_agents": picture.num_agents,
        "colours": AGENT_COLOURS,
        "glyphs": [
            {
                "name": name,
                "is_numbered": glyph.is_numbered,
                "shapes": [shape._asdict() for shape in glyph.shapes],
            }
            for name, glyph in picture.glyphs.items()
        ],
        "ground": quantize(picture.ground).ravel().tolist(),
        "legend": dict(picture.legend),
        "gauges": [gauge._asdict() for gauge in picture.gauges],
        "actions": picture.actions,
        "window": None if window is None else [window.ahead, window.behind, window.side],
    }


def quantize(marks: Marks) -> np.ndarray:
    """Marks as whole numbers, `[..., M, 7]` int32: lengths in hundredths of a cell, turns in degrees."""
    scales = (1, UNIT, UNIT, 1, UNIT, UNIT, 1)
    fields = [np.round(np.asarray(field) * scale) for field, scale in zip(marks, scales, strict=True)]
    numbers = np.stack(fields, -1).astype(np.int32)
    return np.where(numbers[..., :1] == HIDDEN, np.int32(HIDDEN), numbers)


def changes_between(before: np.ndarray, after: np.ndarray) -> list[int]:
    """The marks that differ between two frames, each as its number and its seven fields, one after the other.

    Args:
      before: `[M, 7]` int32, see `quantize`.
      after: `[M, 7]` int32.
    """
    changed = np.flatnonzero((before != after).any(-1))
    return np.concatenate([changed[:, None], after[changed]], 1).ravel().tolist()


def words_of(status: Mapping[str, np.ndarray], num_frames: int, num_agents: int) -> list[list[str]]:
    """The words about each agent in each frame."""
    return [
        [", ".join(name for name, holds in status.items() if holds[t, i]) for i in range(num_agents)]
        for t in range(num_frames)
    ]


def happened(values: np.ndarray) -> list[list[float]]:
    """Where an event is not 0, for `values` `[T, N]`: the step after which it shows, the agent, and how much."""
    steps, agents = np.nonzero(np.nan_to_num(values))
    amounts = np.round(np.asarray(values, np.float64)[steps, agents], 4)
    return [[int(t) + 1, int(i), float(v)] for t, i, v in zip(steps, agents, amounts, strict=True)]


def observations_of(game: Environment, states: Any) -> list[Any] | None:
    """What agents observe in each frame, `[T + 1]` results of `in_words`, or None if that is a board."""
    if not is_in_words(game):
        return None
    observed = jax.device_get(jax.jit(jax.vmap(lambda state: game.observe(state, game.default_params)))(states))
    return [in_words(game, jax.tree.map(lambda leaf, t=t: leaf[t], observed)) for t in range(len(states.step_count))]


def is_in_words(game: Environment) -> bool:
    """Whether people can read what agents observe, or a part of it."""
    space = game.observation_space
    return isinstance(space, WithExtras) or math.prod(space.shape) <= MOST_OBSERVED


def in_words(game: Environment, obs: Any) -> list[Any]:
    """The observation of each agent, for people to read: its numbers, or its extras by name.

    Args:
      game: see `is_in_words`.
      obs: `[N, ...]`, or an `Observation`.
    """
    space = game.observation_space
    numbers = obs.extras if isinstance(space, WithExtras) else obs
    rounded = np.round(np.asarray(numbers, np.float64), 3).tolist()
    return [dict(zip(space.names, own, strict=True)) for own in rounded] if isinstance(space, WithExtras) else rounded
