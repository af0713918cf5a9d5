"""What the study of MAMQL consists of: its options, checked before anything is compiled, and where its files are."""

import dataclasses
import functools
import importlib
import itertools
import os
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from baselines.presets import preset
from baselines.training.options import parse_env_kwargs
from jaxdilemmas.environment import require

Stage = Literal["table", "retrain", "partners", "stochastic", "games", "dilemmas"]
STAGES: tuple[Stage, ...] = ("table", "retrain", "partners", "stochastic", "games", "dilemmas")


class Method(NamedTuple):
    """An imitator: a module of `baselines`, and the settings that make it this one."""

    algorithm: str
    settings: dict[str, Any]


METHODS: dict[str, Method] = {
    "mamql": Method("mamql", {}),
    "cloning": Method("cloning", {}),
    "iq_learn": Method("iq_learn", {"critic": "independent"}),
    "iq_learn_joint": Method("iq_learn", {"critic": "joint"}),
    "airl": Method("adversarial", {"method": "airl"}),
    "gail": Method("adversarial", {"method": "gail"}),
}
SHARED = (
    *("network", "hidden_size", "batch_size", "gradient_steps", "discount", "augment"),
    "acting_inverse_temperature",
)
"""Settings that every method takes from the tuned ones of MAMQL: the same network, augmentation, budget and acting."""

RECORDED = "recorded"
"""The expert of the recorded Gems data."""

NOISY = "noisy_"
"""Before the name of an expert: all agents but the first act at random in some steps."""

TRUE_REWARD = "true_reward"
"""In stage retrain: IPPO on the game's own reward, what the others are compared with."""

GAMES: dict[str, tuple[str, tuple[int, ...]]] = {
    "overcooked": ("greedy", (500, 1000, 2000)),
    "intersection": ("cautious", (5000, 20_000, 35_000, 50_000, 70_000)),
}
"""Games of stage games: the scripted expert and the published numbers of demonstrations (USC-Lira/ma-mql @ 7f3da20,
README figures)."""

DILEMMAS: dict[str, tuple[str, ...]] = {
    "gathering": ("cooperative", "greedy", "exploitative"),
    "cleanup": ("cooperative", "greedy", "exploitative"),
    "common_pool": ("cooperative", "exploitative"),
}
"""Games of stage dilemmas, and whose demonstrations are looked at."""

EVENTS: dict[str, tuple[str, ...]] = {
    "gems": ("own_gems", "shared"),
    "gathering": ("collected", "hits_given", "tagged"),
    "cleanup": ("collected", "cleaned", "hits_given", "fined"),
    "common_pool": ("effort",),
}
"""Events that recovered rewards are weights of; all of the game's info where nothing stands here."""


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
      stages: table: all methods at all sizes on Gems; retrain: IPPO on recovered rewards; partners: agents of stage
        table beside others than in the demonstrations; stochastic: demonstrations of agents beside noisy ones; games:
        Overcooked and Intersection; dilemmas: rewards of cooperative, greedy and exploitative teams.
      methods: who learns.
      sizes: transitions of demonstrations, of stages table, partners and stochastic.
      seeds: trainings of each, with demonstrations drawn anew.
      first_seed: the others follow it.
      experts: whose demonstrations: "recorded", a scripted policy of Gems, or the directory of a run on Gems.
      recording: the recorded Gems expert data, an npz file; needed for the expert "recorded".
      settings: of all methods that have them as name=value, such as gradient_steps=500; for trials.
      episodes: in which agents are evaluated.
      explored: transitions with random actions that the regression of rewards reads, beside as many demonstrations.
      retrain_size: of demonstrations, in stage retrain.
      retrain_env_steps: for which IPPO trains on a reward.
      dilemma_size: transitions of a team, in stage dilemmas.
      quick: a part of the study in about ten minutes; other options are then read as changes to it.
      jobs: processes at work side by side.
      output: directory; what it holds is not done again.
      page: a page in Markdown into which the results are written, between its marks; the pictures go beside it.

    Raises:
      ValueError: a value is not allowed.
    """

    stages: tuple[Stage, ...] = ("table",)
    methods: tuple[str, ...] = tuple(METHODS)
    sizes: tuple[int, ...] = (30, 100, 300, 1000, 10_000, 20_000)
    seeds: int = 5
    first_seed: int = 0
    experts: tuple[str, ...] = (RECORDED,)
    recording: Path | None = None
    settings: tuple[str, ...] = ()
    episodes: int = 1000
    explored: int = 18_000
    retrain_size: int = 10_000
    retrain_env_steps: int = 2_000_000
    dilemma_size: int = 10_000
    quick: bool = False
    jobs: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    output: Path = Path("runs/mamql_study")
    page: Path | None = None

    def __post_init__(self) -> None:
        for name in ("stages", "methods", "sizes", "experts"):
            values = getattr(self, name)
            require(len(set(values)) == len(values) > 0, name, values, "at least one, each once")
        for name, known in {"stages": STAGES, "methods": tuple(METHODS)}.items():
            unknown = sorted({*getattr(self, name)} - {*known})
            require(not unknown, name, unknown, f"of {', '.join(known)}")
        for name in ("seeds", "explored", "retrain_size", "retrain_env_steps", "dilemma_size", "jobs"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(min(self.sizes) >= 2, "sizes", self.sizes, "at least 2 each")
        require(self.episodes >= 2, "episodes", self.episodes, "at least 2, for an interval")
        require(0 <= self.first_seed < 2**31 - self.seeds, "first_seed", self.first_seed, "seeds are below 2^31")
        labels = [label(expert) for expert in self.experts]
        require(len(set(labels)) == len(labels), "experts", self.experts, "of different names")
        is_needed = RECORDED in self.experts and bool({*self.stages} - {"games", "dilemmas", "stochastic"})
        is_there = self.recording is not None and self.recording.is_file()
        require(is_there or not is_needed, "recording", self.recording, "the file of the recorded Gems expert data")
        is_playable = self.experts != (RECORDED,) or "stochastic" not in self.stages
        require(is_playable, "experts", self.experts, "stage stochastic needs one that can play, such as cooperative")
        self._check_settings()

    def _check_settings(self) -> None:
        """All methods are made, so that wrong settings are found."""
        settings = parse_env_kwargs(self.settings)
        known = {name for method in METHODS.values() for name in _fields(method.algorithm)}
        unknown = sorted(settings.keys() - known)
        require(not unknown, "settings", unknown, f"of {', '.join(sorted(known))}")
        for method in self.methods:
            self.config(method, "gems")

    def config(self, method: str, game: str) -> Any:
        """The settings of a method on a game.

        Raises:
          ValueError: a setting is not allowed.
        """
        algorithm, own = METHODS[method]
        fields = _fields(algorithm)
        shared = {name: value for name, value in preset("mamql", game).items() if name in SHARED}
        chosen = {name: value for name, value in parse_env_kwargs(self.settings).items() if name in fields}
        module = importlib.import_module(f"baselines.{algorithm}")
        return module.Config(**(preset(algorithm, game) | shared | own | chosen))

    @property
    def all_seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def pieces(self) -> list[Piece]:
        """All rows of all chosen stages, seed by seed, so that an interrupted study has some of everything."""
        makers = {
            "table": self._table,
            "retrain": self._retrain,
            "partners": self._table,
            "stochastic": self._stochastic,
            "games": self._games,
            "dilemmas": self._dilemmas,
        }
        return [Piece(stage, *rest) for stage in STAGES if stage in self.stages for rest in makers[stage]()]

    def _table(self) -> list[tuple[str, str, str, int, int]]:
        parts = itertools.product(self.all_seeds, self.experts, self.sizes, self.methods)
        return [("gems", expert, method, size, seed) for seed, expert, size, method in parts]

    def _retrain(self) -> list[tuple[str, str, str, int, int]]:
        parts = itertools.product(self.all_seeds, self.experts, (*self.methods, TRUE_REWARD))
        return [("gems", expert, method, self.retrain_size, seed) for seed, expert, method in parts]

    def _stochastic(self) -> list[tuple[str, str, str, int, int]]:
        experts = [f"{NOISY}{expert}" for expert in self.experts if expert != RECORDED]
        parts = itertools.product(self.all_seeds, experts, self.sizes, self.methods)
        return [("gems", expert, method, size, seed) for seed, expert, size, method in parts]

    def _games(self) -> list[tuple[str, str, str, int, int]]:
        return [
            (game, expert, method, size, seed)
            for seed in self.all_seeds
            for game, (expert, sizes) in GAMES.items()
            for size in sizes
            for method in self.methods
        ]

    def _dilemmas(self) -> list[tuple[str, str, str, int, int]]:
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
        """What rows in a directory have in common, for JSON."""
        names = ("settings", "episodes", "explored", "retrain_env_steps")
        return {name: getattr(self, name) for name in names} | {"experts": {label(e): e for e in self.experts}}


def quick_options() -> Options:
    """The part of the study that `--quick` makes, before its other options; a recording must still be named."""
    parts: dict[str, Any] = {"methods": ("mamql", "cloning", "iq_learn"), "sizes": (100, 1000), "seeds": 2}
    return Options(experts=("cooperative",), quick=True, episodes=1000, explored=6000, **parts)


@functools.cache
def _fields(algorithm: str) -> frozenset[str]:
    config = importlib.import_module(f"baselines.{algorithm}").Config
    return frozenset(field.name for field in dataclasses.fields(config))


def key_of(name: str, purpose: int) -> jax.Array:
    """A JAX PRNG key for one use: another one for every name and purpose."""
    return jax.random.fold_in(jax.random.key(zlib.crc32(name.encode())), purpose)
