"""What each piece of the study of MAMQL does: it learns, plays, and weighs events by the recovered rewards."""

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.analysis.successors import Play, draw_states, successor_rewards
from baselines.core.players import Player, mix_in_random, play_steps, trained_player
from baselines.demonstrations import Demonstrations, load, split, subsample
from baselines.disk.writing import write_file
from baselines.studies.mamql.methods import METHODS, game_of
from baselines.studies.mamql.pieces import (
    EVALUATE,
    EXPLORE,
    FOLLOW,
    HELD_OUT,
    TRAIN,
    Piece,
    Source,
    key_of,
    short_name,
)

if TYPE_CHECKING:
    from baselines.studies.mamql.options import Options

AT_ONCE = 250
"""Episodes played side by side."""

EXPLORATION = 0.5
"""How often an agent acts at random where states are drawn."""

REPETITIONS = 3
"""How often each action is played on from a state."""

EVENTS: dict[str, tuple[str, ...]] = {"gems": ("own_gems", "shared", "own_gems of others")}
"""Events that recovered rewards are weights of, by game. A game whose episodes mostly end by its rules can be added."""


class Task(NamedTuple):
    """A piece with what it works on.

    Attributes:
      options: the study.
      piece: which.
      train: the demonstrations to learn from.
      held_out: those to measure on; None where the piece learns from all.
      config: the settings of the method.
      network_params: what was learnt; None before.
    """

    options: "Options"
    piece: Piece
    train: Demonstrations
    held_out: Demonstrations | None
    config: Any
    network_params: Any = None

    def key(self, purpose: int) -> jax.Array:
        """A JAX PRNG key for one purpose, the same each time."""
        return key_of(str(self.piece), purpose)

    def player(self, is_greedy: bool = False) -> Player:
        """The imitators: they act by the softmax of the method, or take their best action."""
        env = game_of(self.piece.game)
        policy = METHODS[self.piece.method].algorithm.make_policy(self.config, env, greedy=is_greedy)
        return trained_player(env, policy, self.network_params)


def write_row(options: "Options", piece: Piece) -> None:
    """Does a piece and writes its row, which has the fields of `pieces.Result`."""
    everything = load(options.demonstrations_file(Source(piece.game, piece.expert)), game_of(piece.game), piece.game)
    task, seconds = learn(make_task(options, piece, everything))
    numbers = {
        "train_seconds": seconds,
        **outcomes(task.player(), task.key(EVALUATE), options.episodes),
        **{
            f"{name}_greedy": x for name, x in outcomes(task.player(True), task.key(EVALUATE), options.episodes).items()
        },
        **behaviour(task),
        **weights(task),
    }
    row = piece._asdict() | {"expert": short_name(piece.expert), "transitions": task.train.header.num_transitions}
    row |= {"expert_return": float(np.mean(everything.header.returns)), "numbers": numbers}
    write_file(options.row_file(piece), json.dumps(row) + "\n")


def make_task(options: "Options", piece: Piece, everything: Demonstrations) -> Task:
    """Draws as many demonstrations as a piece learns from."""
    train, held_out = split(everything, HELD_OUT)
    is_all = piece.size > train.header.num_transitions
    source = everything if is_all else train
    chosen = subsample(source, min(piece.size, source.header.num_transitions), piece.seed)
    return Task(options, piece, chosen, None if is_all else held_out, options.config(piece.method, piece.game))


def learn(task: Task) -> tuple[Task, float]:
    """The task with what was learnt, and the seconds that it took, compiling included."""
    env, start_time = game_of(task.piece.game), time.monotonic()
    train = METHODS[task.piece.method].algorithm.make_train(task.config, env, task.train)
    train_state, _ = jax.block_until_ready(train(key_of(str(task.piece), TRAIN), env.default_params))
    return task._replace(network_params=train_state.network_params), time.monotonic() - start_time


def outcomes(player: Player, key: jax.Array, num_episodes: int) -> dict[str, float]:
    """Means over whole episodes: `return`, over agents as well; `length`; and `terminated`.

    `terminated` is the share of episodes that the rule of the game ended, before or with the clock. On Gems that is a
    success; on Intersection it may be a crash.
    """

    def outcome(key: jax.Array) -> dict[str, jax.Array]:
        steps = play_steps(player, key)
        return {
            "return": (steps.rewards * steps.is_played[:, None]).sum(0).mean(),
            "length": steps.is_played.sum(),
            "terminated": (steps.terminated & steps.is_played).any(),
        }

    keys = jax.random.split(key, num_episodes)
    played = jax.device_get(jax.jit(lambda keys: jax.lax.map(outcome, keys, batch_size=AT_ONCE))(keys))
    return {name: float(np.mean(values)) for name, values in played.items()}


def behaviour(task: Task) -> dict[str, float]:
    """How the imitators differ from the experts, in states that were not learnt from; nothing where there are none.

    Returns:
      `cross_entropy`: mean of -log pi_i(a_i | s), in nats; `disagreement`: how often the most likely action of an agent
      differs from the expert's; `joint_disagreement`: how often that is so for any agent.
    """
    if task.held_out is None:
        return {}
    obs, actions = jnp.asarray(task.held_out.obs), jnp.asarray(task.held_out.actions)
    algorithm = METHODS[task.piece.method].algorithm
    values = algorithm.action_values(task.config, game_of(task.piece.game), task.network_params, obs)
    log_probs = jax.nn.log_softmax(task.config.acting_inverse_temperature * values)
    is_other = log_probs.argmax(-1) != actions
    return {
        "cross_entropy": -float(jnp.take_along_axis(log_probs, actions[..., None], axis=-1).mean()),
        "disagreement": float(is_other.mean()),
        "joint_disagreement": float(is_other.any(1).mean()),
    }


def weights(task: Task) -> dict[str, float]:
    """The weights of events by the recovered rewards, each agent's relative to its largest, as means over agents.

    Each action that the demonstrations show is played on from `Options.states` explored states. Nothing where the game
    has no `EVENTS`, and NaN where play does not determine the weights.
    """
    names, num_states = EVENTS.get(task.piece.game, ()), task.options.states
    is_shown = (task.train.actions[..., None] == np.arange(task.train.header.num_actions)).any(0)  # [N, A]
    if not names or not num_states:
        return {}
    if (is_shown.sum(1) < 2).any():
        return {f"weight of {name}": float("nan") for name in names}
    env, player = game_of(task.piece.game), task.player()
    explorer = mix_in_random(player, jnp.log(is_shown.astype(np.float32)), jnp.full(len(is_shown), EXPLORATION))
    states = draw_states(explorer, task.key(EXPLORE), -(-num_states // 8), num_states)
    reward_function = METHODS[task.piece.method].algorithm.recovered_rewards(task.config, env, task.network_params)
    play = Play(player, reward_function, task.config.discount, int(env.default_params.max_steps), names)
    found = successor_rewards(play, states, is_shown, task.key(FOLLOW), REPETITIONS).weights  # [N, F]
    largest = np.abs(found).max(axis=1, keepdims=True)
    means = (found / np.where(largest == 0, 1, largest)).mean(axis=0)
    return {f"weight of {name}": float(mean) for name, mean in zip(names, means, strict=True)}
