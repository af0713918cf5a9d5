"""Policies: `policy(key, state) -> actions`, for all agents at once.

`random` and `bernoulli` play any game. `scripted` finds a scripted policy of a game by its name. Each family of games
has one module of scripted policies, such as `jaxdilemmas.policies.gathering`. These modules share the functions of
`routes`.
"""

from jaxdilemmas.policies.by_name import scripted, scripted_policies
from jaxdilemmas.policies.chance import bernoulli, random

__all__ = ["bernoulli", "random", "scripted", "scripted_policies"]
