"""The options of the study of MAMQL, checked before anything is compiled, and the places of its files."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from baselines.disk.schema import Count, CountFromTwo, FilePath, NumEpisodes, OnceEach
from baselines.imitation.joint_actions import MAX_JOINT_ACTIONS
from baselines.studies.mamql import methods
from baselines.studies.mamql.measures import NUM_STATES, REPETITIONS
from baselines.studies.mamql.methods import COMPARED, METHODS, TRUE_REWARD, game_of, joint_actions
from baselines.studies.mamql.pieces import RECORDED, Piece, short_name
from baselines.studies.mamql.stages import STAGES
from baselines.studies.side_by_side import StudyOptions
from jaxdilemmas.arguments import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """What to learn, to play and to compare. Settings are those of all methods that have them.

    Attributes:
      stages: table: all methods at all sizes on Gems; retrain: IPPO on recovered rewards; games: Overcooked and
        Intersection; dilemmas: rewards of cooperative, greedy and exploitative teams.
      methods: the imitators.
      sizes: transitions of demonstrations, in stage table; every seed draws its own.
      experts: whose demonstrations: "recorded", a scripted policy of Gems, or the directory of a run on Gems.
      recording: the recorded Gems expert data, an npz file; needed for the expert "recorded".
      episodes: in which agents are evaluated.
      explored: the least number of steps with random actions that the regression of rewards plays. It reads at most as
        many demonstrations. Successor rewards start from at most as many states.
      retrain_size: of demonstrations, in stage retrain.
      retrain_env_steps: for which IPPO trains on a reward.
      dilemma_size: transitions of a team, in stage dilemmas.
      output: directory; a row that it holds is not made again.
    """

    stages: OnceEach[str] = ("table",)
    methods: OnceEach[str] = COMPARED
    sizes: OnceEach[CountFromTwo] = (30, 100, 300, 1000, 10_000, 20_000)
    experts: OnceEach[str] = (RECORDED,)
    recording: FilePath | None = None
    episodes: NumEpisodes = 1000
    explored: Count = 18_000
    retrain_size: Count = 10_000
    retrain_env_steps: Count = 600_000
    dilemma_size: Count = 10_000
    output: FilePath = Path("runs/mamql_study")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in {"stages": [stage.name for stage in STAGES], "methods": list(METHODS)}.items():
            unknown = sorted({*getattr(self, name)} - {*known})
            require(not unknown, name, unknown, f"of {', '.join(known)}")
        names = [short_name(expert) for expert in self.experts]
        require(len(set(names)) == len(names), "experts", self.experts, "of different names")
        self.chosen_settings(methods.SETTING_NAMES)
        is_there = self.recording is not None and self.recording.is_file()
        is_needed = any(piece.expert == RECORDED for piece in self.asked)
        allowed = "the file of the recorded Gems expert data; without it use --quick, or --experts greedy"
        require(is_there or not is_needed, "recording", self.recording, allowed)
        if "retrain" in self.stages:
            self.retraining("gems")
        for (method, game), config in self.configs().items():  # wrong settings are found before any of them is used
            METHODS[method].algorithm.make_trainer(config, game_of(game))

    def config(self, method: str, game: str) -> Any:
        """The settings of a method on a game; see `methods.config_of`."""
        return methods.config_of(method, game, self.chosen_settings(methods.SETTING_NAMES))

    def configs(self) -> dict[tuple[str, str], Any]:
        """The settings of every method on every game, of the pieces that are trained."""
        learners = dict.fromkeys((piece.method, piece.game) for piece in self.pieces if piece.method != TRUE_REWARD)
        return {learner: self.config(*learner) for learner in learners}

    def retraining(self, game: str) -> Any:
        """The settings of IPPO on recovered rewards."""
        return methods.retraining(game, self.retrain_env_steps)

    @property
    def asked(self) -> list[Piece]:
        """All rows of the chosen stages, also those that cannot be made."""
        return [piece for stage in STAGES if stage.name in self.stages for piece in stage.asked(self)]

    @property
    def pieces(self) -> list[Piece]:
        """All rows of the chosen stages that can be made."""
        left_out = self._unable
        return [piece for piece in self.asked if (piece.method, piece.game) not in left_out]

    @property
    def _unable(self) -> list[tuple[str, str]]:
        """Methods and games that were asked for and cannot be, since there are too many joint actions."""
        pairs = dict.fromkeys((piece.method, piece.game) for piece in self.asked if piece.method != TRUE_REWARD)
        return [pair for pair in pairs if not methods.can_learn(*pair, self.config(*pair))]

    @property
    def left_out(self) -> list[str]:
        """The methods and games that were asked for and cannot be, with the reason."""
        most = f"critics have at most {MAX_JOINT_ACTIONS:,}"
        return [f"{method} on {game}: {joint_actions(game):,} joint actions, {most}" for method, game in self._unable]

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
        is_retraining, path = "retrain" in self.stages, self.recording
        content = path.read_bytes() if path is not None and path.is_file() else None
        return {name: getattr(self, name) for name in names} | {
            "recording": None if content is None else hashlib.sha256(content).hexdigest(),
            "retraining": dataclasses.asdict(self.retraining("gems")) | fixed if is_retraining else None,
            "experts": {short_name(expert): expert for expert in self.experts},
            "configs": {f"{m} on {game}": dataclasses.asdict(c) for (m, game), c in self.configs().items()},
        }


def quick_options() -> Options:
    """The part of the study that `--quick` makes, before its other options."""
    parts: dict[str, Any] = {"methods": ("mamql", "cloning", "iq_learn"), "sizes": (100, 1000), "seeds": 2}
    return Options(experts=("cooperative",), episodes=1000, explored=6000, **parts)
