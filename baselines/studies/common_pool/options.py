"""The options of the study of common pools, checked before anything is compiled, and the places of its files."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxdilemmas
from baselines.analysis.teams import tag_agents
from baselines.disk.schema import (
    MOST_EPISODES,
    Count,
    CountOrZero,
    FilePath,
    Fraction,
    NonNegative,
    OnceEach,
    Positive,
)
from baselines.networked import Config
from baselines.networking.protocols import PROTOCOLS
from baselines.runs.options import default_name, parse_env_kwargs
from baselines.studies.side_by_side import StudyOptions
from jaxdilemmas.environment import Environment, require

PROTOCOL_NAMES: tuple[str, ...] = tuple(PROTOCOLS)
RATES = (0.03, 0.042, 0.053, 0.065, 0.077, 0.088, 0.1)


class Model(NamedTuple):
    """One training."""

    rate: float
    seed: int

    def __str__(self) -> str:
        """A name for files."""
        return f"rate_{self.rate}-seed_{self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """What to train, to evaluate and to mix; the settings are those of `baselines.networked`.

    Attributes:
      protocols: which messages the agents exchange; every rate and seed trains a model of each.
      rates: of regrowth; a model is trained and evaluated at one.
      reward_sharing: how much of the others' rewards an agent learns from.
      env_kwargs: keyword arguments of common_pool as name=value, such as num_agents=4 max_steps=1000.
      episodes: in which a model or a team is evaluated.
      steps: of an episode that are looked at.
      defector_below: agents with less restraint are defectors.
      cooperator_above: agents with more are cooperators.
      teams: mixed for each number of defectors; 0 for no mixed teams.
      team_rate: the regrowth rate at which they play.
      output: directory; by default one in runs, named by time. If it holds a study, that study is continued.
    """

    protocols: OnceEach[str] = PROTOCOL_NAMES
    rates: OnceEach[Positive] = RATES
    reward_sharing: NonNegative = 0.1
    env_kwargs: tuple[str, ...] = ()
    episodes: Count = 20
    steps: Count = 100
    defector_below: Fraction = 0.25
    cooperator_above: Fraction = 0.35
    teams: CountOrZero = 100
    team_rate: Positive = 0.055
    output: FilePath = dataclasses.field(default_factory=lambda: Path("runs") / default_name("study", "common_pool"))

    def __post_init__(self) -> None:
        super().__post_init__()
        is_fit = self.teams == 0 or 2 <= self.teams <= MOST_EPISODES
        require(is_fit, "teams", self.teams, f"0, or at least 2 for an interval, and at most {MOST_EPISODES:,}")
        tag_agents(np.zeros((1, 1)), self.defector_below, self.cooperator_above)  # raises if thresholds are wrong
        reserved = {"regrowth_rate"} & parse_env_kwargs(self.env_kwargs).keys()
        require(not reserved, "env_kwargs", self.env_kwargs, "regrowth_rate is set by rates and team_rate")
        for rate in (*self.rates, self.team_rate):
            self.env(rate)
        most = self.env().default_params.max_steps
        require(self.steps <= most, "steps", self.steps, f"at most max_steps={most}")
        for protocol in self.protocols:
            self.config(protocol)

    @property
    def summary(self) -> str:
        """A sentence for the page."""
        config = self.config(self.protocols[0])
        return (
            f"{len(self.protocols)} protocols at {len(self.rates)} rates, {self.seeds} seeds, "
            f"{config.total_env_steps:,} env steps a model, reward sharing {self.reward_sharing:g}, graph "
            f"{config.graph}. Every model plays {self.episodes} episodes, of which the first {self.steps} steps count. "
            f"{self.teams} teams for each number of cooperators play at rate {self.team_rate:g}. Intervals are 95 %."
        )

    @property
    def slowest_first(self) -> list[str]:
        """The protocols, those first that need the most time."""
        return sorted(self.protocols, key=PROTOCOL_NAMES.index, reverse=True)

    @property
    def models(self) -> list[Model]:
        """Of each protocol."""
        return [Model(*names) for names in itertools.product(self.rates, self.all_seeds)]

    def env(self, rate: float | None = None) -> Environment:
        """The game, at a rate or at its default one; raises a ValueError if an argument is not allowed."""
        rates = {} if rate is None else {"regrowth_rate": rate}
        return jaxdilemmas.make("common_pool", **parse_env_kwargs(self.env_kwargs), **rates)

    def config(self, protocol: str) -> Config:
        """Settings of the algorithm; raises a ValueError if one is unknown or not allowed."""
        own: dict[str, Any] = {"protocol": protocol, "reward_sharing": self.reward_sharing}
        known = {field.name for field in dataclasses.fields(Config)} - own.keys()
        return Config(**own, **self.chosen_settings(known))

    def training(self) -> dict[str, Any]:
        """What the models in a directory have in common."""
        config = dataclasses.asdict(self.config(self.protocols[0]))
        return {
            "env_version": self.env().version,
            "env_kwargs": parse_env_kwargs(self.env_kwargs),
            "config": {name: value for name, value in config.items() if name != "protocol"},
            "episodes": self.episodes,
            "steps": self.steps,
        }

    def mixing(self) -> dict[str, Any]:
        """What mixed teams depend on apart from the settings of the models, for JSON."""
        names = ("defector_below", "cooperator_above", "teams", "team_rate")
        return {name: getattr(self, name) for name in names} | {"models": [str(model) for model in self.models]}

    def key(self, protocol: str, purpose: int, model: Model | None = None) -> jax.Array:
        """A JAX PRNG key for one use; every protocol, rate, seed and purpose has its own."""
        rate, seed = (0.0, self.first_seed) if model is None else model
        index = 3 * PROTOCOL_NAMES.index(protocol)  # the factor keeps the keys of the results in docs/
        numbers = [index, int(np.float32(rate).view(np.uint32)), purpose]
        return functools.reduce(jax.random.fold_in, numbers, jax.random.key(seed))

    def parameters_file(self, protocol: str, model: Model) -> Path:
        """The parameters of a model."""
        return self.output / "models" / protocol / f"{model}.safetensors"

    def outcomes_file(self, protocol: str, model: Model) -> Path:
        """The evaluation of a model; a model that has one is done."""
        return self.output / "models" / protocol / f"{model}.outcomes.safetensors"

    def teams_file(self, protocol: str) -> Path:
        """The mixed teams of a protocol."""
        return self.output / "teams" / f"{protocol}.safetensors"
