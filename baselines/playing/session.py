"""A game that people play together with other agents: its luck, its history and its time. It knows no network.

The keys of a step are derived from the seed, the number of the episode and the number of the step. So a game that goes
back some steps meets the same draws again, and other agents act alike if they see the same.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.core.players import Player, check_memory, check_player
from baselines.demonstrations.records import split_observed
from baselines.disk.packing import pack
from baselines.playing.episode_files import EpisodeFiles
from jaxdilemmas.arguments import check_count, is_count, require
from jaxdilemmas.rendering.panel import Tally

MOST_STEPS_A_SECOND = 30


class Moment(NamedTuple):
    """What is known before a step, NumPy arrays.

    Attributes:
      state: of the game.
      memory: of the other agents.
      obs: `[N, ...]`, what agents see.
    """

    state: Any
    memory: Any
    obs: Any


class Step(NamedTuple):
    """What came of a step, NumPy arrays.

    Attributes:
      actions: `[N]` int32, of people and of others.
      rewards: `[N]` float32.
      terminated: `[]` bool, the game ended.
      truncated: `[]` bool, the clock ended it.
      events: by name `[N]` float32, the info of the game.
    """

    actions: Any
    rewards: Any
    terminated: Any
    truncated: Any
    events: dict[str, Any]


class Session:
    """Episodes that are played one after another, each kept step by step until it ends.

    Args:
      player: plays the seats that people do not have, and names the game.
      seats: the agents that people play, each once.
      stand: the action of a person who chose none in time, or is away.
      files: where episodes go when they end.
      seed: of all draws.

    Attributes:
      moments: T + 1 of them, from the start of the episode until now.
      steps: T of them.
      tallies: returns and events until each moment.
      present: the seats whose people are there.
      is_paused: whether time and people wait.
      rate: steps a second, or 0 for turn by turn: a step is played when everybody who is there has chosen.

    Raises:
      ValueError: a seat is none of the game, the episode is too long for memory, or an argument is of another kind.
    """

    def __init__(self, player: Player, seats: Sequence[int], stand: int, files: EpisodeFiles, seed: int = 0) -> None:
        check_player("player", player)
        env: Any = player.env
        for seat in seats:
            require(is_count(seat, 0, env.num_agents - 1), "human", seat, f"agents from 0 to {env.num_agents - 1}")
        require(0 < len(set(seats)) == len(seats), "human", list(seats), "at least one agent, each once")
        self.env, self.seats, self.stand, self.files = env, tuple(seats), stand, files
        self.present: set[int] = set()
        self.is_paused = False
        self.rate = 0
        self._chosen: dict[int, int] = {}
        self._seed, self._episode = jax.random.key(seed), -1
        self._is_human = np.isin(np.arange(env.num_agents), self.seats)
        self._begin = jax.jit(functools.partial(_begin, player))
        self._play = jax.jit(functools.partial(_play, player))
        check_memory(env, jax.eval_shape(self._begin, self._seed))
        self.restart()

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.steps) and bool(self.steps[-1].terminated | self.steps[-1].truncated)

    @property
    def waiting_for(self) -> list[int]:
        """Those who are there and have not chosen."""
        return sorted(self.present - self._chosen.keys())

    @property
    def is_due(self) -> bool:
        """Whether the next step can be played: by turns when all have chosen, in real time at any time."""
        is_going = bool(self.present) and not self.is_paused and not self.is_over
        return is_going and (self.rate > 0 or not self.waiting_for)

    def compile(self) -> None:
        """Compiles the step, so that the first one does not take longer than others."""
        jax.block_until_ready(self._next())

    def act(self, seat: int, action: int) -> None:
        """Chooses what a person does in the next step; the last choice before it counts.

        Raises:
          ValueError: nobody plays this seat, the action is none of the game, the game is paused or over.
        """
        require(seat in self.seats, "seat", seat, f"people play {list(self.seats)}")
        most = self.env.action_space.n - 1
        require(is_count(action, 0, most), "action", action, f"a whole number from 0 to {most}")
        require(not self.is_paused, "action", action, "none while the game is paused")
        require(not self.is_over, "action", action, "none, for the episode is over: restart begins the next one")
        self._chosen[seat] = action

    def leave(self, seat: int) -> None:
        """A person is away; until somebody comes back the agent stands."""
        self.present.discard(seat)
        self._chosen.pop(seat, None)

    def tick(self) -> None:
        """Plays a step; those who chose nothing stand. An episode that ends is written.

        Raises:
          ValueError: the episode is over.
          OSError: the episode cannot be written.
        """
        require(not self.is_over, "tick", len(self.steps), "a step of an episode that is not over")
        moment, step = jax.device_get(self._next())
        self._chosen.clear()
        returns, events = self.tallies[-1]
        self.moments.append(moment)
        self.steps.append(step)
        self.tallies.append(Tally(returns + step.rewards, {k: events.get(k, 0) + v for k, v in step.events.items()}))
        if self.is_over:
            self.files.add(self.arrays())

    def back(self, num_steps: int) -> None:
        """Undoes the last steps, at most all; what follows meets the same draws.

        Raises:
          ValueError: `num_steps` is no whole number of at least 1, or the episode is over and so written.
        """
        check_count("steps", num_steps)
        require(not self.is_over, "steps", num_steps, "none, for the episode is over and written: restart")
        left = max(0, len(self.steps) - num_steps)
        del self.moments[left + 1 :], self.steps[left:], self.tallies[left + 1 :]
        self._chosen.clear()

    def restart(self) -> None:
        """Begins the next episode, with draws of its own. One that is not over is dropped."""
        self._episode += 1
        self._key = jax.random.fold_in(self._seed, self._episode)
        zeros = np.zeros(self.env.num_agents)
        self.moments: list[Moment] = [jax.device_get(self._begin(self._key))]
        self.steps: list[Step] = []
        self.tallies = [Tally(zeros)]
        self._chosen.clear()

    def save(self) -> str:
        """Closes the file, so that it can be loaded; returns what it holds and what is missing, in one sentence.

        Raises:
          OSError: the file cannot be written.
        """
        is_open = bool(self.steps) and not self.is_over
        missing = f"; the episode at step {len(self.steps)} is not over and not in it" if is_open else ""
        return self.files.finish() + missing

    def arrays(self) -> dict[str, np.ndarray]:
        """The episode so far as in `demonstrations.records.to_arrays`, without its number; it has at least one step."""
        before, steps = _stack(self.moments[:-1]), _stack(self.steps)
        arrays = {name: getattr(steps, name) for name in ("actions", "rewards", "terminated", "truncated")}
        arrays |= split_observed("obs", before.obs) | split_observed("next_obs", _stack(self.moments[1:]).obs)
        arrays |= {f"events.{name}": values for name, values in steps.events.items()}
        return arrays | {f"states.{name}": np.asarray(values) for name, values in pack(before.state).items()}

    def _next(self) -> tuple[Moment, Step]:
        """The moment after the next step, and what comes of it."""
        actions = [self._chosen.get(agent, self.stand) for agent in range(self.env.num_agents)]
        number = np.int32(len(self.steps))
        return self._play(self.moments[-1], self._key, number, np.asarray(actions, np.int32), self._is_human)


def _begin(player: Player, key: jax.Array) -> Moment:
    """The start of an episode."""
    obs, state = player.env.reset(jax.random.fold_in(key, 0))
    return Moment(state, player.initial_memory, obs)


def _play(
    player: Player, moment: Moment, key: jax.Array, number: jax.Array, chosen: jax.Array, is_human: jax.Array
) -> tuple[Moment, Step]:
    """Step `number` of an episode: people do what is chosen `[N]` int32, the others what their player does."""
    key_act, key_step = jax.random.split(jax.random.fold_in(key, number + 1))
    actions, memory = player.act(moment.obs, moment.state, moment.memory, key_act)
    actions = jnp.where(is_human, chosen, actions.astype(jnp.int32))
    obs, state, rewards, terminated, truncated, info = player.env.step(key_step, moment.state, actions)
    events = {name: values.astype(jnp.float32) for name, values in info.items()}
    return Moment(state, memory, obs), Step(actions, rewards, terminated, truncated, events)


def _stack(parts: Sequence[Any]) -> Any:
    """One after another on a new leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
