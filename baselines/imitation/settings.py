"""Settings that imitators share."""

import dataclasses
from typing import Literal

from baselines.disk.schema import Count, Fraction, NonNegative, Positive, Seed, Width, check_fields
from baselines.imitation.replay import Playing
from jaxdilemmas.arguments import require


@dataclasses.dataclass(frozen=True)
class ImitationConfig:
    """Settings that all imitators have.

    Attributes:
      demonstrations: file to learn from; not needed where a trained run plays.
      num_transitions: how many of them, whole episodes drawn at random; None for all.
      demonstration_seed: of that draw.
      network: "mlp", or "set" where the game shows entities.
      hidden_size: width of its layers.
      reads: the agent's own observation, or those of all agents side by side, its own first.
      batch_size: transitions of a minibatch, of demonstrations as of what was played.
      gradient_steps: length of training.
      learning_rate: of Adam.
      l2: weight of the sum of squares of all parameters in the loss.
      discount: gamma.
      augment: whether each transition is seen under a random symmetry of the board, in games that name theirs.
      acting_inverse_temperature: agents act by a softmax of this times the values of actions, or the logits.

    Raises:
      ValueError: a value is not allowed.
    """

    demonstrations: str = ""
    num_transitions: Count | None = None
    demonstration_seed: Seed = 0
    network: Literal["mlp", "set"] = "mlp"
    hidden_size: Width = 64
    reads: Literal["own", "all"] = "own"
    batch_size: Count = 128
    gradient_steps: Count = 2000
    learning_rate: Positive = 1e-3
    l2: NonNegative = 1e-5
    discount: Fraction = 0.99
    augment: bool = False
    acting_inverse_temperature: Positive = 2.0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclasses.dataclass(frozen=True)
class GradientConfig(ImitationConfig):
    """Settings of imitators that do nothing but gradient steps, on demonstrations and on what is played meanwhile.

    Attributes:
      steps_per_update: gradient steps between two reports, and between two rollouts where there are any.
      final_learning_rate: at the end of training; a straight line from `learning_rate`.

    Raises:
      ValueError: a value is not allowed.
    """

    steps_per_update: Count = 20
    final_learning_rate: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.gradient_steps
        is_fit = self.steps_per_update <= most
        require(is_fit, "steps_per_update", self.steps_per_update, f"at most gradient_steps={most}")

    @property
    def num_updates(self) -> int:
        """Reports of a run."""
        return self.gradient_steps // self.steps_per_update

    @property
    def playing(self) -> Playing | None:
        """What is played between gradient steps."""
        return None
