"""The work of the study of MAMQL: demonstrations are made once, then each piece learns, plays and writes its row."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import ippo
from baselines.analysis.rewards.events import EventRewards
from baselines.analysis.tables import Row
from baselines.core.players import Player, trained_player
from baselines.demonstrations import Demonstrations, describe, import_gems, load, record, save, split, subsample
from baselines.disk.schema import load_object
from baselines.disk.writing import write_file
from baselines.studies.mamql import measures
from baselines.studies.mamql.imitators import Imitator, obtain
from baselines.studies.mamql.methods import METHODS, TRUE_REWARD
from baselines.studies.side_by_side import Stage, report
from baselines.trained.load import find_player
from baselines.trained.rewards import EventWeightedRewards, RecoveredRewards
from jaxdilemmas.environment import Environment, require

if TYPE_CHECKING:
    from baselines.studies.mamql.options import Options

TRAIN, EVALUATE, EXPLORE, RETRAIN, FOLLOW = range(5)
"""Purposes of keys."""

RECORDED = "recorded"
"""The expert of the recorded Gems data."""

HELD_OUT = 0.1
"""The share of the episodes that nobody learns from, unless more demonstrations are asked for than the others have."""

NUM_RECORDED = 20_000
"""Transitions of the recorded Gems data; of other experts on Gems as many are recorded."""

NUM_STATES, REPETITIONS = 3000, 3
"""In stage retrain: the largest number of states from which successors are played, and how often each is played."""

EPISODES_OF_DILEMMAS = 20
"""The largest number of episodes in which agents of stage dilemmas are evaluated: these episodes are long."""

EVENTS: dict[str, tuple[str, ...]] = {
    "gems": ("own_gems", "shared"),
    "gathering": ("collected", "hits_given", "tagged"),
    "cleanup": ("collected", "cleaned", "hits_given", "hits_received"),
    "common_pool": ("effort",),
}
"""Events that recovered rewards are weights of; all of the game's info where a game is not listed."""

FIXED: dict[str, dict[str, dict[str, float]]] = {
    "gems": {"shared": {"shared": 1.0}, "one_to_one": {"own_gems": 1.0, "shared": 1.0}}
}
"""Weights of events that nobody recovered, by game and name; fitted weights are compared with them."""

UNTOLD = "what follows from actions does not tell the weights of events"
"""The gap where stage retrain has no successor rewards."""

ALWAYS_THE_SAME = "every agent does always the same, from which no reward can be told"
"""The gap where demonstrations do not vary."""


class Piece(NamedTuple):
    """One training or comparison: a row of results.

    Attributes:
      stage: of the study.
      game: its id.
      expert: who is imitated; see `Options.experts`.
      method: one of `METHODS`; in stage retrain also `TRUE_REWARD`.
      size: transitions of demonstrations; all there are if these are fewer.
      seed: of the demonstrations drawn and of the training.
    """

    stage: str
    game: str
    expert: str
    method: str
    size: int
    seed: int

    @property
    def learner(self) -> tuple[str, str]:
        """Method and game."""
        return self.method, self.game

    @property
    def label(self) -> str:
        """A name for what is learnt; stages that need the same imitator share it."""
        return f"{self.game}-{short_name(self.expert)}-{self.method}-{self.size}-seed_{self.seed}"


def short_name(expert: str) -> str:
    """A name for files: of a run the last part of its directory."""
    return Path(expert).name


def key_of(name: str, purpose: int) -> jax.Array:
    """A JAX PRNG key for one use; every name and purpose has its own."""
    return jax.random.fold_in(jax.random.key(zlib.crc32(name.encode())), purpose)


# Demonstrations


class Source(NamedTuple):
    """Demonstrations that pieces learn from: the game, the expert, and the largest number of transitions asked for."""

    game: str
    expert: str
    size: int

    @property
    def label(self) -> str:
        """A name for people."""
        return f"{self.game}-{short_name(self.expert)}"


def wanted_sources(options: "Options") -> list[Source]:
    """The demonstrations of the rows that are not done."""
    sizes: dict[tuple[str, str], int] = {}
    for piece in options.pieces:
        if not options.row_file(piece).is_file():
            sizes[piece.game, piece.expert] = max(sizes.get((piece.game, piece.expert), 0), piece.size)
    return [Source(*source, size) for source, size in sizes.items()]


def has_demonstrations(options: "Options", source: Source) -> bool:
    """Whether the demonstrations are on disk.

    Raises:
      ValueError: those on disk are fewer than a piece asks for, or the file is not theirs.
    """
    path = options.demonstrations_file(source.game, source.expert)
    if not path.is_file():
        return False
    found = load(path, jaxdilemmas.make(source.game), source.game).header.num_transitions
    allowed = f"the study in {options.output} has {found} transitions of {short_name(source.expert)}"
    require(source.expert == RECORDED or found >= source.size, "sizes", source.size, allowed)
    return True


def save_demonstrations(options: "Options", source: Source) -> None:
    """Records the demonstrations of an expert; see `make_demonstrations`."""
    report("playing")
    path = options.demonstrations_file(source.game, source.expert)
    save(path, make_demonstrations(options, source))


def make_demonstrations(options: "Options", source: Source) -> Demonstrations:
    """Demonstrations of an expert: on Gems as many as are recorded, else `size` and those that are held out."""
    if source.expert == RECORDED:
        assert options.recording is not None  # checked with the options
        return import_gems(options.recording)
    player = find_player(source.expert, source.game, {})
    header = describe(player.env, source.game, {}, short_name(source.expert))
    is_gems = source.game == "gems"
    needed = max(source.size, NUM_RECORDED) if is_gems else round(1.1 * source.size / (1 - HELD_OUT))
    total = max(needed, 1 + int(player.env.default_params.max_steps))  # two episodes, so that one can be held out
    return record(player, key_of(source.label, EVALUATE), num_transitions=total, header=header)


DEMONSTRATIONS = Stage(
    name="demonstrations",
    pieces=wanted_sources,
    is_done=has_demonstrations,
    work=save_demonstrations,
)
"""The demonstrations that the other stages learn from."""


# What is measured


class Task(NamedTuple):
    """A piece with what it works on.

    Attributes:
      options: the study.
      piece: which.
      train: the demonstrations to learn from.
      held_out: those to measure on; None where the piece learns from all.
      expert_return: mean over agents and episodes of all demonstrations.
      num_episodes: in which agents are evaluated.
    """

    options: "Options"
    piece: Piece
    train: Demonstrations
    held_out: Demonstrations | None
    expert_return: float
    num_episodes: int

    def key(self, purpose: int) -> jax.Array:
        """A JAX PRNG key for one purpose, the same each time.

        All that a piece plays to evaluate is played under one key: teams that it compares have the same luck by design.
        """
        return key_of(f"{self.piece.stage}-{self.piece.label}", purpose)


def make_task(options: "Options", piece: Piece) -> Task:
    """Loads the demonstrations of a piece and draws as many as it learns from."""
    path = options.demonstrations_file(piece.game, piece.expert)
    everything = load(path, jaxdilemmas.make(piece.game), piece.game)
    train, held_out = split(everything, HELD_OUT)
    is_all = piece.size > train.header.num_transitions
    source = everything if is_all else train
    chosen = subsample(source, min(piece.size, source.header.num_transitions), piece.seed)
    expert_return = float(np.mean(everything.header.returns))
    return Task(options, piece, chosen, None if is_all else held_out, expert_return, options.episodes)


def take(task: Task) -> Imitator:
    """The imitator of a piece, which learns unless it has before."""
    report("learning")
    options, piece = task.options, task.piece
    algorithm, config = METHODS[piece.method].algorithm, options.config(piece.method, piece.game)
    env, key, path = jaxdilemmas.make(piece.game), key_of(piece.label, TRAIN), options.parameters_file(piece)
    return obtain(algorithm, config, env, task.train, key, path)


def learn(task: Task) -> tuple[Imitator, Row]:
    """Learns, plays and compares with the experts."""
    imitator = take(task)
    report("playing")
    outcomes = measures.play(imitator.player(), task.key(EVALUATE), task.num_episodes)
    window = measures.updates_of_episodes(imitator.config, int(imitator.env.default_params.max_steps))
    numbers = measures.summarize_play(outcomes)
    numbers |= measures.learning_speed(imitator.history, task.expert_return, window)
    if task.piece.game == "gems":
        numbers["success"] = numbers["terminated"]  # what ends the game is enough of a return
    if task.held_out is not None:
        numbers |= measures.behaviour(imitator, task.held_out)
    transitions = task.train.header.num_transitions
    return imitator, {"transitions": transitions, "expert_return": task.expert_return, "numbers": numbers}


def fit(task: Task, imitator: Imitator) -> tuple[EventRewards, Row]:
    """Recovered rewards as weights of events, and for the row the weights and how many steps they were read from."""
    report("reading rewards")
    shown = measures.shown_actions(task.train)
    explored = measures.explore(imitator, shown, task.key(EXPLORE), task.options.explored)
    rewards = measures.regress(imitator, task.train, explored, EVENTS.get(task.piece.game, ()))
    num_explored = len(explored.obs)
    num_shown = min(num_explored, task.train.header.num_transitions)
    counts = {"fitted_on_demonstrated": num_shown, "fitted_on_explored": num_explored}
    return rewards, {"weights": weight_rows(rewards)} | counts


def fit_successors(task: Task, imitator: Imitator, names: tuple[str, ...]) -> EventRewards | None:
    """Recovered rewards as weights of these events, by what follows each action; None if play does not fix them."""
    report("following actions")
    shown = measures.shown_actions(task.train)
    if (shown.sum(1) < 2).any():
        return None
    num_states = min(NUM_STATES, task.options.explored)
    found = measures.regress_successors(imitator, shown, task.key(FOLLOW), names, num_states, REPETITIONS)
    return found if np.isfinite(found.weights).all() else None


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


def table(task: Task) -> Row:
    """Everything that is measured; rewards only where there are demonstrations to measure them on."""
    imitator, row = learn(task)
    if task.held_out is None:
        return row
    if (measures.shown_actions(task.train).sum(1) == 1).all():
        return row | {"gap": ALWAYS_THE_SAME}
    rewards, fitted = fit(task, imitator)
    return row | score(task, imitator, {"fitted": rewards}) | fitted


def dilemmas(task: Task) -> Row:
    """As `table`, with fewer episodes."""
    return table(task._replace(num_episodes=min(EPISODES_OF_DILEMMAS, task.num_episodes)))


def games(task: Task) -> Row:
    """How agents play, by a softmax and by their best action, as the published agents do on these games."""
    imitator, row = learn(task)
    row["numbers"]["return_greedy"] = mean_return(imitator.player(greedy=True), task)
    return row


def mean_return(player: Player, task: Task) -> float:
    """Mean over agents of their mean returns."""
    return float(np.mean(measures.play(player, task.key(EVALUATE), task.num_episodes)["return"].mean(0).tolist()))


def retrain(task: Task) -> Row:
    """The return of agents that learn by IPPO from recovered rewards, or the true one, played in the game itself.

    Recovered rewards have no scale of their own. They are paid at the scale of `unit_scale` on the demonstrations.
    """
    env = jaxdilemmas.make(task.piece.game)
    if task.piece.method == TRUE_REWARD:
        return {"expert_return": task.expert_return, "numbers": {"return": learn_anew(task, env, env)}}
    imitator = take(task)
    rewards, fitted = fit(task, imitator)
    successor = fit_successors(task, imitator, rewards.names)
    fits = {"fitted": rewards} | ({} if successor is None else {"successor": successor})
    scale = jnp.asarray(unit_scale(imitator.rewards(task.train)))
    paid = {"raw": RecoveredRewards(env, lambda *step: scale * imitator.reward_function(*step))} | {
        name: event_rewards(env, found, unit_scale(found.rewards(task.train.events))) for name, found in fits.items()
    }
    numbers = {f"return_{name}": learn_anew(task, env, game) for name, game in paid.items()}
    row: Row = {"expert_return": task.expert_return, "numbers": numbers} | fitted
    row |= {"gap": UNTOLD} if successor is None else {"successor_weights": weight_rows(successor)}
    return row | score(task, imitator, fits)


def unit_scale(rewards: np.ndarray) -> np.ndarray:
    """Factors that make the root mean square of each agent's rewards 1, `[M, N]` -> `[N]` float32; 1 if all are 0."""
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
    return mean_return(trained_player(env, ippo.make_policy(config, env), train_state.network_params), task)


def write_row(measure: Callable[[Task], Row], options: "Options", piece: Piece) -> None:
    """Does a piece and writes its row."""
    row = piece._asdict() | {"expert": short_name(piece.expert)} | measure(make_task(options, piece))
    write_file(options.row_file(piece), json.dumps(row, default=float) + "\n")


def read_rows(options: "Options", *stages: str) -> list[Row]:
    """The rows of these stages, or of all, that are on disk, in the order of the pieces."""
    files = [options.row_file(piece) for piece in options.pieces if not stages or piece.stage in stages]
    return [load_object(file) for file in files if file.is_file()]
