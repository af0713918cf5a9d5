"""The work of the study: demonstrations are made once, then each piece learns, plays and writes its row."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import ippo
from baselines.analysis.rewards.events import EventRewards
from baselines.core.players import Player, trained_player
from baselines.demonstrations import Demonstrations, describe, import_gems, load, record, save, split, subsample
from baselines.disk.writing import write_file
from baselines.studies.mamql import measures
from baselines.studies.mamql.imitators import EVALUATE, EXPLORE, FOLLOW, RETRAIN, Imitator, obtain
from baselines.studies.mamql.options import (
    EVENTS,
    FIXED,
    NUM_STATES,
    RECORDED,
    TRUE_REWARD,
    Options,
    Piece,
    Stage,
    key_of,
    label,
)
from baselines.studies.progress import report
from baselines.trained.load import find_player
from baselines.trained.rewards import EventWeightedRewards, RecoveredRewards
from jaxdilemmas.environment import Environment, require

Row = dict[str, Any]
HELD_OUT = 0.1
"""Share of the episodes that nobody learns from, but where more demonstrations are asked for than are left."""

NUM_RECORDED = 20_000
"""Transitions of the recorded Gems data; of other experts on Gems as many are recorded."""

UNTOLD = "what follows from actions does not tell the weights of events"
"""The gap where stage retrain has no successor rewards."""

EPISODES_OF_DILEMMAS = 20
"""In which agents of stage dilemmas are evaluated: they are long, and not what is asked."""


NUM_PHASES: dict[Stage, int] = {"table": 3, "retrain": 6, "games": 2, "dilemmas": 3}
"""How many phases a piece of each stage reports at most."""


class Task(NamedTuple):
    """A piece with what it works on.

    Attributes:
      options: the study.
      piece: which.
      train: what is learnt from.
      held_out: what is measured on; None where all is learnt from.
      expert_return: mean over agents and episodes of all demonstrations.
    """

    options: Options
    piece: Piece
    train: Demonstrations
    held_out: Demonstrations | None
    expert_return: float

    def key(self, purpose: int) -> jax.Array:
        """A JAX PRNG key for one purpose, the same each time.

        All that a piece plays to evaluate is played under one key: teams that it compares have the same luck by design.
        """
        return key_of(f"{self.piece.stage}-{self.piece.model}", purpose)

    @property
    def num_episodes(self) -> int:
        """In which agents are evaluated."""
        is_long = self.piece.stage == "dilemmas"
        return min(EPISODES_OF_DILEMMAS, self.options.episodes) if is_long else self.options.episodes


def prepare(options: Options) -> None:
    """Makes the demonstrations that are not there yet.

    Raises:
      ValueError: those that are there are fewer than a piece asks for.
    """
    wanted: dict[tuple[str, str], int] = {}
    for piece in options.pieces:
        if not options.row_file(piece).is_file():
            source = piece.game, piece.expert
            wanted[source] = max(wanted.get(source, 0), piece.size)
    for (game, expert), size in wanted.items():
        path = options.demonstrations_file(game, expert)
        if path.is_file():
            found = load(path, jaxdilemmas.make(game), game).header.num_transitions
            is_enough = expert == RECORDED or found >= size
            require(
                is_enough, "sizes", size, f"the study in {options.output} has {found} transitions of {label(expert)}"
            )
            continue
        save(path, make_demonstrations(options, game, expert, size))


def make_demonstrations(options: Options, game: str, expert: str, size: int) -> Demonstrations:
    """Demonstrations of an expert: on Gems as many as are recorded, else `size` and those that are held out."""
    if expert == RECORDED:
        assert options.recording is not None  # checked with the options
        return import_gems(options.recording)
    player = find_player(expert, game, {})
    header = describe(player.env, game, {}, label(expert))
    needed = max(size, NUM_RECORDED) if game == "gems" else round(1.1 * size / (1 - HELD_OUT))
    total = max(needed, 1 + int(player.env.default_params.max_steps))  # two episodes, so that one can be held out
    return record(player, key_of(f"{game}-{label(expert)}", EVALUATE), num_transitions=total, header=header)


def run_piece(options: Options, piece: Piece) -> None:
    """Does a piece, unless it is done, and writes its row; the work of a process."""
    path = options.row_file(piece)
    if path.is_file():
        return
    row = piece._asdict() | {"expert": label(piece.expert)} | STAGE_WORK[piece.stage](make_task(options, piece))
    write_file(path, json.dumps(row, default=float) + "\n")


def make_task(options: Options, piece: Piece) -> Task:
    """Loads the demonstrations of a piece and draws as many as it learns from."""
    path = options.demonstrations_file(piece.game, piece.expert)
    everything = load(path, jaxdilemmas.make(piece.game), piece.game)
    train, held_out = split(everything, HELD_OUT)
    is_all = piece.size > train.header.num_transitions
    source = everything if is_all else train
    count = min(piece.size, source.header.num_transitions)
    chosen = subsample(source, count, piece.seed)
    expert_return = float(np.mean(everything.header.returns))
    return Task(options, piece, chosen, None if is_all else held_out, expert_return)


def learn(task: Task) -> tuple[Imitator, Row]:
    """Learns, plays and compares with the experts."""
    piece = task.piece
    imitator = take(task)
    report("playing")
    outcomes = measures.play(imitator.player, task.key(EVALUATE), task.num_episodes)
    window = measures.updates_of_episodes(imitator.config, int(imitator.env.default_params.max_steps))
    numbers = measures.summarize_play(outcomes)
    numbers |= measures.learning_speed(imitator.history, task.expert_return, window)
    if piece.game == "gems":
        numbers["success"] = numbers["terminated"]  # what ends the game is enough of a return
    if task.held_out is not None:
        numbers |= measures.behaviour(imitator, task.held_out)
    transitions = task.train.header.num_transitions
    return imitator, {"transitions": transitions, "expert_return": task.expert_return, "numbers": numbers}


def take(task: Task) -> Imitator:
    """The imitator of a piece, which learns unless it has before."""
    report("learning")
    return obtain(task.options, task.piece, task.train)


class Fit(NamedTuple):
    """Recovered rewards as weights of events, and how many demonstrated and explored steps they were read from."""

    rewards: EventRewards
    demonstrated: int
    explored: int

    @property
    def row(self) -> Row:
        """For the row of a piece."""
        counts = {"fitted_on_demonstrated": self.demonstrated, "fitted_on_explored": self.explored}
        return {"weights": weight_rows(self.rewards)} | counts


def fit(task: Task, imitator: Imitator) -> Fit:
    """Recovered rewards as weights of events."""
    report("reading rewards")
    shown = measures.shown_actions(task.train)
    explored = measures.explore(imitator, shown, task.key(EXPLORE), task.options.explored)
    rewards = measures.regress(imitator, task.train, explored, EVENTS.get(task.piece.game, ()))
    num_explored = len(explored.obs)
    return Fit(rewards, min(num_explored, task.train.header.num_transitions), num_explored)


def fit_successors(task: Task, imitator: Imitator, names: tuple[str, ...]) -> EventRewards | None:
    """Recovered rewards as weights of these events, from what follows each action; None if play does not tell them."""
    report("following actions")
    shown = measures.shown_actions(task.train)
    if (shown.sum(1) < 2).any():
        return None
    num_states = min(NUM_STATES, task.options.explored)
    found = measures.regress_successors(imitator, shown, task.key(FOLLOW), names, num_states)
    return found if np.isfinite(found.weights).all() else None


def table(task: Task) -> Row:
    """Everything that is measured; of rewards as far as there are demonstrations to measure them on."""
    imitator, row = learn(task)
    if task.held_out is None:
        return row
    if (measures.shown_actions(task.train).sum(1) == 1).all():
        return row | {"gap": "every agent does always the same, from which no reward can be told"}
    fitted = fit(task, imitator)
    return row | score(task, imitator, {"fitted": fitted.rewards}) | fitted.row


def score(task: Task, imitator: Imitator, fits: dict[str, EventRewards]) -> Row:
    """How well rewards are recovered; nothing where there are no demonstrations to measure it on."""
    if task.held_out is None:
        return {}
    return {"agents": measures.recovery(imitator, fits, task.held_out, FIXED.get(task.piece.game, {}))}


def weight_rows(fitted: EventRewards) -> list[Row]:
    """One row for each agent and event."""
    return [
        {"agent": agent, "event": name, "weight": float(fitted.weights[agent, i])}
        for agent in range(len(fitted.weights))
        for i, name in enumerate(fitted.names)
    ]


def games(task: Task) -> Row:
    """What is learnt, without rewards; also of agents that take their best action, as the published ones do there."""
    imitator, row = learn(task)
    row["numbers"]["return_greedy"] = float(np.mean(play_returns(imitator.greedy_player, task)))
    return row


def play_returns(player: Player, task: Task) -> list[float]:
    """Mean returns, `[N]`."""
    return measures.play(player, task.key(EVALUATE), task.options.episodes)["return"].mean(0).tolist()


def retrain(task: Task) -> Row:
    """The return of agents that learn by IPPO from recovered rewards, or the true one, played in the game itself.

    What is recovered has no scale of its own, so it is paid at the one of `unit_scale` on the demonstrations.
    """
    env = jaxdilemmas.make(task.piece.game)
    if task.piece.method == TRUE_REWARD:
        return {"expert_return": task.expert_return, "numbers": {"return": learn_anew(task, env, env)}}
    imitator = take(task)
    fitted = fit(task, imitator)
    successor = fit_successors(task, imitator, fitted.rewards.names)
    fits = {"fitted": fitted.rewards} | ({} if successor is None else {"successor": successor})
    scale = jnp.asarray(unit_scale(imitator.rewards(task.train)))
    paid = {"raw": RecoveredRewards(env, lambda *step: scale * imitator.reward_function(*step))} | {
        name: event_rewards(env, rewards, unit_scale(rewards.rewards(task.train.events)))
        for name, rewards in fits.items()
    }
    numbers = {f"return_{name}": learn_anew(task, env, game) for name, game in paid.items()}
    row: Row = {"expert_return": task.expert_return, "numbers": numbers} | fitted.row
    row |= {"gap": UNTOLD} if successor is None else {"successor_weights": weight_rows(successor)}
    return row | score(task, imitator, fits)


def unit_scale(rewards: np.ndarray) -> np.ndarray:
    """What makes the root mean square of each agent's rewards 1, `[M, N]` -> `[N]` float32; 1 where all are 0."""
    sizes = np.sqrt(np.square(rewards, dtype=np.float64).mean(axis=0))
    return (1 / np.where(sizes > 0, sizes, 1)).astype(np.float32)


def event_rewards(env: Environment, rewards: EventRewards, scale: np.ndarray) -> Environment:
    """The game, paid by weights of events, times `[N]`."""
    return EventWeightedRewards(env, dict(zip(rewards.names, rewards.weights.T * scale, strict=True)))


def learn_anew(task: Task, env: Environment, paid: Environment) -> float:
    """Trains IPPO on the rewards of `paid` and returns the mean return of the game itself."""
    report("retraining")
    config = task.options.retraining(task.piece.game)
    train_state, _ = ippo.make_train(config, paid)(task.key(RETRAIN), env.default_params)
    player = trained_player(env, ippo.make_policy(config, env), train_state.network_params)
    return float(np.mean(play_returns(player, task)))


STAGE_WORK: dict[Stage, Callable[[Task], Row]] = {
    "table": table,
    "retrain": retrain,
    "games": games,
    "dilemmas": table,
}
