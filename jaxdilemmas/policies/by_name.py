"""Finds the scripted policies of a game by name."""

import importlib
from collections.abc import Callable
from typing import Any

import jax

from jaxdilemmas.environment import Environment, Policy, check_game, check_key, require
from jaxdilemmas.policies.chance import random


def scripted_policies(env: Environment) -> dict[str, Callable[[Any], Policy]]:
    """Returns the policies that play a game without learning.

    The game's own policies are in the module that `env.policy_module` names, in its dict `POLICIES`. This function
    imports the module.

    Args:
      env: any game, without wrappers.

    Returns:
      A dict from names to functions. Each function takes the game and builds a policy. The dict contains "random" and
      the game's own policies.

    Raises:
      ValueError: `env` is not an environment.
    """
    check_game(env)
    own = importlib.import_module(env.policy_module).POLICIES if env.policy_module else {}
    return {"random": random, **own}


def scripted(env: Environment, name: str) -> Policy:
    """Builds the scripted policy of this name; see `scripted_policies`.

    Args:
      env: any game, without wrappers.
      name: "random", or the name of one of the game's own policies.

    Returns:
      `policy(key, state) -> actions`, of the shape `[N, ...]` and the dtype of the action space.

    Raises:
      ValueError: `env` is not an environment, or the game has no policy of this name. The policy raises it if `key` is
        not a PRNG key, or if `state` is not a state of the game.
    """
    makers = scripted_policies(env)
    is_known = isinstance(name, str) and name in makers
    require(is_known, "name", name, f"{type(env).__name__} has the policies {', '.join(makers)}")
    policy = makers[name](env)

    def checked(key: jax.Array, state: Any) -> jax.Array:
        check_key(key)
        if name != "random":
            env.check_state(state)
        return policy(key, state)

    return checked
