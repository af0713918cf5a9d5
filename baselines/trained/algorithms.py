"""The algorithms by name: only they can be named in a file."""

from baselines import adversarial, cloning, ippo, iq_learn, mamql, networked
from baselines.core.trainer import Algorithm
from jaxdilemmas.environment import require

ALGORITHMS: dict[str, Algorithm] = {
    module.ALGORITHM.name: module.ALGORITHM for module in (adversarial, cloning, ippo, iq_learn, mamql, networked)
}
"""By name."""


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of a name.

    Raises:
      ValueError: the name is not one of `ALGORITHMS`.
    """
    require(name in ALGORITHMS, "algorithm", name, f"one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]
