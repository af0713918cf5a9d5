"""What the study of MAMQL consists of: its options, checked before anything is compiled, and where its files are."""

import dataclasses
import functools
import hashlib
import itertools
import os
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

import jaxdilemmas
from baselines import adversarial, cloning, ippo, iq_learn, mamql
from baselines.core.trainer import Imitator
from baselines.disk.schema import (
    Count,
    CountFromTwo,
    FilePath,
    NumEpisodes,
    NumSeeds,
    OnceEach,
    Seed,
    check_fields,
)
from baselines.imitation.critics import count_actions
from baselines.imitation.joint_actions import MAX_JOINT_ACTIONS
from baselines.presets import FIRST_REPORTED_SEED, preset
from baselines.runs.options import parse_env_kwargs
from jaxdilemmas.environment import Environment, require

Stage = Literal["table", "retrain", "games", "dilemmas"]
STAGES: tuple[Stage, ...] = ("table", "retrain", "games", "dilemmas")


class Method(NamedTuple):
    """An imitator of the study.

    Attributes:
      algorithm: by which it learns.
      settings: what makes it this method.
      elsewhere: more of them, outside Gems, where an observation does not show all.
      own_budget: whether the gradient steps tuned for it win over those that methods share.
    """

    algorithm: Imitator
    settings: dict[str, Any]
    elsewhere: dict[str, Any]
    own_budget: bool = False


READS_ALL = {"reads": "all"}

METHODS: dict[str, Method] = {
    "mamql": Method(mamql.ALGORITHM, {}, READS_ALL),
    "cloning": Method(cloning.ALGORITHM, {}, {}),
    "iq_learn": Method(iq_learn.ALGORITHM, {"critic": "independent"}, {}),
    "iq_learn_joint": Method(iq_learn.ALGORITHM, {"critic": "joint"}, READS_ALL),
    "airl": Method(adversarial.ALGORITHM, {"method": "airl"}, {}, own_budget=True),
    "gail": Method(adversarial.ALGORITHM, {"method": "gail"}, {}, own_budget=True),
    "iq_learn_online": Method(mamql.ALGORITHM, {}, {}),
}
"""The last is an ablation: MAMQL with sampled marginals that reads its own observation is independent IQ-Learn which
plays in training, so that the two differ outside Gems and in what they read alone."""

COMPARED = tuple(method for method in METHODS if method != "iq_learn_online")
"""Methods of the study unless others are named."""

SHARED = (
    *("network", "hidden_size", "batch_size", "gradient_steps", "discount", "augment"),
    "acting_inverse_temperature",
)
"""Settings that methods take from the tuned ones of MAMQL; see `Method.own_budget`."""

RECORDED = "recorded"
"""The expert of the recorded Gems data."""

NUM_STATES, REPETITIONS = 3000, 3
"""In stage retrain: from how many states, at most as many as are explored, and how often, what follows is played."""

TRUE_REWARD = "true_reward"
"""In stage retrain: IPPO on the game's own reward, what the others are compared with."""

GAMES: dict[str, tuple[str, tuple[int, ...]]] = {
    "overcooked": ("greedy", (500, 1000, 2000)),
    "intersection": ("cautious", (5000, 20_000, 35_000, 50_000, 70_000)),
}
"""Games of stage games: the scripted expert and the published numbers of demonstrations (USC-Lira/ma-mql @ 7f3da20,
README figures). The published Intersection is another game with another reward."""

DILEMMAS: dict[str, tuple[str, ...]] = {
    "gathering": ("cooperative", "greedy", "exploitative"),
    "cleanup": ("cooperative", "greedy", "exploitative"),
    "common_pool": ("cooperative", "exploitative"),
}
"""Games of stage dilemmas, and whose demonstrations are looked at."""

EVENTS: dict[str, tuple[str, ...]] = {
    "gems": ("own_gems", "shared"),
    "gathering": ("collected", "hits_given", "tagged"),
    "cleanup": ("collected", "cleaned", "hits_given", "hits_received"),
    "common_pool": ("effort",),
}
"""Events that recovered rewards are weights of; all of the game's info where nothing stands here."""

FIXED: dict[str, dict[str, dict[str, float]]] = {
    "gems": {"shared": {"shared": 1.0}, "one_to_one": {"own_gems": 1.0, "shared": 1.0}}
}
"""Weights of events that nobody recovered, by game and name: what fitted ones are held against."""


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

    stage: Stage
    game: str
    expert: str
    method: str
    size: int
    seed: int

    @property
    def model(self) -> str:
        """A name for what is learnt, which stages share."""
        return f"{self.game}-{label(self.expert)}-{self.method}-{self.size}-seed_{self.seed}"


def label(expert: str) -> str:
    """A name for files: of a run the directory's last part."""
    return Path(expert).name


@dataclasses.dataclass(frozen=True)
class Options:
    """What to learn, to play and to compare.

    Attributes:
      stages: table: all methods at all sizes on Gems; retrain: IPPO on recovered rewards; games: Overcooked and
        Intersection; dilemmas: rewards of cooperative, greedy and exploitative teams.
      methods: who learns.
      sizes: transitions of demonstrations, of stage table.
      seeds: trainings of each, with demonstrations drawn anew.
      first_seed: the others follow it; settings were chosen on seeds below 100.
      experts: whose demonstrations: "recorded", a scripted policy of Gems, or the directory of a run on Gems.
      recording: the recorded Gems expert data, an npz file; needed for the expert "recorded".
      settings: of all methods that have them as name=value, such as gradient_steps=500; for trials.
      episodes: in which agents are evaluated.
      explored: steps of the game with random actions, at least, that the regression of rewards plays and reads beside
        the demonstrations, of which it takes as many where there are so many; and the most states of `NUM_STATES`.
      retrain_size: of demonstrations, in stage retrain.
      retrain_env_steps: for which IPPO trains on a reward.
      dilemma_size: transitions of a team, in stage dilemmas.
      jobs: processes at work side by side.
      output: directory; what it holds is not done again.
      page: a page in Markdown into which the results are written, between its marks; the pictures go beside it.

    Raises:
      ValueError: a value is not allowed.
    """

    stages: OnceEach[Stage] = ("table",)
    methods: OnceEach[str] = COMPARED
    sizes: OnceEach[CountFromTwo] = (30, 100, 300, 1000, 10_000, 20_000)
    seeds: NumSeeds = 5
    first_seed: Seed = FIRST_REPORTED_SEED
    experts: OnceEach[str] = (RECORDED,)
    recording: FilePath | None = None
    settings: tuple[str, ...] = ()
    episodes: NumEpisodes = 1000
    explored: Count = 18_000
    retrain_size: Count = 10_000
    retrain_env_steps: Count = 600_000
    dilemma_size: Count = 10_000
    jobs: Count = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    output: FilePath = Path("runs/mamql_study")
    page: FilePath | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        unknown = sorted({*self.methods} - {*METHODS})
        require(not unknown, "methods", unknown, f"of {', '.join(METHODS)}")
        require(self.first_seed < 2**31 - self.seeds, "first_seed", self.first_seed, "seeds are below 2^31")
        labels = [label(expert) for expert in self.experts]
        require(len(set(labels)) == len(labels), "experts", self.experts, "of different names")
        is_needed = RECORDED in self.experts and bool({*self.stages} - {"games", "dilemmas"})
        is_there = self.recording is not None and self.recording.is_file()
        allowed = "the file of the recorded Gems expert data; without it use --quick, or --experts greedy"
        require(is_there or not is_needed, "recording", self.recording, allowed)
        self._check_settings()

    def _check_settings(self) -> None:
        """All methods are made for all games of theirs, so that wrong settings are found."""
        settings = parse_env_kwargs(self.settings)
        known = {name for method in METHODS.values() for name in _fields(method.algorithm)}
        unknown = sorted(settings.keys() - known)
        require(not unknown, "settings", unknown, f"of {', '.join(sorted(known))}")
        if "retrain" in self.stages:
            self.retraining("gems")
        for (method, game), config in self.configs().items():
            METHODS[method].algorithm.make_trainer(config, game_of(game))

    def config(self, method: str, game: str) -> Any:
        """The settings of a method on a game.

        Raises:
          ValueError: a setting is not allowed.
        """
        algorithm, own, elsewhere, own_budget = METHODS[method]
        tuned = preset(algorithm.name, game)
        kept = {"gradient_steps"} & tuned.keys() if own_budget else set()
        shared = {name: value for name, value in preset("mamql", game).items() if name in SHARED and name not in kept}
        own = own if game == "gems" else own | elsewhere
        given = parse_env_kwargs(self.settings).items()
        chosen = {name: value for name, value in given if name in _fields(algorithm)}
        return algorithm.config_class(**(tuned | shared | own | chosen))

    def configs(self) -> dict[tuple[str, str], Any]:
        """The settings of all that learn, by method and game."""
        learners = dict.fromkeys((piece.method, piece.game) for piece in self.pieces if piece.method != TRUE_REWARD)
        return {learner: self.config(*learner) for learner in learners}

    def retraining(self, game: str) -> Any:
        """The settings of IPPO in stage retrain."""
        network = {name: value for name, value in preset("mamql", game).items() if name == "network"}
        return ippo.Config(**(network | preset("ippo", game)), total_env_steps=self.retrain_env_steps)

    def can_learn(self, method: str, game: str) -> bool:
        """Whether the method is one for the game: critics of joint actions are for few of them."""
        if method == TRUE_REWARD:
            return True
        config = self.config(method, game)
        is_joint = getattr(config, "critic", "") == "joint" or getattr(config, "marginalisation", "") == "explicit"
        is_joint |= METHODS[method].algorithm is adversarial.ALGORITHM and config.reads == "all"
        return not is_joint or joint_actions(game) <= MAX_JOINT_ACTIONS

    @property
    def all_seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def pieces(self) -> list[Piece]:
        """All rows of the chosen stages that can be, seed by seed, so that an interrupted study has some of all."""
        learners = {(piece.method, piece.game) for piece in self._asked}
        able = {learner for learner in learners if self.can_learn(*learner)}
        return [piece for piece in self._asked if (piece.method, piece.game) in able]

    @property
    def left_out(self) -> list[str]:
        """Methods and games that were asked for and cannot be, with the reason."""
        asked = dict.fromkeys((piece.game, piece.method) for piece in self._asked)
        pairs = [(game, method) for game, method in asked if not self.can_learn(method, game)]
        most = f"critics have at most {MAX_JOINT_ACTIONS:,}"
        return [f"{method} on {game}: {joint_actions(game):,} joint actions, {most}" for game, method in pairs]

    @property
    def _asked(self) -> list[Piece]:
        """All rows of all chosen stages."""
        makers = {
            "table": self._table,
            "retrain": self._retrain,
            "games": self._games,
            "dilemmas": self._teams,
        }
        return [Piece(stage, *rest) for stage in STAGES if stage in self.stages for rest in makers[stage]()]

    def _table(self) -> list[tuple[str, str, str, int, int]]:
        parts = itertools.product(self.all_seeds, self.experts, self.sizes, self.methods)
        return [("gems", expert, method, size, seed) for seed, expert, size, method in parts]

    def _retrain(self) -> list[tuple[str, str, str, int, int]]:
        parts = itertools.product(self.all_seeds, self.experts, (*self.methods, TRUE_REWARD))
        return [("gems", expert, method, self.retrain_size, seed) for seed, expert, method in parts]

    def _games(self) -> list[tuple[str, str, str, int, int]]:
        return [
            (game, expert, method, size, seed)
            for seed in self.all_seeds
            for game, (expert, sizes) in GAMES.items()
            for size in sizes
            for method in self.methods
        ]

    def _teams(self) -> list[tuple[str, str, str, int, int]]:
        teams = [(game, expert) for game, experts in DILEMMAS.items() for expert in experts]
        parts = itertools.product(self.all_seeds, teams, self.methods)
        return [(*team, method, self.dilemma_size, seed) for seed, team, method in parts]

    def row_file(self, piece: Piece) -> Path:
        """What came of a piece; one that has it is done."""
        return self.output / "rows" / piece.stage / f"{piece.model}.json"

    def parameters_file(self, piece: Piece) -> Path:
        """What was learnt."""
        return self.output / "models" / f"{piece.model}.safetensors"

    def demonstrations_file(self, game: str, expert: str) -> Path:
        """Demonstrations of an expert, all that the study needs."""
        return self.output / "demonstrations" / f"{game}-{label(expert)}.demos"

    def training(self) -> dict[str, Any]:
        """What rows in a directory have in common, for JSON; None for what these options leave open."""
        names = ("settings", "episodes", "explored", "retrain_env_steps")
        is_retraining = "retrain" in self.stages
        return {name: getattr(self, name) for name in names} | {
            "recording": _checksum(self.recording),
            "retraining": self._retraining_on_record if is_retraining else None,
            "experts": {label(expert): expert for expert in self.experts},
            "configs": {f"{m} on {game}": dataclasses.asdict(c) for (m, game), c in self.configs().items()},
        }

    @property
    def _retraining_on_record(self) -> dict[str, Any]:
        successors = {"successor_states": NUM_STATES, "successor_repetitions": REPETITIONS}
        return dataclasses.asdict(self.retraining("gems")) | successors | {"paid_root_mean_square": 1}


def quick_options() -> Options:
    """The part of the study that `--quick` makes, before its other options."""
    parts: dict[str, Any] = {"methods": ("mamql", "cloning", "iq_learn"), "sizes": (100, 1000), "seeds": 2}
    return Options(experts=("cooperative",), episodes=1000, explored=6000, **parts)


@functools.cache
def _fields(algorithm: Imitator) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(algorithm.config_class))


@functools.cache
def game_of(name: str) -> Environment:
    """The game of that id, as it is by default."""
    return jaxdilemmas.make(name)


def joint_actions(game: str) -> int:
    """How many joint actions a game has."""
    return int(count_actions(game_of(game)) ** game_of(game).num_agents)


def _checksum(path: Path | None) -> str | None:
    """SHA-256 of a file, None if there is none."""
    return None if path is None or not path.is_file() else hashlib.sha256(path.read_bytes()).hexdigest()


def key_of(name: str, purpose: int) -> jax.Array:
    """A JAX PRNG key for one use: another one for every name and purpose."""
    return jax.random.fold_in(jax.random.key(zlib.crc32(name.encode())), purpose)
