"""Replays recorded steps of the original Coop Mining and Gift Refinements, as `meltingpot_recordings` does."""

import functools
import pathlib
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from tests.reference.meltingpot_recordings import NO, YES, Recording
from tests.reference.rollouts import start

DATA = pathlib.Path(__file__).parents[1] / "data"


@functools.cache
def make(substrate: str, movement: str) -> Any:
    """Our game of this name, which ends by chance."""
    return jaxdilemmas.make(substrate, episode_ending="stochastic", movement=movement)


class MineRecording(Recording):
    """T recorded steps of a game on this board; beams act in the order of the recorded events."""

    make: ClassVar[Any] = staticmethod(make)
    event: ClassVar[str]  # the events of beams: step, agent, ...

    def fields(self) -> dict[str, np.ndarray]:
        """The fields of the state that only this game has, leading axis T + 1."""
        raise NotImplementedError

    def states(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        template = start(self.env)
        fields = self.fields() | {name: self.arrays[name] for name in ("positions", "headings")}
        fields["cooldowns"] = np.maximum(self.arrays["cooldowns"] - 1, 0)[..., None]
        fields["step_count"] = np.arange(self.num_steps + 1)
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.num_steps + 1, *leaf.shape)), template)
        return still.replace(
            **{name: jnp.asarray(values, getattr(template, name).dtype) for name, values in fields.items()}
        )

    def events(self) -> np.ndarray:
        """The events of beams in their order: step, agent, ...; there may be none."""
        return self.arrays.get(self.event, np.zeros((0, 5), int))

    def infer_order(self, t: int) -> np.ndarray:
        """Priorities under which the beams of step t act in the order of the events, those without an event first."""
        order = self.events()[self.events()[:, 0] == t, 1].tolist()
        num_agents = self.arrays["actions"].shape[1]
        rank = [order.index(i) + 1 if i in order else 0 for i in range(num_agents)]
        return 1 - np.array(rank) / (num_agents + 1)

    def count_events(self, column: int) -> np.ndarray:
        """The number of events of each step and agent, `[T, N]`, by the agents in this column."""
        counts = np.zeros(self.arrays["actions"].shape, int)
        np.add.at(counts, (self.events()[:, 0], self.events()[:, column]), 1)
        return counts

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        after = vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.states()))
        for name in ("hits", "fired", "rays", "timeouts", "apples"):  # are not recorded, or not in this game
            del after[name]
        keys = {"beams": "zap_cells", "terminated": "done", "rewards": "rewards"}
        return after | {name: self.arrays[key] for name, key in keys.items()}


class MiningRecording(MineRecording):
    """Recorded steps of Coop Mining."""

    folder: ClassVar[pathlib.Path] = DATA / "coop_mining"
    changes: ClassVar[Any] = {("coop_mining", "fast"): {"iron_growth": 0.004, "gold_growth": 0.008}}
    event: ClassVar[str] = "event_mining"

    def fields(self) -> dict[str, np.ndarray]:
        """Ore, and for partial gold whose it is and for how long."""
        bits = self.arrays["miners"]
        assert (np.bitwise_count(bits) <= 1).all()
        miners = np.where(bits > 0, np.log2(np.maximum(bits, 1)).astype(int), -1)
        return {"ore": self.arrays["items"], "miners": miners, "windows": self.arrays["window"]}

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        before, after = self.arrays["items"][t], self.arrays["items"][t + 1]
        uniforms = np.full(before.shape, NO)
        uniforms[(before == 0) & (after == 1)] = YES
        uniforms[(before == 0) & (after == 2)] = self.params.iron_growth + self.params.gold_growth / 2
        end = YES if self.arrays["done"][t] else NO
        luck = {"mining_priorities": self.infer_order(t), "episode_end": end, "ore_growth": uniforms}
        return self.infer_moves(t) | luck

    def expected(self) -> dict[str, np.ndarray]:
        """Also the ore that beams hit."""
        return super().expected() | {"mined": self.count_events(1)}


class GiftRecording(MineRecording):
    """Recorded steps of Gift Refinements."""

    folder: ClassVar[pathlib.Path] = DATA / "gift_refinements"
    changes: ClassVar[Any] = {("gift_refinements", "fast"): {"token_growth": 0.02}}
    event: ClassVar[str] = "event_gift"

    def fields(self) -> dict[str, np.ndarray]:
        """Tokens on the board and of agents."""
        return {"tokens": self.arrays["items"], "inventories": self.arrays["inventories"]}

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        was_there = self.arrays["items"][t] == 1
        changes = self.arrays["item_changes"][t]
        grown = ~was_there & ((changes & 15 == 2) | (changes >> 4 == 2))  # the first hexadecimal digit is 2: became 1
        end = YES if self.arrays["done"][t] else NO
        luck = {"gift_priorities": self.infer_order(t), "episode_end": end, "token_growth": np.where(grown, YES, NO)}
        return self.infer_moves(t) | luck

    def expected(self) -> dict[str, np.ndarray]:
        """Also who gave and who received gifts."""
        return super().expected() | {"gifts_given": self.count_events(1), "gifts_received": self.count_events(2)}
