"""Settings of imitators: those of all, of those that do gradient steps alone, and of inverse soft-Q learning."""

import dataclasses
from typing import Literal

from baselines.disk.schema import MOST_INT32, Count, Fraction, NonNegative, Positive, Seed, Width, check_fields
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

    @property
    def without_effect(self) -> dict[str, str]:
        """The settings that nothing reads: none."""
        return {}


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
    def split_over_devices(self) -> dict[str, int]:
        """The numbers that several devices share out."""
        return {"batch_size": self.batch_size}

    @property
    def plays(self) -> bool:
        """Whether learners play between gradient steps."""
        return False

    @property
    def env_steps_per_update(self) -> int:
        """Joint actions played between two updates."""
        return 0


@dataclasses.dataclass(frozen=True)
class SoftQConfig(GradientConfig):
    """Settings of inverse soft-Q learning, which MAMQL and IQ-Learn share; `baselines.mamql` has the objective.

    Attributes:
      alpha: inverse weight of the reward penalty r^2 / (4 alpha).
      inverse_temperature: lambda: a policy is a softmax of lambda Q, and V is the soft maximum of Q. Agents learn and
        play under it in training; a trained run acts by `acting_inverse_temperature`.
      reg_samples: transitions whose rewards are penalised: those of the expert ("expert"), or those of the expert and
        of the learners, half each ("mixture").
      value_samples: transitions over which E[V(s) - gamma V(s')] is taken: those of the learners ("policy"), of the
        learners and of the expert, half each ("half"), or of the expert ("expert"). "v0" takes (1 - gamma) E[V] at the
        start of episodes instead.
      target_clip: bound on the absolute values of next observations; None for no bound.
      mode: "online": learners play between gradient steps; "offline": they learn from demonstrations alone.
      num_envs: environments played side by side, online.
      rollout_steps: steps in each environment between updates, online.
      capacity: number of played transitions that are kept, online.

    Raises:
      ValueError: a value is not allowed.
    """

    alpha: Positive = 10.0
    inverse_temperature: Positive = 1.0
    reg_samples: Literal["expert", "mixture"] = "mixture"
    value_samples: Literal["policy", "half", "expert", "v0"] = "half"
    target_clip: Positive | None = None
    mode: Literal["online", "offline"] = "online"
    num_envs: Count = 32
    rollout_steps: Count = 8
    capacity: Count = 16384

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode == "offline":
            is_recorded = self.value_samples in ("expert", "v0")
            require(is_recorded, "value_samples", self.value_samples, "expert or v0, offline")
            require(self.reg_samples == "expert", "reg_samples", self.reg_samples, "expert, offline")
        least = self.num_envs * self.rollout_steps
        require(self.capacity >= least, "capacity", self.capacity, f"at least one rollout, {least}")
        most = MOST_INT32 // least  # updates
        is_counted = self.mode == "offline" or self.num_updates <= most
        fits = f"at most {most} updates of {least} env steps, which fit int32"
        require(is_counted, "gradient_steps", self.gradient_steps, fits)

    @property
    def plays(self) -> bool:
        """Whether learners play between gradient steps."""
        return self.mode == "online"

    @property
    def split_over_devices(self) -> dict[str, int]:
        """The numbers that several devices share out."""
        return super().split_over_devices | ({"num_envs": self.num_envs} if self.plays else {})

    @property
    def env_steps_per_update(self) -> int:
        """Joint actions played between two updates."""
        return self.num_envs * self.rollout_steps if self.plays else 0
