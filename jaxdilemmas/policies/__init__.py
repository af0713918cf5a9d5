"""Policies: `policy(key, state) -> actions`, for all agents at once.

`random` and `bernoulli` play any game. `scripted` finds the scripted policies of a game by name. They stand in one
module for each family of games, such as `jaxdilemmas.policies.gathering`; `routes` is what these modules share.
"""

from jaxdilemmas.policies.by_name import scripted, scripted_policies
from jaxdilemmas.policies.chance import bernoulli, random

__all__ = ["bernoulli", "random", "scripted", "scripted_policies"]
