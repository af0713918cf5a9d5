"""Networked agents whose rollouts may stop where an episode ends, as in the source, and with its faults.

The learner (`baselines.networked`) is `packed`: its rollouts go on with the next episode.
"""

import dataclasses
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from baselines import networked
from baselines.core.trainer import Trainer
from baselines.disk.schema import MOST_INT32
from baselines.networked import Learner, Metrics, Sums, TrainState
from baselines.networking.networked_rollout import play_until_end, zeros_like
from baselines.networking.protocols import Links
from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment
from jaxdilemmas.graphs import edges_of, make_graph

EarlyEnds = Literal["packed", "ragged", "skipped"]

SKIPPING = ("consenet", "dial", "commnet", "neurcomm")
"""Protocols with one loss for all agents in the source, which does not learn from rollouts that end early there."""


@dataclasses.dataclass(frozen=True)
class Config(networked.Config):
    """Settings of one training run.

    Attributes:
      early_ends: what becomes of a rollout in which the episode ends. "packed": it goes on with the next episode.
        "ragged": it stops there, and is learnt from. "skipped": by the protocols in `SKIPPING` it stops there and is
        not learnt from; by the others it is packed. An update of rollouts that stop plays as many as bring the run to
        `env_steps_per_update` env steps an update, which the last may exceed by less than one rollout.
      independent_share_rewards: whether agents without neighbours, by protocol "ia2c", share rewards over the graph
        all the same, as they do in the source.

    Raises:
      ValueError: a value is not allowed.
    """

    early_ends: EarlyEnds = "packed"
    independent_share_rewards: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        most = MOST_INT32 - self.env_steps_per_update * self.stops_early
        exceeds = f"at most {most}: the last update may exceed it by a rollout, and env steps fit int32"
        require(self.total_env_steps <= most, "total_env_steps", self.total_env_steps, exceeds)

    @property
    def skips_short(self) -> bool:
        """Whether rollouts that stopped early are not learnt from."""
        return self.early_ends == "skipped" and self.protocol in SKIPPING

    @property
    def stops_early(self) -> bool:
        """Whether rollouts stop where an episode ends."""
        return self.early_ends == "ragged" or self.skips_short


def make_trainer(config: Config, env: Environment) -> Trainer:
    """As `networked.make_trainer`; metrics are means over all rollouts of an update."""
    learner = networked.make_learner(config, env)
    if config.independent_share_rewards:
        edges = edges_of(make_graph(config.graph, env.num_agents))
        learner = learner._replace(sharing=Links(edges, env.num_agents))
    update = _learn_until_due if config.stops_early else networked.update
    return Trainer(partial(networked.init, learner), partial(update, learner))


def _learn_until_due(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """Learns from rollouts until the env steps of all updates so far are played."""
    train_state = train_state.replace(update_index=train_state.update_index + 1)
    due = train_state.update_index * learner.config.env_steps_per_update

    def learn(triple: tuple[TrainState, Sums, jax.Array]) -> tuple[TrainState, Sums, jax.Array]:
        train_state, sums = _descend(learner, triple[0], env_params)
        return train_state, jax.tree.map(jnp.add, triple[1], sums), triple[2] + 1

    nothing = zeros_like(jax.eval_shape(partial(_descend, learner), train_state, env_params)[1])
    start = (train_state, nothing, jnp.float32(0))
    train_state, sums, num_rollouts = jax.lax.while_loop(lambda triple: triple[0].env_steps < due, learn, start)
    return train_state, networked.report(train_state, sums, num_rollouts)


def _descend(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Sums]:
    """Plays a rollout until its episodes end, and takes one gradient step if it is learnt from."""
    config: Any = learner.config
    carry, trajectory, is_played = play_until_end(
        learner.players, train_state.network_params, env_params, train_state.rollout, config.rollout_steps
    )
    is_learnt = is_played.all(axis=0) if config.skips_short else jnp.ones_like(is_played[0])
    learnt, sums = networked.learn(learner, train_state, carry, trajectory, is_played & is_learnt)
    learnt = learnt.replace(env_steps=train_state.env_steps + is_played.sum(dtype=jnp.int32))
    if config.skips_short:
        kept = {name: getattr(train_state, name) for name in ("network_params", "opt_state")}
        learnt = jax.lax.cond(is_learnt.any(), lambda: learnt, lambda: learnt.replace(**kept))
    return learnt, sums


ALGORITHM = dataclasses.replace(networked.ALGORITHM, config_class=Config, make_trainer=make_trainer)
"""The learner with these settings; it is no command."""
