"""Recorded episodes of vicgalle/llm-policies-social-dilemmas, played again; tests/data/README.md has their keys."""

import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas import Environment
from tests.reference.rollouts import Rollout, observe, replay, start

DATA = pathlib.Path(__file__).parents[1] / "data"
FIELDS = {"positions": "pos", "headings": "orient", "timeouts": "timeout", "hits": "hits", "apples": "apple_alive"}
"""What our states call the recorded arrays."""


def load(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a recording and its configuration."""
    with np.load(DATA / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return arrays, json.loads(str(arrays["config"]))


class Recording:
    """A recorded episode, the environment that has to reproduce it, and what that environment does.

    Attributes:
      arrays: see tests/data/README.md.
      config: parameters of the recorded game.
      env: made to see in RGB.
      draws: the recorded chance, leading axis T.
    """

    def __init__(self, name: str, env: Environment, draws: Any) -> None:
        self.arrays, self.config = load(name)
        self.env: Any = env
        self.draws = draws

    def start(self) -> Any:
        """The recorded state 0, put into a state of the environment."""
        state = start(self.env)
        names = FIELDS | ({"apple_timers": "apple_timer"} if hasattr(state, "apple_timers") else {})
        fields = {name: self.arrays[key][0] for name, key in names.items()}
        if hasattr(state, "waste"):
            fields["waste"] = self.waste()[0]
        return state.replace(
            **{name: jnp.asarray(values, getattr(state, name).dtype) for name, values in fields.items()}
        )

    def waste(self) -> np.ndarray:
        """Which river cells hold waste, `[T + 1, R]` bool."""
        rows, cols = self.arrays["river_cells"].T
        return self.arrays["waste"][:, rows, cols]

    @functools.cached_property
    def rollout(self) -> Rollout:
        """The recorded actions under the recorded draws."""
        return replay(self.env, self.start(), self.draws, self.arrays["actions"])

    def views(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The times of recorded observations, what our agents see and what was recorded, `[N, h, w, 3]` each."""
        first = observe(self.env, self.start())
        for k, t in enumerate(self.arrays["obs_t"].tolist()):
            yield t, first if t == 0 else self.rollout.obs[t - 1], np.moveaxis(self.arrays["obs"][k], 1, -1)

    def assert_ends_on_time(self) -> None:
        """The clock ends the episode in the step in which the recording is done."""
        is_over = self.rollout.states.step_count >= self.env.default_params.max_steps
        np.testing.assert_array_equal(is_over, self.arrays["done"])

    def assert_seen_as_recorded(self) -> None:
        """What agents see is what was recorded, pixel by pixel, at every recorded time."""
        for t, obs, expected in self.views():
            np.testing.assert_array_equal(obs, expected, err_msg=f"state {t}")

    def boards(self) -> tuple[np.ndarray, np.ndarray]:
        """The tile ids of the board after every step and where agents hide what lies there, `[T, H, W]` each."""
        states = self.rollout.states
        boards = np.asarray(jax.jit(jax.vmap(self.env.draw_board))(states))
        is_hidden = np.zeros(boards.shape, bool)
        is_hidden[np.arange(len(boards))[:, None], states.positions[..., 0], states.positions[..., 1]] = True
        return boards, is_hidden
