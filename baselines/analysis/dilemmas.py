"""Schelling diagrams: what cooperating and defecting pay, by how many agents cooperate, and what follows from it.

R_c(k) and R_d(k) are the mean returns of an episode of a cooperator and of a defector when k of the N agents cooperate;
R_c(0) and R_d(N) are of nobody. An agent with i cooperating others has the choice between R_c(i + 1) and R_d(i): a
Schelling diagram shows the two over i. All claims are about the choice between two given policies, not about the best
ones that the game allows.

Source of the three conditions of a social dilemma: Hughes et al. 2018 (arXiv:1803.08884), who extend those of Macy and
Flache 2002 for two agents (without 2 R > T + S) to N; diagrams after Schelling 1973. None of the three could be read
here; the conditions are as restated by public work after them. Restatements write them with R_c(0), and fear and greed
as R_d(i) > R_c(i) "for sufficiently small" and "large" i. Here i counts the cooperating others, without which R_c(0)
would be the payoff of nobody, and the smallest and the largest i, 0 and N - 1, decide: with two agents these are the
conditions R > P, R > S, and P > S or T > R. instadeepai/EGTA-NMARL @ 544b2e0 asks for R_d(i) > R_c(i + 1) at any i.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from baselines.analysis.arrays import check_array
from baselines.analysis.intervals import (
    Estimate,
    Verdict,
    estimate_difference,
    estimate_mean,
    is_positive,
)
from baselines.core.players import Player, check_player, episode_outcome, make_team, play_episode
from baselines.disk.schema import MOST_EPISODES
from jaxdilemmas.arguments import check_count, check_kind, require
from jaxdilemmas.environment import check_key

ORDER = tuple(Verdict)
"""From false to true: all of several claims are as true as the least true, one of them as the most true."""


def _any(*verdicts: Verdict) -> Verdict:
    """Whether at least one of several claims holds."""
    return max(verdicts, key=ORDER.index)


def _not(verdict: Verdict) -> Verdict:
    """Whether the opposite of a claim holds."""
    return ORDER[-1 - ORDER.index(verdict)]


@dataclasses.dataclass(frozen=True, eq=False)
class SchellingTable:
    """Payoffs by number of cooperators, in E episodes each; episodes are independent, agents of one are not.

    Attributes:
      cooperators: `[N + 1, E]` float64, row k: the mean return of the k cooperators; row 0 is NaN.
      defectors: `[N + 1, E]` float64, row k: the mean return of the N - k defectors; row N is NaN.

    Raises:
      ValueError: these are no arrays of numbers of that shape, N at least 1 and E at least 2.
    """

    cooperators: np.ndarray
    defectors: np.ndarray

    def __post_init__(self) -> None:
        shape = check_array("cooperators", self.cooperators, "N + 1", "E").shape
        require(shape[0] >= 2 and shape[1] >= 2, "cooperators", shape, "[N + 1, E], N at least 1 and E at least 2")
        check_array("defectors", self.defectors, *shape)
        for name in ("cooperators", "defectors"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.cooperators) - 1

    def cooperator(self, num_cooperators: int) -> Estimate:
        """R_c: what a cooperator gets when so many cooperate, it included."""
        check_count("num_cooperators", num_cooperators, 0, self.num_agents)
        return estimate_mean(self.cooperators[num_cooperators])

    def defector(self, num_cooperators: int) -> Estimate:
        """R_d: what a defector gets when so many cooperate."""
        check_count("num_cooperators", num_cooperators, 0, self.num_agents)
        return estimate_mean(self.defectors[num_cooperators])

    def gain_of_defecting(self, num_others: int) -> Estimate:
        """R_d(i) - R_c(i + 1): how much more defecting pays than cooperating when i < N others cooperate."""
        check_count("num_others", num_others, 0, self.num_agents - 1)
        return estimate_difference(self.defectors[num_others], self.cooperators[num_others + 1])

    def gain_of_cooperating(self, num_others: int) -> Estimate:
        """R_c(i + 1) - R_d(i): the opposite."""
        check_count("num_others", num_others, 0, self.num_agents - 1)
        return estimate_difference(self.cooperators[num_others + 1], self.defectors[num_others])


def payoffs(cooperate: Player, defect: Player, key: jax.Array, num_episodes: int) -> SchellingTable:
    """Plays every number of cooperators.

    Args:
      cooperate: whom cooperators follow.
      defect: whom defectors follow, in the same game.
      key: a JAX PRNG key, used once; no two episodes share chance.
      num_episodes: E, for each number of cooperators, at least 2.

    Raises:
      ValueError: there are fewer than two agents or episodes, the players play different games or with different
        numbers of agents, or `key` is no key.
    """
    check_player("cooperate", cooperate)
    check_player("defect", defect)
    check_key(key)
    num_agents = cooperate.env.num_agents
    require(num_agents >= 2, "num_agents", num_agents, "a dilemma needs at least 2 agents")
    require(defect.env.num_agents == num_agents, "num_agents", defect.env.num_agents, f"{num_agents} cooperate")
    is_same = type(defect.env) is type(cooperate.env)
    require(is_same, "defect", type(defect.env).__name__, f"a player of {type(cooperate.env).__name__}, as cooperate")
    check_count("num_episodes", num_episodes, 2, MOST_EPISODES)

    def play(key: jax.Array, num_cooperators: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_team, key_play = jax.random.split(key)
        is_cooperator = draw_cooperators(key_team, num_agents, num_cooperators)
        episode = play_episode(make_team(cooperate, defect, is_cooperator), key_play)
        return is_cooperator, episode_outcome(episode)["return"]

    play_many = jax.jit(jax.vmap(play, (0, None)))
    keys = jax.random.split(key, (num_agents + 1, num_episodes))
    played = [jax.device_get(play_many(keys[k], k)) for k in range(num_agents + 1)]
    return SchellingTable(*group_means(*map(np.stack, zip(*played, strict=True))))


def draw_cooperators(key: jax.Array, num_agents: int, num_cooperators: jax.Array | int) -> jax.Array:
    """Who cooperates, `[N]` bool: every set of `num_cooperators` agents is equally likely.

    Args:
      key: a JAX PRNG key, used once.
      num_agents: N.
      num_cooperators: from 0 to N; it may be traced.

    Raises:
      ValueError: an argument is of another kind.
    """
    check_key(key)
    check_count("num_agents", num_agents)
    if not isinstance(num_cooperators, jax.Array):
        check_count("num_cooperators", num_cooperators, 0, num_agents)
    return jax.random.permutation(key, num_agents) < num_cooperators


def group_means(is_cooperator: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean returns of the two groups in each episode, `[..., E]` float64 each, from `[..., E, N]`; NaN for nobody.

    Raises:
      ValueError: the arrays are of other shapes, or no bools and numbers.
    """
    returns = check_array("returns", returns, "E", "N", has_more_axes=True)
    is_cooperator = check_array("is_cooperator", is_cooperator, *returns.shape, is_whole=True).astype(bool)
    means = []
    for is_member in (is_cooperator, ~is_cooperator):
        sizes = is_member.sum(-1)
        sums = np.where(is_member, returns, 0).sum(-1, dtype=np.float64)
        means.append(np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan))
    return means[0], means[1]


class Dilemma(NamedTuple):
    """Whether a table is that of a social dilemma, as differences between payoffs.

    Attributes:
      over_defection: R_c(N) - R_d(0), mutual cooperation over mutual defection.
      over_exploitation: R_c(N) - R_c(1), mutual cooperation over being exploited by defectors.
      fear: R_d(0) - R_c(1), the gain of defecting when nobody else cooperates.
      greed: R_d(N - 1) - R_c(N), the gain of defecting when all others cooperate.
    """

    over_defection: Estimate
    over_exploitation: Estimate
    fear: Estimate
    greed: Estimate

    @property
    def conditions(self) -> dict[str, Verdict]:
        """The three conditions, by a phrase for each."""
        return {
            "mutual cooperation pays more than mutual defection": is_positive(self.over_defection),
            "mutual cooperation pays more than being exploited": is_positive(self.over_exploitation),
            "defection tempts by fear or by greed": _any(is_positive(self.fear), is_positive(self.greed)),
        }

    @property
    def verdict(self) -> Verdict:
        """Whether all three conditions hold."""
        return min(self.conditions.values(), key=ORDER.index)


def check_table(table: Any) -> None:
    """Raises a ValueError unless this is a `SchellingTable`."""
    check_kind("table", table, SchellingTable, "a SchellingTable, as payoffs(...) returns it")


def conditions(table: SchellingTable) -> Dilemma:
    """The conditions of a social dilemma; the module says how they are defined.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    check_table(table)
    all_cooperate = table.cooperators[-1]
    return Dilemma(
        over_defection=estimate_difference(all_cooperate, table.defectors[0]),
        over_exploitation=estimate_difference(all_cooperate, table.cooperators[1]),
        fear=table.gain_of_defecting(0),
        greed=table.gain_of_defecting(table.num_agents - 1),
    )


def pure_equilibria(table: SchellingTable) -> list[Verdict]:
    """For each number of cooperators 0, ..., N, whether it is a Nash equilibrium: nobody gains by switching alone.

    An agent that switches takes the other policy of the pair. Payoffs are means over who the cooperators are.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    check_table(table)
    others = range(table.num_agents)
    leaves_cooperation = [is_positive(table.gain_of_defecting(i)) for i in others]
    leaves_defection = [is_positive(table.gain_of_cooperating(i)) for i in others]
    nobody = Verdict.FAILS
    pairs = zip([nobody, *leaves_cooperation], [*leaves_defection, nobody], strict=True)
    return [_not(_any(*pair)) for pair in pairs]


def list_equilibria(table: SchellingTable) -> str:
    """A sentence that lists the pure equilibria; raises a ValueError if `table` is no `SchellingTable`."""
    equilibria = pure_equilibria(table)
    by_verdict = {
        verdict: ", ".join(str(k) for k, found in enumerate(equilibria) if found is verdict) for verdict in Verdict
    }
    sentence = f"pure equilibria, by number of cooperators: {by_verdict[Verdict.HOLDS] or 'none for sure'}"
    open_ones = by_verdict[Verdict.UNDECIDED]
    return f"{sentence}; undecided: {open_ones}" if open_ones else sentence


def payoff_rows(table: SchellingTable) -> list[dict[str, Any]]:
    """For each number of cooperators k the payoffs, the gain of defecting when k others cooperate, and the equilibrium.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    equilibria = pure_equilibria(table)
    nothing = Estimate(math.nan, math.nan, math.nan)
    return [
        {
            "cooperators": k,
            "cooperator": table.cooperator(k),
            "defector": table.defector(k),
            "gain_of_defecting": table.gain_of_defecting(k) if k < table.num_agents else nothing,
            "equilibrium": found,
        }
        for k, found in enumerate(equilibria)
    ]
