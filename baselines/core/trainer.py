"""What an algorithm offers to those who run, save and evaluate it."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from baselines.disk.schema import MOST_INT32
from jaxdilemmas.arguments import check_kind, require
from jaxdilemmas.environment import Environment, check_game, check_key
from jaxdilemmas.wrappers import AutoReset

Train = Callable[[jax.Array, Any], tuple[Any, dict[str, jax.Array]]]


class Trainer(NamedTuple):
    """Training as two pure functions; both may be jitted, and vmapped over seeds.

    Attributes:
      init: (key, env_params) -> train_state, a pytree that holds everything: saved and restored between two updates, it
        goes on as if nothing had happened, bitwise.
      update: (train_state, env_params) -> (train_state, metrics), metrics a dict of float32 `[]` or `[N]`.
    """

    init: Callable[[jax.Array, Any], Any]
    update: Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]


class Varied(NamedTuple):
    """Numbers that differ between runs that one program trains side by side, `[]` in each of them.

    Attributes:
      settings: of the learner, by name; they take the place of those in its config.
      env_params: numbers in the rules.
    """

    settings: dict[str, jax.Array]
    env_params: Any


class Policy(NamedTuple):
    """What a trained run plays in one environment.

    Attributes:
      act: (network_params, obs `[N, ...]`, memory, key) -> (actions `[N]` int32, memory).
      initial_memory: an array or a pytree of arrays, `[N, ...]`, at the start of each episode.
    """

    act: Callable[[Any, jax.Array, Any, jax.Array], tuple[jax.Array, Any]]
    initial_memory: Any


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """An algorithm as commands, run directories and players know it: every algorithm declares one as `ALGORITHM`.

    Attributes:
      name: its module in `baselines`, which is its command, and its name in the record of a run.
      config_class: its settings, a frozen dataclass with a property or field `num_updates`, `env_steps_per_update`:
        joint actions played by one seed in an update, 0 if nothing is played or the number differs,
        `split_over_devices`: the numbers by name that several devices share out evenly, such as {"num_envs": 128}, and
        `without_effect`: the settings by name that nothing reads, each with the settings with which it is read.
      make_trainer: (config, env) -> `Trainer`; it may have further arguments.
      make_policy: (config, env, greedy=False) -> `Policy`, what a trained run plays.
      default_env: id of the game that the command plays where no game is named.
    """

    name: str
    config_class: Any
    make_trainer: Callable[..., Trainer]
    make_policy: Callable[..., Policy]
    default_env: str = "gathering"

    def bind(self, config: Any, env: Environment) -> Trainer:
        """The trainer of a run; files that it learns from are read first, before anything is compiled or written.

        Raises:
          ValueError: the settings do not fit the game, or a file cannot be read or is of another game.
        """
        return self.bind_later(config, env)(config)

    def bind_later(self, config: Any, env: Environment) -> Callable[[Any], Trainer]:
        """As `bind`, for settings of which some numbers may be traced; files are read now.

        Returns:
          settings -> the trainer.
        """
        return lambda settings: self.make_trainer(settings, env)

    def make_train(self, config: Any, env: Environment, *args: Any, **kwargs: Any) -> Train:
        """The whole run as one function, which is compiled when it is called; arguments as of `make_trainer`.

        Returns:
          (key, env_params) -> (train_state at the end, metrics with a leading axis `[num_updates]`). It may be jitted,
          and vmapped over keys and params. It raises a ValueError if `key` is no JAX PRNG key.
        """
        trainer = self.make_trainer(config, env, *args, **kwargs)

        @jax.jit
        def run(key: jax.Array, env_params: Any) -> tuple[Any, dict[str, jax.Array]]:
            def update(train_state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
                return trainer.update(train_state, env_params)

            return jax.lax.scan(update, trainer.init(key, env_params), length=config.num_updates)

        def train(key: jax.Array, env_params: Any) -> tuple[Any, dict[str, jax.Array]]:
            check_key(key)
            return run(key, env_params)

        return train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imitator(Algorithm):
    """An algorithm that learns from demonstrations and recovers rewards; its settings have a field `demonstrations`.

    Attributes:
      make_trainer: (config, env, demonstrations=None) -> `Trainer`.
      read_demonstrations: (config, env) -> the demonstrations that the settings name.
      recovered_rewards: (config, env, network_params) -> the reward function that the networks hold.
      action_values: (config, env, network_params, obs `[M, N, ...]`) -> values of actions or logits `[M, N, A]`.
    """

    read_demonstrations: Callable[[Any, Environment], Any]
    recovered_rewards: Callable[[Any, Environment, Any], Any]
    action_values: Callable[[Any, Environment, Any, jax.Array], jax.Array]

    def bind_later(self, config: Any, env: Environment) -> Callable[[Any], Trainer]:
        """As `Algorithm.bind_later`."""
        demonstrations = self.read_demonstrations(config, env)
        return lambda settings: self.make_trainer(settings, env, demonstrations)


def check_arguments(config: Any, config_class: type, env: Any) -> None:
    """Raises a ValueError unless `config` holds settings of the algorithm and `env` is a game without resets."""
    check_kind("config", config, config_class, f"a {config_class.__module__}.{config_class.__name__}")
    check_unreset_game(env)


def check_unreset_game(env: Any) -> None:
    """Raises a ValueError unless `env` is a game that does not reset itself."""
    check_game(env)
    require(not isinstance(env, AutoReset), "env", env, "a game without AutoReset: whoever plays it resets it")


def check_network_params(network_params: Any, template: Any) -> None:
    """Raises a ValueError unless parameters have the tree and the shapes of a template, as of `jax.eval_shape`."""
    found, needed = (dict(jax.tree.leaves_with_path(tree)) for tree in (network_params, template))
    for path in [*needed, *(path for path in found if path not in needed)]:
        shapes = [getattr(leaves.get(path), "shape", None) for leaves in (found, needed)]
        name = f"network_params{jax.tree_util.keystr(path)} of shape"
        require(shapes[0] == shapes[1], name, shapes[0], f"{shapes[1]} by the settings of the network")


class RolloutBudget:
    """What follows from the settings of a learner that plays a rollout before each update.

    Attributes:
      num_envs: environments played side by side.
      rollout_steps: steps in each between updates.
      total_env_steps: joint actions played in training; whole updates only.
    """

    num_envs: int
    rollout_steps: int
    total_env_steps: int

    @property
    def env_steps_per_update(self) -> int:
        """Joint actions played between two updates."""
        return self.num_envs * self.rollout_steps

    @property
    def split_over_devices(self) -> dict[str, int]:
        """The numbers that several devices share out."""
        return {"num_envs": self.num_envs}

    @property
    def without_effect(self) -> dict[str, str]:
        """The settings that nothing reads, each with the settings with which it is read."""
        return {}

    @property
    def num_updates(self) -> int:
        """Rollouts of full length; the learner learns after each of them."""
        return self.total_env_steps // self.env_steps_per_update


def check_budget(config: RolloutBudget) -> None:
    """Raises a ValueError unless rollouts fit int32 and `total_env_steps` is enough for one update."""
    per_update = config.env_steps_per_update
    most = f"at most {MOST_INT32 // config.num_envs}: num_envs * rollout_steps is at most 2^31 - 1"
    require(per_update <= MOST_INT32, "rollout_steps", config.rollout_steps, most)
    require(config.num_updates >= 1, "total_env_steps", config.total_env_steps, f"at least one update, {per_update}")
