"""Recorded steps of `coins` of the original Melting Pot and its random play, compared with our game."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.coins import Coins
from tests.reference.compiling import USUAL_OPTIONS
from tests.reference.meltingpot_recordings import DATA, NO, YES, Recording, compiled_steps, find_order, read_arrays
from tests.reference.rollouts import start

FILES = sorted((DATA / "coins").glob("*.npz"))
FAST = 0.02
"""Growth in the recordings with the note "fast"."""

RANDOM_RETURN = (-0.29, 0.72)
"""Mean and standard error of an agent's return in 12 episodes of random play, of at most 1,000 steps."""

NUM_EPISODES = 512


class CoinsRecording(Recording):
    """T recorded steps of one episode of coins."""

    @classmethod
    def load(cls, name: str, movement: str) -> "CoinsRecording":
        """Reads a recording by the name of its file; its board is as large as the recorded one."""
        config, arrays = read_arrays(DATA / "coins" / f"{name}.npz")
        height, width = arrays["item_cells"].max(0).tolist()
        env = Coins(width, height, movement=movement, episode_ending="stochastic")
        change = {"coin_growth": FAST} if config["note"] == "fast" else {}
        return cls(arrays, env, env.default_params.replace(**change))

    def taken(self) -> dict[str, np.ndarray]:
        """Coins that each agent took in each step, `[T, N]`, by the events of the original."""
        counts = {name: np.zeros(self.arrays["rewards"].shape, int) for name in ("matched", "mismatched")}
        for step, player, own, coin in self.arrays["event_coin_consumed"].tolist():
            counts["matched" if own == coin else "mismatched"][step, player] += 1
        return counts | {"collected": counts["matched"] + counts["mismatched"]}

    def states(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        template, length = start(self.env), self.num_steps + 1
        mismatches = np.concatenate([np.zeros((1, 2), int), self.taken()["mismatched"].cumsum(0)])
        fields = {"positions": self.arrays["positions"], "headings": self.arrays["headings"]}
        fields |= {"coins": self.arrays["items"], "mismatches": mismatches, "step_count": np.arange(length)}
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (length, *leaf.shape)), template)
        return still.replace(**{name: jnp.asarray(x, getattr(template, name).dtype) for name, x in fields.items()})

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        order = find_order(self.moves(t))
        assert order is not None, f"no order of the agents explains their moves in step {t}"
        changes = [int(f"{change:x}"[0], 16) for change in self.arrays["item_changes"][t].tolist()]
        grown = np.array(changes) * (self.arrays["items"][t] == 0)  # one more than the colour
        quarter = self.params.coin_growth / 4
        return {
            "priorities": np.array([0.9 - 0.3 * order.index(i) if i in order else 0.1 for i in range(2)]),
            "episode_end": YES if self.arrays["done"][t] else NO,
            "coin_growth": np.select([grown == 2, grown == 3], [quarter, 3 * quarter], NO),
        }

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        after = vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.states()))
        return after | self.taken() | {"rewards": self.arrays["rewards"], "terminated": self.arrays["done"]}

    def play(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """What our game makes of the recorded moments in which the given steps begin, by name."""
        moments = jax.tree.map(lambda leaf: leaf[steps], self.states())
        actions = np.asarray(self.arrays["actions"][steps], np.int32)
        state, rewards, terminated, info = compiled_steps(self.env)(self.draws(steps), moments, actions, self.params)
        return {name: np.asarray(x) for name, x in (vars(state) | info).items()} | {
            "rewards": np.asarray(rewards),
            "terminated": np.asarray(terminated),
        }


def test_all_recordings_are_there() -> None:
    assert len(FILES) == 6


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_every_step_is_that_of_the_original(name: str) -> None:
    recording = CoinsRecording.load(name, "sequential")
    height, width = recording.env.walls.shape
    np.testing.assert_array_equal(recording.env.coin_cells, recording.arrays["item_cells"])
    np.testing.assert_array_equal(recording.env.walls, recording.arrays["walls"][:height, :width])
    assert set(map(tuple, recording.env.spawn_cells)) == set(map(tuple, recording.arrays["spawn_cells"].tolist()))
    assert len(recording.arrays["event_coin_consumed"]) > 10
    assert recording.find_differences(recording.num_steps) == {}


def test_every_step_without_a_contest_is_that_of_the_original_if_both_move_at_once() -> None:
    recording = CoinsRecording.load("still-fast_s4", "simultaneous")
    wrong = {t for steps in recording.find_differences(recording.num_steps).values() for t in steps}
    assert all(recording.is_contested(t) for t in wrong)


@pytest.mark.slow
def test_random_play_gives_what_it_gives_in_the_original() -> None:
    env = Coins(width=12, height=13, episode_ending="stochastic")  # the mean area of the random boards there

    def play(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(carry: Any, key: jax.Array) -> Any:
            state, is_over = carry
            key_act, key_step = jax.random.split(key)
            actions = jnp.asarray([*range(6), 7], jnp.int32)[jax.random.randint(key_act, (2,), 0, 7)]
            draws = env.draw(key_step, state, env.default_params)
            state, rewards, terminated, _ = env.transition(draws, state, actions, env.default_params)
            return (state, is_over | terminated), (jnp.where(is_over, 0.0, rewards), ~is_over)

        key_start, key_steps = jax.random.split(key)
        first = env.initial_state(key_start, env.default_params), jnp.bool_(False)
        rewards, is_played = jax.lax.scan(step, first, jax.random.split(key_steps, 1000))[1]
        return rewards.sum(0).mean(), is_played.sum()

    keys = jax.random.split(jax.random.key(100), NUM_EPISODES)
    returns, lengths = jax.jit(jax.vmap(play), compiler_options=USUAL_OPTIONS)(keys)
    mean, error = RANDOM_RETURN
    ours, our_error = np.mean(returns), np.std(returns, ddof=1) / NUM_EPISODES**0.5
    assert abs(ours - mean) < 3 * np.hypot(error, our_error), f"{ours} +- {our_error}"
    assert np.mean(lengths) == pytest.approx(866, abs=60)
    assert np.mean(np.asarray(returns) != 0) > 0.9  # a game without coins would be as near to the original's mean
