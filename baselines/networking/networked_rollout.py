"""Playing rollouts with networks that communicate, and going back through them.

Backpropagation through time is written out: step by step only the gradient in the memory goes back. That in the
parameters follows for all steps at once, in a product that is many times faster than adding up one outer product a
step, as the derivative of a scan does.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from baselines.core import devices
from baselines.core.rollout import CARRY_AXES, RolloutCarry
from baselines.networking.protocols import Memory, Network, Params, advance
from jaxdilemmas.batching import compute_if
from jaxdilemmas.environment import Environment
from jaxdilemmas.metrics import social_metrics


class NetworkedPlayers(NamedTuple):
    """An environment and the networks that play it.

    Attributes:
      env: resets itself and has `info["final_obs"]` (`jaxdilemmas.AutoReset(..., final_observation=True)`).
      network: of all its agents.
    """

    env: Environment
    network: Network


Draws = tuple[jax.Array, jax.Array]
"""Of a step: by which numbers `[B, N]` actions are drawn, and keys `[B]` of the environments."""


class NetworkedRollout(NamedTuple):
    """What happened, leading axes `[T, B]`.

    Attributes:
      starts: `[T, B]` bool, whether a step is the first of an episode.
      before: memory before the step.
      gates: `[T, B, N, 4 H]` float32, inputs of the LSTM's gates.
      after: memory after it.
      obs: `[T, B, N, O]` float32.
      actions: `[T, B, N]` int32.
      rewards: `[T, B, N]` float32.
      terminated: `[T, B]` bool.
      truncated: `[T, B]` bool.
      info: a dict of `[T, B, N]` arrays.
    """

    starts: jax.Array
    before: Memory
    gates: jax.Array
    after: Memory
    obs: jax.Array
    actions: jax.Array
    rewards: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    info: dict[str, jax.Array]


def choose(probabilities: jax.Array, uniforms: jax.Array) -> jax.Array:
    """Actions `[...]` int32 that numbers `[...]` in [0, 1) pick from distributions `[..., A]`."""
    return jnp.sum(jnp.cumsum(probabilities, axis=-1)[..., :-1] <= uniforms[..., None], axis=-1, dtype=jnp.int32)


def remember(network: Network, params: Params, gates: jax.Array, memory: Memory) -> Memory:
    """Memory after a step, from inputs of the gates `[..., N, 4 H]`; it holds what agents are about to play."""
    hidden, cell = advance(gates, memory.cell)
    return Memory(hidden, cell, jax.nn.softmax(network.logits(params, hidden)))


def play(
    players: NetworkedPlayers, network_params: Params, env_params: Any, carry: RolloutCarry, num_steps: int
) -> tuple[RolloutCarry, NetworkedRollout]:
    """Plays a rollout; each device plays its own environments.

    Args:
      players: who plays what.
      network_params: of `players.network`.
      env_params: numbers in the rules, the same for all environments.
      carry: from the rollout before; its memory is a `Memory` `[B, N, ...]`.
      num_steps: T.

    Returns:
      The carry for the next rollout and a `NetworkedRollout`.
    """

    def play_own(
        params: Params, env_params: Any, carry: RolloutCarry, draws: Draws
    ) -> tuple[RolloutCarry, NetworkedRollout]:
        return jax.lax.scan(partial(_step, players, params, env_params), carry, draws)

    key, key_act, key_env = jax.random.split(carry.key, 3)
    shape = (num_steps, *carry.obs.shape[:2])
    draws = (jax.random.uniform(key_act, shape, jnp.float32), jax.random.split(key_env, shape[:2]))
    in_parts = devices.in_parts(play_own, in_axes=(None, None, CARRY_AXES, 1), out_axes=(CARRY_AXES, 1))
    return in_parts(network_params, env_params, carry.replace(key=key), draws)


def _step(
    players: NetworkedPlayers, params: Params, env_params: Any, carry: RolloutCarry, draws: Draws
) -> tuple[RolloutCarry, NetworkedRollout]:
    """One step in every environment."""
    uniforms, keys = draws
    before = jax.tree.map(partial(_where, carry.starts), players.network.initial_memory(1), carry.memory)
    gates = players.network.gates(params, before, carry.obs)
    after = remember(players.network, params, gates, before)
    actions = choose(after.policy, uniforms)
    step = jax.vmap(players.env.step, in_axes=(0, 0, 0, None))
    obs, env_state, rewards, terminated, truncated, info = step(keys, carry.env_state, actions, env_params)
    trajectory = NetworkedRollout(
        starts=carry.starts,
        before=before,
        gates=gates,
        after=after,
        obs=carry.obs,
        actions=actions,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        info=info,
    )
    return RolloutCarry(env_state, obs, terminated | truncated, after, carry.key), trajectory


def _where(condition: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Chooses by environment: `[B]` bool, `[B, ...]` or `[1, ...]`."""
    return jnp.where(condition.reshape(-1, *[1] * (old.ndim - 1)), new, old)


def zeros_like(shapes: Any) -> Any:
    """A pytree of zeros, of the shapes and dtypes of another."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def pull_back(network: Network, params: Params, trajectory: NetworkedRollout, in_hidden: jax.Array) -> Params:
    """The gradient in the parameters behind the memory.

    Args:
      network: of all agents.
      params: that played.
      trajectory: what they played.
      in_hidden: `[T, B, N, H]`, the gradient in each step's hidden state of what is computed from it in that step.

    Returns:
      Leaves as `params`.
    """

    def step(later: tuple[jax.Array, jax.Array], now: Any) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        gates, before, obs, starts, in_hidden = now
        in_gates, in_cell = jax.vjp(advance, gates, before.cell)[1]((later[0] + in_hidden, later[1]))
        listen = jax.vjp(lambda hidden: network.gates(params, before._replace(hidden=hidden), obs), before.hidden)[1]
        earlier = (*listen(in_gates), in_cell)
        return jax.tree.map(partial(_where, starts), zeros_like(earlier), earlier), in_gates

    sequence = (trajectory.gates, trajectory.before, trajectory.obs, trajectory.starts, in_hidden)
    nothing = zeros_like((in_hidden[0], in_hidden[0]))
    in_gates = jax.lax.scan(step, nothing, sequence, reverse=True)[1]
    return jax.vjp(lambda params: network.gates(params, trajectory.before, trajectory.obs), params)[1](in_gates)[0]


def next_values(
    players: NetworkedPlayers, params: Params, trajectory: NetworkedRollout, values: jax.Array, key: jax.Array
) -> jax.Array:
    """Values `[T, B, N]` of what follows each step in the same episode, past time limits and past the end.

    There agents see what they would have acted on, and draw the actions that critics know.
    """

    def look_ahead(memory: Memory, obs: jax.Array, uniforms: jax.Array) -> jax.Array:
        memory = remember(players.network, params, players.network.gates(params, memory, obs), memory)
        return players.network.values(params, memory.hidden, choose(memory.policy, uniforms))

    uniforms = jax.random.uniform(key, trajectory.actions.shape, jnp.float32)
    what_follows = (trajectory.after, trajectory.info["final_obs"], uniforms)
    last = look_ahead(*jax.tree.map(lambda leaf: leaf[-1], what_follows))
    following = jnp.concatenate([values[1:], last[None]])
    is_cut = trajectory.truncated.at[-1].set(False)
    return compute_if(
        lambda: jnp.where(is_cut[..., None], look_ahead(*what_follows), following),
        is_cut.any(),
        otherwise=lambda: following,
    )


def episode_means(trajectory: NetworkedRollout) -> dict[str, jax.Array]:
    """Means over the episodes that ended: `episode_return` `[N]` and the social metrics `[]`; NaN if none did.

    A metric is a mean over the episodes in which it is defined.
    """
    ended = trajectory.terminated | trajectory.truncated
    info = {name: leaf for name, leaf in trajectory.info.items() if name.startswith("episode_")}

    def mean(info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        metrics = social_metrics(info)
        means = {name: jnp.mean(value, where=ended & ~jnp.isnan(value)) for name, value in metrics.items()}
        return means | {"episode_return": jnp.mean(info["episode_return"], axis=(0, 1), where=ended[..., None])}

    def nothing(info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan), jax.eval_shape(mean, info))

    return compute_if(mean, ended.any(), info, otherwise=nothing)
