"""A game whose best settings are known: of two actions one pays 1 and the other costs 1, so whoever learns gets 1."""

from tests.probes import ACTION_MATTERS, Probe


class PaidAction(Probe):
    """The probe "action matters" for two agents."""

    def __init__(self) -> None:
        super().__init__(num_agents=2, params=ACTION_MATTERS)
