"""The options of the study of MAMQL, checked before anything is compiled, and the places of its files."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

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
from baselines.imitation.joint_actions import MAX_JOINT_ACTIONS
from baselines.presets import FIRST_REPORTED_SEED
from baselines.runs.options import parse_env_kwargs
from baselines.studies.mamql import methods
from baselines.studies.mamql.methods import COMPARED, METHODS, TRUE_REWARD, game_of, joint_actions
from baselines.studies.mamql.stages import STAGES
from baselines.studies.mamql.tasks import NUM_STATES, RECORDED, REPETITIONS, Piece, short_name
from jaxdilemmas.arguments import require


@dataclasses.dataclass(frozen=True)
class Options:
    """What to learn, to play and to compare.

    Attributes:
      stages: table: all methods at all sizes on Gems; retrain: IPPO on recovered rewards; games: Overcooked and
        Intersection; dilemmas: rewards of cooperative, greedy and exploitative teams.
      methods: the imitators.
      sizes: transitions of demonstrations, in stage table.
      seeds: trainings of each imitator; every training draws its own demonstrations.
      first_seed: the other seeds follow it; settings were chosen on seeds below 100.
      experts: whose demonstrations: "recorded", a scripted policy of Gems, or the directory of a run on Gems.
      recording: the recorded Gems expert data, an npz file; needed for the expert "recorded".
      settings: of all methods that have them as name=value, such as gradient_steps=500; for trials.
      episodes: in which agents are evaluated.
      explored: the least number of steps with random actions that the regression of rewards plays. It reads at most as
        many demonstrations. Successor rewards start from at most as many states.
      retrain_size: of demonstrations, in stage retrain.
      retrain_env_steps: for which IPPO trains on a reward.
      dilemma_size: transitions of a team, in stage dilemmas.
      jobs: processes at work at a time.
      output: directory; a row that it holds is not made again.

    Raises:
      ValueError: a value is not allowed.
    """

    stages: OnceEach[str] = ("table",)
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

    def __post_init__(self) -> None:
        check_fields(self)
        for name, known in {"stages": [stage.name for stage in STAGES], "methods": list(METHODS)}.items():
            unknown = sorted({*getattr(self, name)} - {*known})
            require(not unknown, name, unknown, f"of {', '.join(known)}")
        require(self.first_seed < 2**31 - self.seeds, "first_seed", self.first_seed, "seeds are below 2^31")
        names = [short_name(expert) for expert in self.experts]
        require(len(set(names)) == len(names), "experts", self.experts, "of different names")
        settings = {name for method in METHODS for name in methods.setting_names(method)}
        unknown = sorted(parse_env_kwargs(self.settings).keys() - settings)
        require(not unknown, "settings", unknown, f"of {', '.join(sorted(settings))}")
        is_there = self.recording is not None and self.recording.is_file()
        is_needed = any(piece.expert == RECORDED for piece in self.asked)
        allowed = "the file of the recorded Gems expert data; without it use --quick, or --experts greedy"
        require(is_there or not is_needed, "recording", self.recording, allowed)
        if self.is_retraining:
            self.retraining("gems")
        for (method, game), config in self.configs().items():  # wrong settings are found before any of them is used
            METHODS[method].algorithm.make_trainer(config, game_of(game))

    def config(self, method: str, game: str) -> Any:
        """The settings of a method on a game; see `methods.config_of`."""
        return methods.config_of(method, game, parse_env_kwargs(self.settings))

    def configs(self) -> dict[tuple[str, str], Any]:
        """The settings of every method on every game, of the pieces that are trained."""
        learners = dict.fromkeys((piece.method, piece.game) for piece in self.pieces if piece.method != TRUE_REWARD)
        return {learner: self.config(*learner) for learner in learners}

    def retraining(self, game: str) -> Any:
        """The settings of IPPO on recovered rewards."""
        return methods.retraining(game, self.retrain_env_steps)

    @property
    def is_retraining(self) -> bool:
        """Whether a chosen stage trains IPPO on rewards."""
        return any(piece.method == TRUE_REWARD for piece in self.asked)

    @property
    def all_seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def asked(self) -> list[Piece]:
        """All rows of the chosen stages, also those that cannot be made."""
        chosen = [stage for stage in STAGES if stage.name in self.stages]
        return [Piece(stage.name, *learner) for stage in chosen for learner in stage.learners(self)]

    @property
    def pieces(self) -> list[Piece]:
        """All rows of the chosen stages that can be made, seed by seed, so that every stage has some rows early."""
        able = {learner for learner in {piece.learner for piece in self.asked} if self.can_learn(*learner)}
        return [piece for piece in self.asked if piece.learner in able]

    def can_learn(self, method: str, game: str) -> bool:
        """Whether the method can learn the game."""
        return method == TRUE_REWARD or methods.can_learn(method, game, self.config(method, game))

    @property
    def left_out(self) -> list[str]:
        """The methods and games that were asked for and cannot be, with the reason."""
        pairs = [pair for pair in dict.fromkeys(piece.learner for piece in self.asked) if not self.can_learn(*pair)]
        most = f"critics have at most {MAX_JOINT_ACTIONS:,}"
        return [f"{method} on {game}: {joint_actions(game):,} joint actions, {most}" for method, game in pairs]

    @property
    def summary(self) -> str:
        """A sentence for the page."""
        return f"{self.seeds} seeds, {self.episodes:,} episodes each. Intervals are 95 %, over seeds."

    def row_file(self, piece: Piece) -> Path:
        """The row of a piece; a piece that has it is done."""
        return self.output / "rows" / piece.stage / f"{piece.label}.json"

    def parameters_file(self, piece: Piece) -> Path:
        """What the imitator of a piece learnt."""
        return self.output / "models" / f"{piece.label}.safetensors"

    def demonstrations_file(self, game: str, expert: str) -> Path:
        """The demonstrations of an expert, all that the study needs."""
        return self.output / "demonstrations" / f"{game}-{short_name(expert)}.demos"

    def training(self) -> dict[str, Any]:
        """What rows in a directory have in common; None for what these options leave open."""
        names = ("settings", "episodes", "explored", "retrain_env_steps")
        fixed = {"successor_states": NUM_STATES, "successor_repetitions": REPETITIONS, "paid_root_mean_square": 1}
        is_there = self.recording is not None and self.recording.is_file()
        content = self.recording.read_bytes() if self.recording is not None and is_there else b""
        return {name: getattr(self, name) for name in names} | {
            "recording": hashlib.sha256(content).hexdigest() if is_there else None,
            "retraining": dataclasses.asdict(self.retraining("gems")) | fixed if self.is_retraining else None,
            "experts": {short_name(expert): expert for expert in self.experts},
            "configs": {f"{m} on {game}": dataclasses.asdict(c) for (m, game), c in self.configs().items()},
        }


def quick_options() -> Options:
    """The part of the study that `--quick` makes, before its other options."""
    parts: dict[str, Any] = {"methods": ("mamql", "cloning", "iq_learn"), "sizes": (100, 1000), "seeds": 2}
    return Options(experts=("cooperative",), episodes=1000, explored=6000, **parts)
