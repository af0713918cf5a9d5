"""PayoffEnvironment: what games without a board share in which all agents choose at once, round after round.

The choices of a round decide the rewards. Agents see the choices of the last round. A game may end by chance after each
round: a one-shot game ends so, never by the clock, since learners look past the clock.
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.environment import Environment, Transition, check_counts, check_numbers
from jaxdilemmas.uniforms import uniform


class RoundParams(struct.PyTreeNode):
    """The numbers in the rules that all such games have.

    Attributes:
      continuation: probability that another round follows, 0 to 1: with 0 a game has one round, with 1 it never ends.
      max_steps: length of an episode, in rounds.
    """

    continuation: Any = 1.0
    max_steps: Any = 100


class RoundState(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      last_choices: `[N]`, the choices of the last round, of the dtype of actions; 0 before the first round.
      step_count: `[]` int32, rounds since the reset.
    """

    last_choices: jax.Array
    step_count: jax.Array


class PayoffEnvironment(Environment):
    """A game of rounds, which writes `draws_from`, `choices_from`, `payoffs`, `features` and the spaces.

    Its `default_params` extend `RoundParams`, its `Draws` have a field `episode_end` (`[]` float32). A game with more
    chance than its end also writes `is_chancy`.

    Attributes:
      num_uniforms: random numbers of a round.
    """

    num_uniforms: int = 1

    def check_rounds(self) -> None:
        """Raises a ValueError if a number in `RoundParams` is not allowed."""
        check_numbers(self.default_params, 1, "continuation")
        check_counts(self.default_params, "max_steps")

    @abc.abstractmethod
    def draws_from(self, uniforms: jax.Array) -> Any:
        """The `Draws` of a round, from `num_uniforms` float32 in [0, 1)."""

    @abc.abstractmethod
    def choices_from(self, draws: Any, actions: jax.Array, params: Any) -> jax.Array:
        """What agents choose, `[N]`, by their actions `[N]`."""

    @abc.abstractmethod
    def payoffs(self, choices: jax.Array, params: Any) -> jax.Array:
        """The rewards of a round, `[N]` float32, by the choices `[N]` of all agents."""

    @abc.abstractmethod
    def features(self, choices: jax.Array) -> jax.Array:
        """How choices are seen, `[N, N]` -> `[N, N, F]` float32."""

    def is_chancy(self, params: Any) -> jax.Array:
        """Whether the draws of a round can change anything, `[]` bool."""
        return jnp.asarray(params.continuation) < 1

    def initial_state(self, key: jax.Array, params: Any) -> RoundState:
        """No round was played."""
        del key, params
        return RoundState(jnp.zeros(self.num_agents, self.action_space.dtype), jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: RoundState, params: Any) -> Any:
        """The uniforms of a round; they are not drawn, and may be 0, in a game that leaves nothing to chance."""
        del state
        return compute_if_any(lambda key: self.draws_from(uniform(key, self.num_uniforms)), self.is_chancy(params), key)

    def transition(self, draws: Any, state: RoundState, actions: jax.Array, params: Any) -> Transition:
        """One round: all choose at once and get rewards; then the game goes on with a probability."""
        choices = self.choices_from(draws, actions, params)
        state = RoundState(choices, state.step_count + 1)
        info = {"choice": choices.astype(jnp.float32)}
        return state, self.payoffs(choices, params), draws.episode_end >= params.continuation, info

    def observe(self, state: RoundState, params: Any) -> jax.Array:
        """The choices of the last round, one's own first, then those of agents i + 1, i + 2, ...; `[N, N * F + 1]`.

        The last entry is 1 once a round was played; before that all entries are 0.
        """
        del params
        N = self.num_agents
        seen = self.features(in_cyclic_order(state.last_choices)).reshape(N, -1)
        is_played = jnp.broadcast_to((state.step_count > 0).astype(jnp.float32), (N, 1))
        return jnp.concatenate([seen * is_played, is_played], axis=1)


def in_cyclic_order(values: jax.Array) -> jax.Array:
    """The values of all agents as each agent counts them, `[N]` -> `[N, N]`: row i begins with agent i."""
    twice = jnp.concatenate([values, values])
    return jnp.stack([twice[agent : agent + len(values)] for agent in range(len(values))])
