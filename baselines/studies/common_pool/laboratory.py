"""The work of the study of common pools: a laboratory trains, evaluates and mixes the models of one variant."""

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from baselines import networked
from baselines.analysis.teams import EmptyClassError, Tags, Team, draw_team, tag_agents
from baselines.core.players import Episode, play_episode, trained_player
from baselines.disk.schema import Lines, Plain, as_tuples, check_fields, read_json
from baselines.disk.writing import load_arrays, save_arrays
from baselines.networking.protocols import Params
from baselines.runs.directory import load_parameters, save_parameters
from baselines.studies.common_pool.options import Model, Options, Variant
from baselines.studies.side_by_side import report
from jaxdilemmas import metrics
from jaxdilemmas.arguments import numbers_from, require
from jaxdilemmas.graphs import Edges, edges_of, make_graph

Arrays = dict[str, np.ndarray]
TRAIN, EVALUATE, MIX = range(3)
"""Purposes of keys."""


class Laboratory:
    """One variant, compiled once for all of its rates, seeds and teams.

    Args:
      options: the study.
      variant: what is trained.
    """

    def __init__(self, options: Options, variant: Variant) -> None:
        self.options = options
        self.variant = variant
        self.env = options.env()
        self.config = options.config(variant)
        self.policy = networked.make_policy(self.config, self.env)
        self.edges = edges_of(make_graph(self.config.graph, self.env.num_agents))
        run = networked.make_train(self.config, self.env)
        self._train = jax.jit(lambda key, params: run(key, params)[0].network_params)
        self._play = jax.jit(self._play_episodes)

    def env_params(self, rate: float) -> Any:
        """The game's numbers at a rate; it is traced, so that all rates share one program."""
        return self.env.default_params.replace(regrowth_rate=jnp.float32(rate))

    def make(self, model: Model) -> None:
        """Trains and evaluates a model and saves both; its evaluation comes last."""
        key = partial(self.options.key, self.variant, model=model)
        network_params = self._train(key(TRAIN), self.env_params(model.rate))
        save_parameters(self.options.parameters_file(self.variant, model), network_params)
        outcomes = self.play(network_params, key(EVALUATE), model.rate)
        save_arrays(self.options.outcomes_file(self.variant, model), outcomes)

    def play(self, network_params: Any, key: jax.Array, rate: float) -> Arrays:
        """What comes of E episodes: see `episode_outcome`, leading axis E."""
        return jax.device_get(self._play(network_params, key, self.env_params(rate)))

    def _play_episodes(self, network_params: Any, key: jax.Array, params: Any) -> dict[str, jax.Array]:
        player = trained_player(self.env, self.policy, network_params)

        def outcome(key: jax.Array) -> dict[str, jax.Array]:
            return episode_outcome(play_episode(player, key, params, self.options.steps))

        return jax.vmap(outcome)(jax.random.split(key, self.options.episodes))

    def mix(self) -> None:
        """Draws, plays and saves the mixed teams of all numbers of defectors."""
        tags = tag(self.options, load_outcomes(self.options, self.variant))
        models = self.load_models()
        num_agents, num_teams = self.env.num_agents, self.options.teams
        shape = (num_agents + 1, num_teams, num_agents)
        arrays = {
            "model_of_agent": np.full(shape, -1, np.int32),
            "is_cooperator": np.zeros(shape, np.bool_),
            "returns": np.full(shape, np.nan),
        }
        gaps = {}
        key_draw, key_play = jax.random.split(self.options.key(self.variant, MIX))
        rng = np.random.default_rng(np.asarray(jax.random.bits(key_draw, (4,))))
        keys = jax.random.split(key_play, shape[:2])
        for num_defectors in range(num_agents + 1):
            try:
                teams = [draw_team(tags, num_defectors, rng) for _ in range(num_teams)]
            except EmptyClassError as error:
                gaps[num_defectors] = str(error)
                continue
            for i, team in enumerate(teams):
                arrays["model_of_agent"][num_defectors, i] = team.model_of_agent
                arrays["is_cooperator"][num_defectors, i] = team.is_cooperator
                arrays["returns"][num_defectors, i] = self._returns(models, team, keys[num_defectors, i])
        about = json.dumps({"mixing": self.options.mixing(), "gaps": gaps})
        arrays["about"] = np.frombuffer(about.encode(), np.uint8)
        save_arrays(self.options.teams_file(self.variant), arrays)

    def _returns(self, models: Any, team: Team, key: jax.Array) -> np.ndarray:
        """Mean returns of a team's agents, `[N]`."""
        network_params = assemble(models, jnp.asarray(team.model_of_agent), self.edges)
        return self.play(network_params, key, self.options.team_rate)["return"].mean(0)

    def load_models(self) -> Any:
        """Parameters of all models, leading axis M."""
        template = jax.eval_shape(self._train, jax.random.key(0), self.env_params(self.options.team_rate))
        files = [self.options.parameters_file(self.variant, model) for model in self.options.models]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *[load_parameters(file, template) for file in files])


def assemble(models: Params, model_of_agent: jax.Array, edges: Edges) -> Params:
    """Makes a team of agents from several trained models.

    Args:
      models: their parameters, leaves `[M, N, ...]` of agents and `[M, E, ...]` of edges.
      model_of_agent: `[N]` int32, from which of the M models agent i comes, in the place that it was trained for. Edges
        that it receives come with it.
      edges: of the graph that the models were trained on; not used for protocols without neighbours.

    Returns:
      Parameters as of one model.

    Raises:
      ValueError: `models` are no such parameters, or there is no model of that number.
    """
    is_fit = isinstance(models, dict) and set(models) == {"agents", "edges"}
    require(is_fit, "models", models, "parameters of models, a dict with agents and edges")
    num_models, num_agents = jax.tree.leaves(models["agents"])[0].shape[:2]
    chosen = numbers_from(model_of_agent)
    is_fit = chosen is not None and chosen.shape == (num_agents,) and bool(np.isin(chosen, range(num_models)).all())
    allowed = f"{num_agents} whole numbers from 0 to {num_models - 1}"
    require(is_fit, "model_of_agent", model_of_agent, allowed)
    model_of_agent = jnp.asarray(model_of_agent)
    rows = {"agents": model_of_agent, "edges": model_of_agent[edges.receivers]}
    return {
        owner: jax.tree.map(lambda leaf, index=index: leaf[index, jnp.arange(len(index))], models[owner])
        for owner, index in rows.items()
    }


def episode_outcome(episode: Episode) -> dict[str, jax.Array]:
    """Numbers of the first T steps of an episode of `common_pool`, N agents.

    Returns:
      `restraint` `[N]`: share of the steps played in which an agent waited, the depleting step among them; `return`
      `[N]`; `length` `[]`: of the episode, at most T; `is_depleted` `[]`; and `efficiency` (rewards of all, per step of
      all T), `equality` and `sustainability` (mean time of rewards) `[]`, as of `jaxdilemmas.metrics`.
    """
    num_played = episode.is_played.sum()
    last = {name: values[num_played - 1] for name, values in episode.info.items()}
    waits = jnp.sum((1 - episode.info["effort"]) * episode.is_played[:, None], axis=0)
    returns, num_agents = last["episode_return"], waits.shape[0]
    return {
        "restraint": waits / num_played,
        "return": returns,
        "length": num_played,
        "is_depleted": episode.next_states.stock[num_played - 1] <= 0,
        "efficiency": metrics.efficiency(returns, jnp.full(num_agents, len(episode.is_played))),
        "equality": metrics.equality(returns),
        "sustainability": metrics.sustainability(last["episode_reward_steps"], last["episode_reward_time"]),
    }


def outcome_shapes(options: Options) -> dict[str, tuple[int, ...]]:
    """The shapes of the evaluation of a model, E episodes of N agents; see `episode_outcome`."""
    agents, episodes = (options.episodes, options.env().num_agents), (options.episodes,)
    plain = ("length", "is_depleted", "efficiency", "equality", "sustainability")
    return {"restraint": agents, "return": agents} | dict.fromkeys(plain, episodes)


def load_outcomes(options: Options, variant: Variant) -> Arrays:
    """The evaluation of all models of a variant, leading axes M (in the order of `options.models`) and E.

    Raises:
      ValueError: a file is missing, damaged, or holds other arrays; the message names the file.
    """
    files = [options.outcomes_file(variant, model) for model in options.models]
    outcomes = [check_shapes(file, load_arrays(file), outcome_shapes(options)) for file in files]
    return {name: np.stack([outcome[name] for outcome in outcomes]) for name in outcomes[0]}


@dataclasses.dataclass(frozen=True)
class AboutTeams:
    """The entry `about` of a file of teams.

    Attributes:
      mixing: `Options.mixing` of the teams.
      gaps: by number of defectors, why there are no such teams.
    """

    mixing: Plain
    gaps: Lines

    def __post_init__(self) -> None:
        check_fields(self)


def read_about(path: Path, arrays: Arrays) -> AboutTeams:
    """The entry `about` of the arrays of a file; raises a ValueError that names the file if it is wrong."""
    return read_json(f"{path}: about", arrays.get("about", np.zeros(0, np.uint8)).tobytes(), AboutTeams)


def load_teams(options: Options, variant: Variant) -> tuple[Arrays, AboutTeams]:
    """The mixed teams of a variant, T of each number of defectors: the first axis of the arrays is that number.

    Returns:
      `model_of_agent` `[N + 1, T, N]` int32, the number of the model that each agent comes from; `is_cooperator`
      `[N + 1, T, N]` bool; `returns` `[N + 1, T, N]` float64, means over episodes, NaN where there is no team.

    Raises:
      ValueError: the file is missing or damaged, or an entry is wrong; the message names the file.
    """
    path, num_agents = options.teams_file(variant), options.env().num_agents
    arrays = load_arrays(path)
    about = read_about(path, arrays)
    for number in about.gaps.keys() - {str(number) for number in range(num_agents + 1)}:
        require(False, f"{path}: about: gaps", number, f"numbers from 0 to {num_agents}")
    teams = {name: array for name, array in arrays.items() if name != "about"}
    shape = (num_agents + 1, options.teams, num_agents)
    return check_shapes(path, teams, dict.fromkeys(("model_of_agent", "is_cooperator", "returns"), shape)), about


def check_shapes(path: Path, arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """The arrays.

    Raises:
      ValueError: they have other names, or an array has another shape or is no array of numbers.
    """
    require(arrays.keys() == shapes.keys(), f"{path}: names", sorted(arrays), f"{', '.join(sorted(shapes))}")
    for name, array in arrays.items():
        is_fit = array.shape == shapes[name] and array.dtype.kind in "bif"
        require(is_fit, f"{path}: {name}", (str(array.dtype), array.shape), f"numbers of shape {shapes[name]}")
    return arrays


def tag(options: Options, outcomes: Arrays) -> Tags:
    """Labels of the agents of all models, by their mean restraint over episodes, `[M, E, N]` -> `[M, N]`."""
    return tag_agents(outcomes["restraint"].mean(1), options.defector_below, options.cooperator_above)


def are_models_done(options: Options, variant: Variant) -> bool:
    """Whether all models of a variant are on disk."""
    return all(options.outcomes_file(variant, model).is_file() for model in options.models)


def are_teams_done(options: Options, variant: Variant) -> bool:
    """Whether the mixed teams on disk are those of the options."""
    path = options.teams_file(variant)
    if not path.is_file():
        return False
    return read_about(path, load_arrays(path)).mixing == as_tuples(options.mixing())


def make_models(options: Options, variant: Variant) -> None:
    """Trains and evaluates the models of a variant that are not on disk."""
    laboratory = Laboratory(options, variant)
    for model in options.models:
        if not options.outcomes_file(variant, model).is_file():
            report(model.label)
            laboratory.make(model)


def mix_teams(options: Options, variant: Variant) -> None:
    """Mixes the teams of a variant."""
    report("playing")
    Laboratory(options, variant).mix()
