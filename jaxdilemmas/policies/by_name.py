"""Scripted policies of a game, found by name."""

import importlib
from collections.abc import Callable
from typing import Any

import jax

from jaxdilemmas.environment import Environment, Policy, check_game, check_key, require
from jaxdilemmas.policies.chance import random


def scripted_policies(env: Environment) -> dict[str, Callable[[Any], Policy]]:
    """What can play a game without having learnt it.

    Args:
      env: any game, without wrappers. Its own policies are the `POLICIES`, a dict of the same kind, of the module that
        `env.policy_module` names; the module is imported here.

    Returns:
      Functions of the game that build its policies, by name: "random" and the game's own.

    Raises:
      ValueError: `env` is no environment.
    """
    check_game(env)
    own = importlib.import_module(env.policy_module).POLICIES if env.policy_module else {}
    return {"random": random, **own}


def scripted(env: Environment, name: str) -> Policy:
    """The policy of this name; see `scripted_policies`.

    Args:
      env: any game, without wrappers.
      name: "random", or one of the game's own.

    Returns:
      `policy(key, state) -> actions [N]`.

    Raises:
      ValueError: `env` is no environment, or the game has no policy of that name. From the policy: `key` is no key, or
        `state` is none of the game.
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
