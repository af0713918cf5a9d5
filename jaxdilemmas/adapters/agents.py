"""Functions that all adapters use: agents by name instead of an agent axis, and spaces of another library."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxdilemmas.environment import Environment, check_game, require
from jaxdilemmas.spaces import Box, Discrete, Observation, Space, WithExtras
from jaxdilemmas.wrappers import AutoReset


def agent_names(env: Environment) -> list[str]:
    """Returns `agent_0`, `agent_1`, ..., in the order of the agent axis."""
    return [f"agent_{i}" for i in range(env.num_agents)]


def by_agent(agents: Sequence[str], values: Any) -> dict[str, Any]:
    """Splits values `[N, ...]` into a dict with one entry for each agent."""
    return {agent: values[i] for i, agent in enumerate(agents)}


def observations_by_agent(agents: Sequence[str], obs: Any) -> dict[str, Any]:
    """As `by_agent`; an `Observation` becomes a dict with the entries "view" and "extras" for each agent."""
    if not isinstance(obs, Observation):
        return by_agent(agents, obs)
    return {agent: {"view": obs.view[i], "extras": obs.extras[i]} for i, agent in enumerate(agents)}


def check_ends(env: Environment) -> None:
    """Raises a ValueError unless `env` is an environment that does not reset itself; the other library resets it."""
    check_game(env)
    require(not isinstance(env, AutoReset), "env", env, "an environment that does not reset itself")


def check_agents(agents: Sequence[str], actions: Mapping[str, Any]) -> None:
    """Raises a ValueError unless `actions` has exactly one entry for each agent."""
    require(isinstance(actions, Mapping), "actions", actions, f"a dict with one entry for each of {', '.join(agents)}")
    missing = [agent for agent in agents if agent not in actions]
    unknown = [agent for agent in actions if agent not in agents]
    allowed = f"one entry for each of {', '.join(agents)}; missing: {missing}, unknown: {unknown}"
    require(not missing and not unknown, "actions", dict(actions), allowed)


def convert_space(space: Space | WithExtras, library: Any) -> Any:
    """Returns the same space in another library.

    Args:
      space: a `Discrete`, a `Box` or a `WithExtras`, which becomes a `Dict` of "view" and "extras".
      library: a module with `Discrete(n)`, `Box(low, high, shape, dtype)` and `Dict(spaces)`.

    Raises:
      ValueError: the space is none of these.
    """
    if isinstance(space, WithExtras):
        return library.Dict({name: convert_space(getattr(space, name), library) for name in ("view", "extras")})
    if isinstance(space, Discrete):
        return library.Discrete(space.n)
    if isinstance(space, Box):
        return library.Box(space.low, space.high, space.shape, space.dtype)
    raise ValueError(f"space={space!r} is not allowed: adapters convert Discrete, Box and WithExtras")
