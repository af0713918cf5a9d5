"""What each piece of the study of MAMQL does: it learns, plays and measures which rewards were recovered."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import ippo
from baselines.analysis.learning import learning_speed, updates_of_episodes
from baselines.analysis.rewards.events import EventRewards, event_feature
from baselines.analysis.rewards.recovery import behavioural_error, random_scores, reward_scores
from baselines.analysis.rewards.regression import Recovered, constrained_regression
from baselines.analysis.rewards.state_features import make_state_features
from baselines.analysis.rewards.successors import Play, draw_states, successor_rewards
from baselines.analysis.tables import Row
from baselines.core.players import Player, mix_in_random, play_steps, trained_player
from baselines.demonstrations import Demonstrations, load, record, records, split, subsample
from baselines.disk.writing import write_file
from baselines.runs.directory import load_tree, save_parameters
from baselines.studies.mamql.methods import METHODS, TRUE_REWARD
from baselines.studies.mamql.pieces import (
    EVALUATE,
    EXPLORE,
    FOLLOW,
    HELD_OUT,
    RETRAIN,
    TRAIN,
    Piece,
    key_of,
    short_name,
)
from baselines.studies.side_by_side import report
from baselines.trained.imitators import Imitator
from baselines.trained.rewards import EventWeightedRewards, RecoveredRewards
from jaxdilemmas.environment import Environment

if TYPE_CHECKING:
    from baselines.studies.mamql.options import Options

AT_ONCE = 250
"""Episodes played side by side."""

EXPLORATION = 0.5
"""How often an agent acts at random where transitions are explored."""

NUM_STEPS = 8
"""Over which the regression sums demonstrated transitions; chosen once, on the recorded Gems data (docs/mamql.md)."""

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

    @property
    def shown(self) -> np.ndarray:
        """Which actions each agent takes at least once in the demonstrations, `[N, A]` bool."""
        return (self.train.actions[..., None] == np.arange(self.train.header.num_actions)).any(0)


def write_row(measure: Callable[[Task], Row], options: "Options", piece: Piece) -> None:
    """Does a piece and writes its row, which has the fields of `pieces.Result`."""
    row = piece._asdict() | {"expert": short_name(piece.expert)} | measure(make_task(options, piece))
    write_file(options.row_file(piece), json.dumps(row, default=float) + "\n")


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


# Stages table, games and dilemmas


def table(task: Task) -> Row:
    """Everything that is measured; rewards only where there are demonstrations to measure them on."""
    imitator, row = learn(task)
    if task.held_out is None:
        return row
    if (task.shown.sum(1) == 1).all():
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


def learn(task: Task) -> tuple[Imitator, Row]:
    """Learns, plays and compares with the experts, on states that were not learnt from; means over agents."""
    imitator = take(task)
    report("playing")
    outcomes = play(imitator.player(), task.key(EVALUATE), task.num_episodes)
    window = updates_of_episodes(imitator.config, int(imitator.env.default_params.max_steps))
    numbers = summarize_play(outcomes) | learning_speed(imitator.history, task.expert_return, window)
    if task.piece.game == "gems":
        numbers["success"] = numbers["terminated"]  # what ends the game is enough of a return
    if task.held_out is not None:
        error = behavioural_error(imitator.log_probs(task.held_out.obs), task.held_out.actions)
        numbers |= {name: float(np.mean(value)) for name, value in error._asdict().items()}
    transitions = task.train.header.num_transitions
    return imitator, {"transitions": transitions, "expert_return": task.expert_return, "numbers": numbers}


class Learnt(NamedTuple):
    """What is kept of a training: parameters, metrics of its U updates, `[U, ...]` each, and the seconds it took."""

    network_params: Any
    history: dict[str, Any]
    seconds: Any


def take(task: Task) -> Imitator:
    """The imitator of a piece: loaded if it was trained before, else trained and saved."""
    report("learning")
    options, piece, env = task.options, task.piece, jaxdilemmas.make(task.piece.game)
    algorithm, config = METHODS[piece.method].algorithm, options.config(piece.method, piece.game)
    train, key, path = (
        algorithm.make_train(config, env, task.train),
        key_of(piece.label, TRAIN),
        options.parameters_file(piece),
    )

    def learn(key: jax.Array) -> Learnt:
        train_state, metrics = train(key, env.default_params)
        return Learnt(train_state.network_params, metrics, jnp.float32(0))

    if path.is_file():
        learnt = load_tree(path, jax.eval_shape(learn, key))
    else:
        start_time = time.monotonic()
        learnt = jax.device_get(learn(key))
        learnt = learnt._replace(seconds=np.float32(time.monotonic() - start_time))
        save_parameters(path, learnt)
    network_params = jax.tree.map(jnp.asarray, learnt.network_params)  # NumPy's cannot be constants of a program
    return Imitator(env, algorithm, config, network_params, learnt.history | {"seconds": learnt.seconds})


def play(player: Player, key: jax.Array, num_episodes: int) -> dict[str, np.ndarray]:
    """Plays whole episodes.

    Returns:
      By name: `return` `[E, N]` float32; `length` `[E]` int32; `terminated` `[E]` bool, whether the rule of the game
      ended the episode, before or with the clock. On Gems that is a success; on Intersection it may be a crash.
    """

    def outcome(key: jax.Array) -> dict[str, jax.Array]:
        steps = play_steps(player, key)
        is_played = steps.is_played
        return {
            "return": (steps.rewards * is_played[:, None]).sum(0),
            "length": is_played.sum(),
            "terminated": (steps.terminated & is_played).any(),
        }

    play_many = jax.jit(jax.vmap(outcome))
    size = min(AT_ONCE, num_episodes)
    keys = jax.random.split(key, (-(-num_episodes // size), size))
    parts = [jax.device_get(play_many(some)) for some in keys]
    return {name: np.concatenate([part[name] for part in parts])[:num_episodes] for name in parts[0]}


def summarize_play(outcomes: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over episodes; `return` over agents as well, with its standard error."""
    returns = outcomes["return"]
    per_episode = returns.mean(1)
    return {
        "return": float(per_episode.mean()),
        "return_error": float(per_episode.std(ddof=1) / np.sqrt(len(per_episode))),
        **{f"return_{agent}": float(value) for agent, value in enumerate(returns.mean(0))},
        "terminated": float(outcomes["terminated"].mean()),
        "length": float(outcomes["length"].mean()),
    }


def mean_return(player: Player, task: Task) -> float:
    """Mean over agents of their mean returns."""
    return float(np.mean(play(player, task.key(EVALUATE), task.num_episodes)["return"].mean(0).tolist()))


# Recovered rewards


def explorer(task: Task, imitator: Imitator) -> Player:
    """The imitator, but every agent acts at random in some steps, by actions that the demonstrations show."""
    share = jnp.full(len(task.shown), EXPLORATION, jnp.float32)
    return mix_in_random(imitator.player(), jnp.log(jnp.asarray(task.shown, jnp.float32)), share)


def fit(task: Task, imitator: Imitator) -> tuple[EventRewards, Row]:
    """Recovered rewards as weights of events, and for the row the weights and how many steps they were read from.

    `constrained_regression` reads explored transitions and as many demonstrated ones, or all if there are fewer. The
    imitator's soft values of states, if it has any, are among the features.
    """
    report("reading rewards")
    explored = record(explorer(task, imitator), task.key(EXPLORE), task.options.explored)
    demonstrated = records.take(task.train, slice(len(explored.obs)))
    describe = make_state_features(imitator.env)

    def joined(read: Callable[[Demonstrations], np.ndarray]) -> np.ndarray:
        return np.concatenate([read(demonstrated), read(explored)])

    def event_of(name: str, part: Demonstrations) -> np.ndarray:
        return part.events[name]

    def features(obs: np.ndarray) -> np.ndarray:
        return np.concatenate([describe(obs), imitator.state_values(obs)], axis=-1)

    alone = -1 - np.arange(len(explored.obs))  # steps of explored episodes do not go on as the demonstrators would
    recovered = Recovered(
        targets=joined(imitator.rewards),
        events={name: joined(partial(event_of, name)) for name in EVENTS.get(task.piece.game, explored.events)},
        features=joined(lambda part: features(part.obs)),
        next_features=joined(lambda part: features(part.next_obs)),
        terminated=joined(lambda part: part.terminated),
        episodes=np.concatenate([demonstrated.episodes, alone]),
    )
    rewards = constrained_regression(recovered, imitator.config.discount, NUM_STEPS)
    counts = {"fitted_on_demonstrated": len(demonstrated.obs), "fitted_on_explored": len(explored.obs)}
    return rewards, {"weights": rewards.rows()} | counts


def fit_successors(task: Task, imitator: Imitator, names: tuple[str, ...]) -> EventRewards | None:
    """Recovered rewards as weights of these events, by what follows each action; None if play does not fix them.

    Each action that the demonstrations show is played on for as long as an episode takes, from states of episodes that
    are explored, an eighth as many.
    """
    report("following actions")
    if (task.shown.sum(1) < 2).any():
        return None
    num_states = min(NUM_STATES, task.options.explored)
    key_explore, key_follow = jax.random.split(task.key(FOLLOW))
    states = draw_states(explorer(task, imitator), key_explore, -(-num_states // 8), num_states)
    num_steps = int(imitator.env.default_params.max_steps)
    steps = Play(imitator.player(), imitator.reward_function, imitator.config.discount, num_steps, names)
    found = successor_rewards(steps, states, task.shown, key_follow, REPETITIONS)
    return found if np.isfinite(found.weights).all() else None


def score(task: Task, imitator: Imitator, fits: dict[str, EventRewards]) -> Row:
    """Of each agent how well rewards match the game's own, on held-out steps; nothing where there are none.

    The scores are those of `reward_scores` with names that begin with raw, the name of the fit, or fixed and the name
    of weights that nobody recovered; `random_scores` on the features of the first fit; and what each fit explained.
    """
    held_out = task.held_out
    if held_out is None:
        return {}
    kinds = {"raw": imitator.rewards(held_out)} | {kind: found.rewards(held_out.events) for kind, found in fits.items()}
    for name, weights in FIXED.get(task.piece.game, {}).items():
        parts = [weight * event_feature(event, held_out.events) for event, weight in weights.items()]
        kinds[f"fixed_{name}"] = np.sum(parts, axis=0)
    truth = held_out.rewards, held_out.terminated, held_out.episodes
    scores = {kind: reward_scores(rewards, *truth) for kind, rewards in kinds.items()}
    scores["random"] = random_scores(next(iter(fits.values())).names, held_out.events, *truth)
    agents = [
        {f"{kind}_{name}": value for kind, of_agents in scores.items() for name, value in of_agents[agent].items()}
        | {f"{kind}_explained": float(found.explained[agent]) for kind, found in fits.items()}
        for agent in range(held_out.rewards.shape[1])
    ]
    return {"agents": agents}


# Stage retrain


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
    row |= {"gap": UNTOLD} if successor is None else {"successor_weights": successor.rows()}
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
