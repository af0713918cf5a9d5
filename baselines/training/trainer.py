"""What an algorithm offers to those who run, save and evaluate it."""

import typing
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

from jaxdilemmas.environment import require

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


class Policy(NamedTuple):
    """What a trained run plays in one environment.

    Attributes:
      act: (network_params, obs `[N, ...]`, memory, key) -> (actions `[N]` int32, memory).
      initial_memory: an array or a pytree of arrays, `[N, ...]`, at the start of each episode.
    """

    act: Callable[[Any, jax.Array, Any, jax.Array], tuple[jax.Array, Any]]
    initial_memory: Any


def scan_updates(
    trainer: Trainer, num_updates: int, key: jax.Array, env_params: Any
) -> tuple[Any, dict[str, jax.Array]]:
    """Trains from scratch: the train_state at the end and metrics with a leading axis `[num_updates]`."""

    def update(train_state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
        return trainer.update(train_state, env_params)

    return jax.lax.scan(update, trainer.init(key, env_params), length=num_updates)


def check_choices(config: Any) -> None:
    """Raises a ValueError if a field of a dataclass of settings that is a `Literal` holds none of its choices."""
    for name, hint in typing.get_type_hints(type(config)).items():
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            require(getattr(config, name) in choices, name, getattr(config, name), f"one of {', '.join(choices)}")
