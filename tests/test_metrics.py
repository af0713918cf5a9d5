"""The social metrics: cases by hand, and slow definitions on recorded episodes of a public implementation."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxdilemmas import Discrete, Environment, EpisodeStatistics
from jaxdilemmas import metrics as social

NAMES = ("efficiency", "equality", "sustainability", "peace")
RECORDINGS = np.load(pathlib.Path(__file__).parent / "data" / "metrics_episodes.npz")
EPISODES = sorted({key.split("/")[0] for key in RECORDINGS.files})


@struct.dataclass
class Params:
    max_steps: int = 1000


@struct.dataclass
class State:
    step_count: jax.Array


class Replay(Environment):
    """Pays the rewards and reports the tags it was given, whatever the agents do."""

    def __init__(self, rewards: np.ndarray, tagged: np.ndarray | None = None) -> None:
        self.num_agents = rewards.shape[1]
        self.default_params = Params()
        self.rewards = jnp.asarray(rewards, jnp.float32)
        self.tagged: jax.Array | None = None if tagged is None else jnp.asarray(tagged)

    @property
    def observation_space(self) -> Discrete:
        return Discrete(1)

    @property
    def action_space(self) -> Discrete:
        return Discrete(1)

    def initial_state(self, key: jax.Array, params: Any) -> State:
        return State(jnp.int32(0))

    def draw(self, key: jax.Array, state: State, params: Any) -> tuple[()]:
        return ()

    def transition(self, draws: Any, state: State, actions: jax.Array, params: Any) -> Any:
        time = state.step_count
        info: dict[str, jax.Array] = {} if self.tagged is None else {"tagged": self.tagged[time]}
        return State(time + 1), self.rewards[time], jnp.bool_(False), info

    def observe(self, state: State, params: Any) -> jax.Array:
        return jnp.zeros(self.num_agents, jnp.int32)


def accumulated(rewards: np.ndarray, tagged: np.ndarray | None = None) -> dict[str, jax.Array]:
    """The last step's info of a jitted episode under EpisodeStatistics."""
    env = EpisodeStatistics(Replay(rewards, tagged))
    key = jax.random.key(0)
    actions = jnp.zeros(env.num_agents, jnp.int32)

    def step(state: Any, unused: None) -> tuple[Any, dict[str, jax.Array]]:
        _, state, _, _, _, info = env.step(key, state, actions)
        return state, info

    infos = jax.jit(lambda: jax.lax.scan(step, env.reset(key)[1], None, rewards.shape[0])[1])()
    return jax.tree.map(lambda x: x[-1], infos)


def slow_metrics(rewards: np.ndarray, tagged: np.ndarray) -> dict[str, float]:
    """The four definitions, sum by sum, from full trajectories `[T, N]` in float64."""
    num_steps, num_agents = rewards.shape
    totals = [float(sum(rewards[:, i])) for i in range(num_agents)]
    gaps = sum(abs(a - b) for a in totals for b in totals)
    times = [[t for t in range(num_steps) if rewards[t, i] > 0] for i in range(num_agents)]
    means = [sum(ts) / len(ts) for ts in times if ts]
    return {
        "efficiency": sum(totals) / num_steps,
        "equality": 1 - gaps / (2 * num_agents * sum(totals)) if sum(totals) > 0 else 1.0,
        "sustainability": sum(means) / len(means) if means else 0.0,
        "peace": (num_agents * num_steps - int(tagged.sum())) / num_steps,
    }


def values(metrics: dict[str, Any]) -> list[float]:
    return [float(metrics[name]) for name in NAMES if name in metrics]


@pytest.mark.parametrize("episode", EPISODES)
def test_recorded_episodes_have_the_metrics_their_authors_computed(episode: str) -> None:
    rewards, tagged = RECORDINGS[f"{episode}/rewards"].astype(float), RECORDINGS[f"{episode}/tagged"]
    recorded = RECORDINGS[f"{episode}/metrics"]
    np.testing.assert_allclose(values(slow_metrics(rewards, tagged)), recorded, rtol=1e-12)
    info = accumulated(rewards, tagged)
    metrics = social.social_metrics(info) | {"equality": social.equality(info["episode_return"], "one")}
    np.testing.assert_allclose(values(metrics), recorded, rtol=1e-5)


def test_a_game_without_tagging_has_no_peace() -> None:
    info = accumulated(np.ones((5, 3)))
    assert "episode_tagged_steps" not in info
    assert values(social.social_metrics(info)) == [3.0, 1.0, 2.0]


def test_an_episode_in_which_nobody_collects_has_defined_metrics() -> None:
    info = accumulated(np.zeros((4, 2)), np.zeros((4, 2), bool))
    assert values(social.social_metrics(info)) == [0.0, 1.0, 0.0, 2.0]


def test_metrics_before_the_first_step_are_finite() -> None:
    zeros = jnp.zeros(3, jnp.int32)
    assert float(social.efficiency(zeros, zeros)) == 0.0
    assert float(social.peace(zeros, zeros)) == 3.0


def test_efficiency_is_a_rate_or_a_total() -> None:
    returns, lengths = jnp.array([3.0, 5.0]), jnp.array([4, 4])
    assert float(social.efficiency(returns, lengths)) == 2.0
    assert float(social.efficiency(returns, lengths, per_step=False)) == 8.0


def test_one_agent_with_everything_gives_equality_of_one_over_n() -> None:
    assert float(social.equality(jnp.array([0.0, 0.0, 12.0, 0.0]))) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("negative", "expected"),
    [
        ("undefined", [1.0, np.nan, np.nan, -0.5]),
        ("one", [1.0, 1.0, 1.0, -0.5]),
        ("clip", [1.0, 0.5, 0.5, 0.5]),
        ("raw", [1.0, 2.0, -np.inf, -0.5]),
    ],
)
def test_equality_treats_negative_returns_as_asked(negative: Any, expected: list[float]) -> None:
    returns = jnp.array([[-2.0, -2.0], [-3.0, 1.0], [-1.0, 1.0], [-1.0, 2.0]])
    np.testing.assert_allclose(social.equality(returns, negative), expected, rtol=1e-6)


def test_equality_is_not_defined_where_the_total_is_not_positive_unless_returns_are_equal() -> None:
    metrics = social.social_metrics(accumulated(np.array([[-1.0, 0.5], [0.0, 0.0]])))
    assert np.isnan(float(metrics["equality"]))
    assert float(social.equality(jnp.array([-1.0, 0.5]), "one")) == 1.0


@pytest.mark.parametrize("negative", ["undefined", "one", "clip", "raw"])
def test_equal_returns_of_nothing_are_equality_one(negative: Any) -> None:
    assert float(social.equality(jnp.zeros(3), negative)) == 1.0


def test_unknown_treatment_of_negative_returns_is_refused() -> None:
    with pytest.raises(ValueError, match="negative='abs' is not allowed: one of undefined, one, raw, clip"):
        social.equality(jnp.zeros(2), "abs")  # type: ignore[arg-type]


def test_agents_never_rewarded_count_for_sustainability_only_when_asked() -> None:
    reward_steps, reward_time = jnp.array([2, 0]), jnp.array([10, 0])
    assert float(social.sustainability(reward_steps, reward_time)) == 5.0
    assert float(social.sustainability(reward_steps, reward_time, all_agents=True)) == 2.5


def test_negative_rewards_do_not_count_for_sustainability() -> None:
    info = accumulated(np.array([[-1.0], [0.0], [2.0]]))
    assert float(social.social_metrics(info)["sustainability"]) == 2.0


def test_peace_counts_the_agents_that_are_not_out() -> None:
    tagged = np.array([[False, True], [True, True], [False, False], [False, True]])
    assert float(social.social_metrics(accumulated(np.zeros((4, 2)), tagged))["peace"]) == 1.0


def test_restraint_is_the_share_of_waiting_in_episodes_of_any_length() -> None:
    efforts, lengths = jnp.array([[0.0, 3.0, 4.0], [2.0, 5.0, 10.0]]), jnp.array([[4] * 3, [10] * 3])
    np.testing.assert_allclose(social.restraint(efforts, lengths), [[1, 0.25, 0], [0.8, 0.5, 0]])
    assert social.restraint(jnp.zeros(2), jnp.zeros(2, jnp.int32)).tolist() == [0, 0]


def test_leading_axes_pass_through_and_vmap_agrees() -> None:
    shape = (4, 5, 3)
    keys = jax.random.split(jax.random.key(1), 4)
    info = {
        "episode_return": jax.random.randint(keys[0], shape, -5, 20).astype(jnp.float32),
        "episode_length": jnp.full(shape, 50),
        "episode_reward_steps": jax.random.randint(keys[1], shape, 0, 5),
        "episode_reward_time": jax.random.randint(keys[2], shape, 0, 200),
        "episode_tagged_steps": jax.random.randint(keys[3], shape, 0, 50),
    }
    batched = social.social_metrics(info)
    mapped = jax.jit(jax.vmap(jax.vmap(social.social_metrics)))(info)
    for name in NAMES:
        assert batched[name].shape == shape[:-1]
        assert batched[name].dtype == jnp.float32
        np.testing.assert_allclose(batched[name], mapped[name], rtol=1e-5, atol=1e-6)
