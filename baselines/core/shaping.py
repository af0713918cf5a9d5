"""A shaped reward that fades out in training: a bonus for events around the game, weighed by the learner."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from baselines.core.rollout import Trajectory
from jaxdilemmas.arguments import is_number, require
from jaxdilemmas.bonuses import wage, weighted_events
from jaxdilemmas.environment import Environment
from jaxdilemmas.wrappers import AddBonus


def parse_bonus(texts: Sequence[str]) -> dict[str, float]:
    """Reads event=weight, as in potted=3.

    Raises:
      ValueError: a text is not of that form, a weight is not a finite number, or an event comes twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        event, equals, weight = text.partition("=") if isinstance(text, str) else ("", "", "")
        is_new = bool(equals) and event.isidentifier() and event not in weights
        require(is_new and _is_finite(weight), "bonus", text, "event=weight, each event once, weights finite numbers")
        weights[event] = float(weight)
    return weights


def _is_finite(text: str) -> bool:
    try:
        return is_number(float(text))
    except ValueError:
        return False


def report_bonus(env: Environment, texts: Sequence[str]) -> Environment:
    """The game with what each agent's events are worth in `info["bonus"]`; its rewards stay as they are.

    Args:
      env: the game, without wrappers.
      texts: see `parse_bonus`; without any the game itself is returned.

    Raises:
      ValueError: as `parse_bonus`, or the game has no event of that name.
    """
    return AddBonus(env, weighted_events(parse_bonus(texts)), wage(), weight=0.0) if texts else env


def pay_bonus(
    trajectory: Trajectory, bonus_steps: int | None, env_steps: jax.Array
) -> tuple[Trajectory, dict[str, jax.Array]]:
    """Adds the bonus to the rewards of a rollout.

    Its weight falls in a straight line from 1 to 0 at `bonus_steps`, and is the same in all steps of a rollout.

    Args:
      trajectory: of a game as `report_bonus` returns it.
      bonus_steps: None for a bonus that does not fade.
      env_steps: `[]` float32, env steps before the rollout.

    Returns:
      The trajectory, and metrics: `bonus_weight`, and `bonus` `[N]`, what each agent was paid per step.
    """
    weight = jnp.float32(1.0) if bonus_steps is None else jnp.maximum(1 - env_steps / bonus_steps, 0.0)
    bonus = weight * trajectory.info["bonus"]
    paid = {"bonus": bonus.mean((0, 1)), "bonus_weight": weight}
    return trajectory._replace(rewards=trajectory.rewards + bonus), paid
