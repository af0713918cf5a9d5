"""The options of the study of MAMQL, checked before anything is compiled, and the places of its files."""

import dataclasses
import hashlib
from itertools import product
from pathlib import Path
from typing import Any

from baselines.disk.schema import CountFromTwo, CountOrZero, FilePath, Line, NumEpisodes, OnceEach
from baselines.studies.mamql.methods import COMPARED, METHODS, SETTING_NAMES, config_of, game_of
from baselines.studies.mamql.pieces import Piece, Source, is_file, short_name
from baselines.studies.side_by_side import StudyOptions
from jaxdilemmas.arguments import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """What to learn, to play and to compare. Settings are those of all methods that have them.

    Attributes:
      game: its id.
      methods: the imitators.
      sizes: transitions of demonstrations; every seed draws its own.
      experts: whose demonstrations: a scripted policy of the game, the directory of a run on the game, or a file of
        demonstrations.
      episodes: in which agents are evaluated.
      states: from which actions are tried, to weigh events by recovered rewards; 0 for no weights. 3,000 take minutes a
        row.
      output: directory; a row that it holds is not made again.
    """

    game: str = "gems"
    methods: OnceEach[str] = COMPARED
    sizes: OnceEach[CountFromTwo] = (30, 100, 300, 1000, 10_000, 20_000)
    experts: OnceEach[Line] = ("greedy",)
    episodes: NumEpisodes = 1000
    states: CountOrZero = 0
    output: FilePath = Path("runs/mamql_study")

    def __post_init__(self) -> None:
        super().__post_init__()
        game_of(self.game)
        unknown = sorted({*self.methods} - METHODS.keys())
        require(not unknown, "methods", unknown, f"of {', '.join(METHODS)}")
        names = [short_name(expert) for expert in self.experts]
        require(len(set(names)) == len(names), "experts", self.experts, "of different names")
        self.chosen_settings(SETTING_NAMES)
        for method in self.methods:  # wrong settings are found before any of them is used
            METHODS[method].algorithm.make_trainer(self.config(method, self.game), game_of(self.game))

    def config(self, method: str, game: str) -> Any:
        """The settings of a method on a game; see `methods.config_of`."""
        return config_of(method, game, self.chosen_settings(SETTING_NAMES))

    @property
    def pieces(self) -> list[Piece]:
        """All rows, seed by seed, so that there are some of each early."""
        some = product(self.all_seeds, self.experts, self.sizes, self.methods)
        return [Piece(self.game, expert, method, size, seed) for seed, expert, size, method in some]

    @property
    def summary(self) -> str:
        """A sentence for the page."""
        return f"{self.game}, {self.seeds} seeds, {self.episodes:,} episodes each. Intervals are 95 %, over seeds."

    def row_file(self, piece: Piece) -> Path:
        """The row of a piece; a piece that has it is done."""
        return self.output / "rows" / f"{piece}.json"

    def demonstrations_file(self, source: Source) -> Path:
        """The demonstrations of an expert, all that the study needs."""
        return Path(source.expert) if is_file(source.expert) else self.output / "demonstrations" / f"{source}.demos"

    def training(self) -> dict[str, Any]:
        """What rows in a directory have in common."""
        contents = {expert: Path(expert).read_bytes() for expert in self.experts if is_file(expert)}
        checksums = {expert: hashlib.sha256(content).hexdigest() for expert, content in contents.items()}
        return {
            "settings": self.settings,
            "episodes": self.episodes,
            "states": self.states,
            "experts": {short_name(expert): checksums.get(expert, expert) for expert in self.experts},
            "configs": {f"{m} on {self.game}": dataclasses.asdict(self.config(m, self.game)) for m in self.methods},
        }


def quick_options() -> Options:
    """The part of the study that `--quick` makes, before its other options."""
    parts: dict[str, Any] = {"methods": ("mamql", "cloning", "iq_learn"), "sizes": (100, 1000), "seeds": 2}
    return Options(experts=("cooperative",), **parts)
