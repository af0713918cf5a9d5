"""Who of trained agents cooperates, and teams mixed from those who do and those who do not.

An agent is labelled by its restraint, the share of steps in which it waits: a cooperator above one threshold, a
defector below another, neither in between (thresholds of Pretorius et al. 2020 by instadeepai/EGTA-NMARL @ 544b2e0,
`classify_agent_behaviour.py`: 0.35 and 0.25).

A team with d defectors is drawn as there (`regen_exp.py`): a model with at least N - d cooperators, N - d of them in
their own slots, and a defector in each remaining slot. Two things are our choice. A defector comes from a random model
in which it sat in the same slot, so that its weights for messages meet the neighbours' slots they were trained for;
there it could come from any slot. And every team is drawn by itself, where there all teams but the first were the same.
"""

from typing import NamedTuple

import numpy as np

from baselines.analysis.arrays import check_array
from jaxdilemmas.arguments import check_count, check_kind, check_number, require


class EmptyClassError(ValueError):
    """There is nobody to draw."""


class Tags(NamedTuple):
    """Labels of the agents of M models, `[M, N]` bool each.

    Attributes:
      cooperators: those above a threshold of restraint.
      defectors: those below another.
    """

    cooperators: np.ndarray
    defectors: np.ndarray


class Team(NamedTuple):
    """A team of N trained agents.

    Attributes:
      model_of_agent: `[N]` int32, the model that each comes from; every agent keeps its slot.
      is_cooperator: `[N]` bool; the others are defectors.
    """

    model_of_agent: np.ndarray
    is_cooperator: np.ndarray


def tag_agents(restraint: np.ndarray, defector_below: float, cooperator_above: float) -> Tags:
    """Labels agents.

    Args:
      restraint: `[M, N]` float, from 0 to 1.
      defector_below: defectors have less restraint.
      cooperator_above: cooperators have more; not below the other threshold.

    Raises:
      ValueError: the thresholds overlap or lie outside [0, 1], or `restraint` does.
    """
    check_number("defector_below", defector_below, 1)
    check_number("cooperator_above", cooperator_above, 1)
    restraint = check_array("restraint", restraint, "M", "N")
    for value in restraint[~((restraint >= 0) & (restraint <= 1))][:1]:
        require(False, "restraint", float(value), "shares from 0 to 1")
    is_above = defector_below <= cooperator_above
    require(is_above, "cooperator_above", cooperator_above, f"between defector_below={defector_below} and 1")
    return Tags(restraint > cooperator_above, restraint < defector_below)


def draw_team(tags: Tags, num_defectors: int, rng: np.random.Generator) -> Team:
    """Draws one team as the module says.

    A slot in which no model has a defector gets a cooperator in every team.

    Args:
      tags: of M models.
      num_defectors: d, from 0 to N.
      rng: draws.

    Raises:
      ValueError: there are more defectors than agents, or an argument is of another kind.
      EmptyClassError: no such team exists; the message says which class is empty.
    """
    check_kind("tags", tags, Tags, "Tags, as tag_agents(...) returns them")
    check_kind("rng", rng, np.random.Generator, "a numpy.random.Generator")
    shape = check_array("cooperators", tags.cooperators, "M", "N").shape
    check_array("defectors", tags.defectors, *shape)
    tags, num_agents = Tags(*(np.asarray(part, bool) for part in tags)), shape[1]
    check_count("num_defectors", num_defectors, 0, num_agents)
    num_cooperators = num_agents - num_defectors
    is_fixed: np.ndarray = np.logical_not(tags.defectors.any(0))
    is_able = (tags.cooperators.sum(1) >= num_cooperators) & tags.cooperators[:, is_fixed].all(1)
    if is_fixed.sum() > num_cooperators or not is_able.any():
        raise EmptyClassError(_say_what_lacks(tags, num_cooperators))
    model = rng.choice(np.flatnonzero(is_able))
    is_cooperator = is_fixed.copy()
    others = np.flatnonzero(tags.cooperators[model] & ~is_fixed)
    is_cooperator[rng.choice(others, num_cooperators - is_fixed.sum(), replace=False)] = True
    defectors = [
        model if chosen else rng.choice(np.flatnonzero(tags.defectors[:, i])) for i, chosen in enumerate(is_cooperator)
    ]
    return Team(np.array(defectors, np.int32), is_cooperator)


def _say_what_lacks(tags: Tags, num_cooperators: int) -> str:
    most = int(tags.cooperators.sum(1).max(initial=0))
    if most < num_cooperators:
        return f"it takes {num_cooperators} cooperators of one model, the most is {most}"
    slots = [str(i) for i in np.flatnonzero(~tags.defectors.any(0))]
    nobody = f"no model has a defector in slot {' or '.join(slots)}"
    if len(slots) > num_cooperators:
        return nobody
    return f"{nobody}, and none has {num_cooperators} cooperators with one there"
