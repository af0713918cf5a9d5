"""The work of the study of common pools: a laboratory trains, evaluates and mixes the models of one protocol."""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from baselines import networked
from baselines.analysis.teams import EmptyClassError, Tags, draw_team, tag_agents
from baselines.core.players import Episode, play_episode, trained_player
from baselines.disk.packing import check_shapes
from baselines.disk.schema import Lines, Plain, as_tuples, check_fields, read_json
from baselines.disk.writing import load_arrays, save_arrays
from baselines.networking.assembly import assemble
from baselines.runs.directory import load_parameters, save_parameters
from baselines.studies.common_pool.options import Model, Options
from jaxdilemmas import metrics
from jaxdilemmas.arguments import require
from jaxdilemmas.graphs import edges_of, make_graph

Arrays = dict[str, np.ndarray]
TRAIN, EVALUATE, MIX = range(3)
"""Purposes of keys."""


class Laboratory:
    """One protocol, compiled once for all of its rates, seeds and teams; the numbers of the game are traced."""

    def __init__(self, options: Options, protocol: str) -> None:
        self.options, self.protocol, self.env = options, protocol, options.env()
        config = options.config(protocol)
        policy = networked.make_policy(config, self.env)
        run = networked.make_train(config, self.env)

        def play(network_params: Any, key: jax.Array, params: Any) -> dict[str, jax.Array]:
            player = trained_player(self.env, policy, network_params)
            keys = jax.random.split(key, options.episodes)
            return jax.vmap(lambda key: episode_outcome(play_episode(player, key, params, options.steps)))(keys)

        self.edges = edges_of(make_graph(config.graph, self.env.num_agents))
        self.train = jax.jit(lambda key, params: run(key, params)[0].network_params)
        self.play = jax.jit(play)  # E episodes: see `episode_outcome`, leading axis E

    def env_params(self, rate: float) -> Any:
        """The game's numbers at a rate."""
        return self.env.default_params.replace(regrowth_rate=jnp.float32(rate))

    def make(self, model: Model) -> None:
        """Trains and evaluates a model and saves both; its evaluation comes last."""
        key, params = partial(self.options.key, self.protocol, model=model), self.env_params(model.rate)
        network_params = self.train(key(TRAIN), params)
        save_parameters(self.options.parameters_file(self.protocol, model), network_params)
        outcomes = self.play(network_params, key(EVALUATE), params)
        save_arrays(self.options.outcomes_file(self.protocol, model), jax.device_get(outcomes))

    def mix(self) -> None:
        """Draws, plays and saves the mixed teams of all numbers of defectors."""
        tags, models = tag(self.options, load_outcomes(self.options, self.protocol)), self.load_models()
        params, num_agents = self.env_params(self.options.team_rate), self.env.num_agents
        shape = (num_agents + 1, self.options.teams, num_agents)
        model_of_agent, is_cooperator = np.full(shape, -1, np.int32), np.zeros(shape, np.bool_)
        returns, gaps = np.full(shape, np.nan), {}
        key_draw, key_play = jax.random.split(self.options.key(self.protocol, MIX))
        rng = np.random.default_rng(np.asarray(jax.random.bits(key_draw, (4,))))
        keys = jax.random.split(key_play, shape[:2])
        for num_defectors in range(shape[0]):
            try:
                teams = [draw_team(tags, num_defectors, rng) for _ in range(shape[1])]
            except EmptyClassError as error:
                gaps[num_defectors] = str(error)
                continue
            for number, team in enumerate(teams):
                i = (num_defectors, number)
                model_of_agent[i], is_cooperator[i] = team
                network_params = assemble(models, jnp.asarray(team.model_of_agent), self.edges)
                returns[i] = np.asarray(self.play(network_params, keys[i], params)["return"]).mean(0)
        about = np.frombuffer(json.dumps({"mixing": self.options.mixing(), "gaps": gaps}).encode(), np.uint8)
        arrays = {"model_of_agent": model_of_agent, "is_cooperator": is_cooperator, "returns": returns, "about": about}
        save_arrays(self.options.teams_file(self.protocol), arrays)

    def load_models(self) -> Any:
        """Parameters of all models, leading axis M."""
        template = jax.eval_shape(self.train, jax.random.key(0), self.env_params(self.options.team_rate))
        files = [self.options.parameters_file(self.protocol, model) for model in self.options.models]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *[load_parameters(file, template) for file in files])


def episode_outcome(episode: Episode) -> dict[str, jax.Array]:
    """Numbers of the first T steps of an episode of `common_pool`: `restraint` and `return` `[N]`, the others `[]`.

    `restraint` is the share of the steps played in which an agent waited, the depleting step among them; `length` at
    most T; `efficiency` the rewards of all per step of all T.
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


# What is on disk


def load_outcomes(options: Options, protocol: str) -> Arrays:
    """The evaluation of all models of a protocol, leading axes M (in the order of `options.models`) and E.

    Raises:
      ValueError: a file is missing, damaged, or holds other arrays; the message names the file.
    """
    names, num_agents = ("length", "is_depleted", "efficiency", "equality", "sustainability"), options.env().num_agents
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (options.episodes,))
    shapes |= dict.fromkeys(("restraint", "return"), (options.episodes, num_agents))
    found = {file: load_arrays(file) for file in (options.outcomes_file(protocol, model) for model in options.models)}
    for file, arrays in found.items():
        check_shapes(file, arrays, shapes)
    return {name: np.stack([arrays[name] for arrays in found.values()]) for name in shapes}


@dataclasses.dataclass(frozen=True)
class AboutTeams:
    """The entry `about` of a file of teams: `Options.mixing`, and by number of defectors why there are none."""

    mixing: Plain
    gaps: Lines

    def __post_init__(self) -> None:
        check_fields(self)


def load_teams(options: Options, protocol: str) -> tuple[Arrays, AboutTeams]:
    """The mixed teams of a protocol, T of each number of defectors: the first axis of the arrays is that number.

    Returns:
      `model_of_agent` `[N + 1, T, N]` int32, the number of the model that each agent comes from; `is_cooperator`
      `[N + 1, T, N]` bool; `returns` `[N + 1, T, N]` float64, means over episodes, NaN where there is no team.

    Raises:
      ValueError: the file is missing or damaged, or an entry is wrong; the message names the file.
    """
    path, num_agents = options.teams_file(protocol), options.env().num_agents
    arrays = load_arrays(path)
    about = _pop_about(path, arrays)
    for number in about.gaps.keys() - set(map(str, range(num_agents + 1))):
        require(False, f"{path}: about: gaps", number, f"numbers from 0 to {num_agents}")
    shape = (num_agents + 1, options.teams, num_agents)
    check_shapes(path, arrays, dict.fromkeys(("model_of_agent", "is_cooperator", "returns"), shape))
    return arrays, about


def _pop_about(path: Path, arrays: Arrays) -> AboutTeams:
    return read_json(f"{path}: about", arrays.pop("about", np.zeros(0, np.uint8)).tobytes(), AboutTeams)


def tag(options: Options, outcomes: Arrays) -> Tags:
    """Labels of the agents of all models, by their mean restraint over episodes, `[M, E, N]` -> `[M, N]`."""
    return tag_agents(outcomes["restraint"].mean(1), options.defector_below, options.cooperator_above)


# Pieces of work: a protocol each


def are_models_done(options: Options, protocol: str) -> bool:
    """Whether all models of a protocol are on disk."""
    return all(options.outcomes_file(protocol, model).is_file() for model in options.models)


def make_models(options: Options, protocol: str) -> None:
    """Trains and evaluates the models of a protocol that are not on disk."""
    laboratory = Laboratory(options, protocol)
    for model in options.models:
        if not options.outcomes_file(protocol, model).is_file():
            laboratory.make(model)


def are_teams_done(options: Options, protocol: str) -> bool:
    """Whether the mixed teams on disk are those of the options."""
    path = options.teams_file(protocol)
    return path.is_file() and _pop_about(path, load_arrays(path)).mixing == as_tuples(options.mixing())


def mix_teams(options: Options, protocol: str) -> None:
    """Mixes the teams of a protocol."""
    Laboratory(options, protocol).mix()
