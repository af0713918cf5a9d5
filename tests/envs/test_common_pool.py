"""The common pool: its rules one by one, recordings of the original, a slow version, and teams of random agents."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AutoReset, EpisodeStatistics, metrics, policies
from jaxdilemmas.environment import NoDraws, Policy
from jaxdilemmas.envs.common_pool import CommonPool, State
from tests.reference.common_pool import CommonPool as SlowCommonPool
from tests.reference.recordings import DATA, load
from tests.reference.rollouts import Rollout, replay

WAIT, TAKE = range(2)
RATES = (0.03, 0.042, 0.053, 0.065, 0.077, 0.088, 0.1)
RECORDINGS, CONFIG = load("common_pool")
ANCHORS = json.loads((DATA / "common_pool_schelling.json").read_text())
NUM_STEPS = 1000
"""Steps of the episodes below; recordings are filled up with waiting, so that episodes of N agents compile once."""


@pytest.fixture(scope="module")
def games() -> Callable[[int], CommonPool]:
    """The game of N agents, one for all tests."""
    made: dict[int, CommonPool] = {}
    return lambda num_agents: made.setdefault(num_agents, CommonPool(num_agents))


@pytest.fixture(scope="module")
def env(games: Callable[[int], CommonPool]) -> CommonPool:
    return games(4)


def play(env: CommonPool, actions: Any, **numbers: float) -> Rollout:
    """An episode with these actions `[T, N]` under these numbers, cut where it ends."""
    params = env.default_params.replace(**numbers)
    given = np.asarray(actions, np.int32)
    padded = np.concatenate([given, np.zeros((NUM_STEPS - len(given), env.num_agents), np.int32)])
    rollout = replay(env, env.initial_state(jax.random.key(0), params), NoDraws(), padded, params)
    length = int(rollout.terminated.argmax()) + 1 if rollout.terminated[: len(given)].any() else len(given)
    return jax.tree.map(lambda leaf: leaf[:length], rollout)


# Recordings and the slow version


@pytest.mark.parametrize("recording", CONFIG["core"], ids=lambda recording: recording["name"])
def test_recorded_episodes_are_played_again_bit_by_bit(
    recording: dict[str, Any], games: Callable[[int], CommonPool]
) -> None:
    name, num_agents = f"core/{recording['name']}", recording["num_agents"]
    numbers = {"regrowth_rate": recording["regen_rate"], "initial_stock": recording["start_resource"]}
    rollout = play(games(num_agents), RECORDINGS[f"{name}/actions"], **numbers)
    tolerance = 0.0 if num_agents <= 5 else 2e-6  # the order in which more takes are added up is not fixed
    expected = {"stock": rollout.obs[:, :, 0], "taken": rollout.obs[:, :, 1]}
    np.testing.assert_array_equal(rollout.terminated, RECORDINGS[f"{name}/done"])
    np.testing.assert_allclose(rollout.rewards, RECORDINGS[f"{name}/reward"], rtol=0, atol=tolerance)
    for part, seen in expected.items():
        recorded = RECORDINGS[f"{name}/{part}"][1:].reshape(len(seen), -1)
        np.testing.assert_allclose(seen, np.broadcast_to(recorded, seen.shape), rtol=0, atol=tolerance)


@pytest.mark.parametrize("recording", CONFIG["wrapper"], ids=lambda recording: recording["name"])
def test_learners_are_given_the_recorded_observations_and_rewards(recording: dict[str, Any], env: CommonPool) -> None:
    arrays = {part: RECORDINGS[f"wrapper/{recording['name']}/{part}"] for part in ("actions", "done", "raw_reward")}
    rollout = play(env, arrays["actions"], regrowth_rate=recording["regen_rate"])
    recorded = RECORDINGS[f"wrapper/{recording['name']}/local_and_nbr_obs"].reshape(11, 4, -1, 2)
    np.testing.assert_array_equal(rollout.obs, recorded[1:, :, 0])
    np.testing.assert_array_equal(rollout.rewards, arrays["raw_reward"].astype(np.float32))
    np.testing.assert_array_equal(rollout.terminated, arrays["done"])


@pytest.mark.parametrize("num_agents", [1, 4, 7, 1024])
def test_random_episodes_are_those_of_the_slow_version(num_agents: int, games: Callable[[int], CommonPool]) -> None:
    rng = np.random.default_rng(num_agents)
    lengths = set()
    for share in (0.4, 0.7, 1.0):
        numbers = {
            "regrowth_rate": rng.uniform(0.02, 0.1),
            "initial_stock": rng.uniform(0.5, 2.0),
            "capacity": rng.uniform(0.5, 1.5),
            "take_fraction": rng.uniform(0.12, 0.3),
        }
        actions = rng.random((150, num_agents)) < share
        rollout = play(games(num_agents), actions, **numbers)
        slow = SlowCommonPool(num_agents, **numbers)
        lengths.add(len(rollout.rewards))
        for t, joint in enumerate(actions[: len(rollout.rewards)]):
            rewards, is_depleted = slow.step(joint.astype(int))
            np.testing.assert_allclose(rollout.rewards[t], rewards, rtol=1e-6)
            np.testing.assert_allclose(rollout.obs[t], slow.observe(), rtol=1e-5, atol=2e-5)
            assert rollout.terminated[t] == is_depleted
    assert min(lengths) < 150


# The rules


def step(env: CommonPool, stock: float, actions: list[int], **numbers: float) -> tuple[State, np.ndarray, bool]:
    """One step from a stock: the state, rewards and whether it is depleted."""
    params = env.default_params.replace(**numbers)
    state = State(jnp.float32(stock), jnp.zeros(env.num_agents, jnp.float32), jnp.int32(0))
    state, rewards, terminated, _ = env.transition(NoDraws(), state, jnp.array(actions), params)
    return state, np.asarray(rewards), bool(terminated)


def test_who_takes_gets_an_equal_part_of_what_all_may_take_and_the_rest_grows(env: CommonPool) -> None:
    state, rewards, is_depleted = step(env, 0.5, [TAKE, WAIT, TAKE, WAIT], regrowth_rate=0.03)
    np.testing.assert_allclose(rewards, [0.025, 0, 0.025, 0])
    np.testing.assert_allclose(state.stock, 0.5 - 0.05 + 0.03)
    np.testing.assert_array_equal(state.taken, rewards)
    assert not is_depleted


def test_the_step_that_depletes_the_stock_pays_nobody_and_nothing_grows(env: CommonPool) -> None:
    state, rewards, is_depleted = step(env, 0.06, [TAKE, TAKE, TAKE, WAIT])
    assert (rewards == 0).all() and (state.taken == 0).all()
    np.testing.assert_allclose(state.stock, -0.015, atol=1e-7)
    assert is_depleted


def test_a_stock_of_which_nothing_is_left_is_depleted(env: CommonPool) -> None:
    assert step(env, 0.5, [TAKE] * 4, take_fraction=0.5)[2]
    assert not step(env, 0.5, [TAKE] * 4, take_fraction=0.49999)[2]


def test_the_stock_grows_up_to_its_capacity_and_what_exceeds_it_at_the_start_is_lost(env: CommonPool) -> None:
    assert step(env, 0.99, [WAIT] * 4)[0].stock == 1.0
    assert step(env, 2.0, [WAIT] * 4)[0].stock == 1.0
    assert step(env, 0.3, [WAIT] * 4, capacity=0.2)[0].stock == np.float32(0.2)


def test_a_number_that_is_no_action_is_waiting(env: CommonPool) -> None:
    assert step(env, 0.5, [-1, 2, 7, TAKE])[1].tolist() == [0, 0, 0, np.float32(0.025)]


def test_the_clock_truncates_and_does_not_terminate() -> None:
    env = CommonPool(num_agents=2, max_steps=2)
    _, state = env.reset(jax.random.key(0))
    ends = []
    for _ in range(2):
        _, state, _, terminated, truncated, _ = env.step(jax.random.key(0), state, jnp.zeros(2, jnp.int32))
        ends.append((bool(terminated), bool(truncated)))
    assert ends == [(False, False), (False, True)]


@pytest.mark.parametrize(
    ("rate", "length"), [*zip((*RATES[:6], 0.055), (7, 8, 10, 13, 19, 35, 10), strict=True), (0.1, NUM_STEPS)]
)
def test_a_team_that_always_takes_lasts_as_long_as_the_closed_form_says(
    env: CommonPool, rate: float, length: int
) -> None:
    rollout = play(env, np.full((NUM_STEPS, 4), TAKE), regrowth_rate=rate)
    is_sustained = length == NUM_STEPS
    closed_form = next((k for k in range(1, NUM_STEPS) if 0.5 - 0.1 * k + rate * (k - 1) <= 1e-9), NUM_STEPS)
    assert len(rollout.rewards) == length == closed_form
    np.testing.assert_allclose(rollout.rewards.sum(), 0.1 * (length - (not is_sustained)), rtol=1e-5)
    assert rollout.terminated.any() != is_sustained


def test_a_batch_may_hold_another_rate_in_each_environment(env: CommonPool) -> None:
    alone = [play(env, np.full((20, 4), TAKE), regrowth_rate=rate).obs[-1, 0, 0] for rate in RATES]
    batch = jaxdilemmas.make("common_pool").default_params.replace(regrowth_rate=jnp.array(RATES))
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, batch)
    game = AutoReset(env, final_observation=True)

    def episode(params: Any) -> jax.Array:
        def one(state: Any, key: jax.Array) -> Any:
            _, state, _, terminated, _, info = game.step(key, state, jnp.full(4, TAKE), params)
            return state, (terminated, info["final_obs"][0, 0])

        return jax.lax.scan(one, game.reset(jax.random.key(0), params)[1], jax.random.split(jax.random.key(1), 20))[1]

    terminated, stocks = (np.asarray(x) for x in jax.jit(jax.vmap(episode, (axes,)))(batch))
    first = np.where(terminated.any(1), terminated.argmax(1), 19)
    assert first.tolist() == [6, 7, 9, 12, 18, 19, 19]
    np.testing.assert_array_equal(stocks[np.arange(7), first], alone)


# Restraint and policies


def test_info_tells_who_took(env: CommonPool) -> None:
    rollout = play(env, [[TAKE, WAIT, WAIT, TAKE]])
    assert rollout.info["effort"].tolist() == [[1, 0, 0, 1]] and rollout.info["effort"].dtype == np.float32


def follow(env: CommonPool, policy: Policy, rates: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns `[rates, N]` and restraint `[rates, N]` of whole episodes in which all follow a policy."""
    game = EpisodeStatistics(env)

    def episode(rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = env.default_params.replace(regrowth_rate=rate)

        def one(carry: Any, key: jax.Array) -> Any:
            state, is_over = carry
            actions = policy(key, state.env_state)
            following, _, terminated, info = game.transition(NoDraws(), state, actions, params)
            following = jax.tree.map(lambda new, old: jnp.where(is_over, old, new), following, state)
            return (following, is_over | terminated), jnp.where(is_over, 0.0, info["effort"])

        start = (game.initial_state(jax.random.key(0), params), jnp.bool_(False))
        (state, _), efforts = jax.lax.scan(one, start, jax.random.split(jax.random.key(1), NUM_STEPS))
        lengths = jnp.full(env.num_agents, state.step_count)
        return state.returns, metrics.restraint(efforts.sum(0), lengths)

    returns, restraint = jax.jit(jax.vmap(episode))(jnp.array(rates))
    return np.asarray(returns), np.asarray(restraint)


def test_cooperative_agents_take_what_grows_and_hold_back_what_the_closed_form_says(env: CommonPool) -> None:
    returns, restraint = follow(env, policies.scripted(env, "cooperative"), RATES)
    rates = np.array(RATES)[:, None]
    np.testing.assert_allclose(returns, np.broadcast_to(rates * NUM_STEPS / 4, (7, 4)), atol=0.15)
    np.testing.assert_allclose(restraint, np.broadcast_to(1 - rates / 0.1, (7, 4)), atol=0.005)


def test_exploitative_agents_never_wait(env: CommonPool) -> None:
    returns, restraint = follow(env, policies.scripted(env, "exploitative"), RATES)
    assert (restraint == 0).all()
    np.testing.assert_allclose(returns[:6, 0], 0.025 * (np.array([7, 8, 10, 13, 19, 35]) - 1), rtol=1e-5)


# Teams of random agents


class Outcome(NamedTuple):
    """Of episodes, `[k, E]` or `[k, E, N]`: returns, lengths, and whether the stock lasted."""

    returns: Any
    lengths: Any
    lasted: Any


def play_teams(env: CommonPool, cooperate: float, defect: float, num_steps: int, num_episodes: int) -> Outcome:
    """Episodes of teams with k = 0, ..., N cooperators, who take with another probability than defectors do."""
    cooperator, defector = policies.bernoulli(env, cooperate), policies.bernoulli(env, defect)

    def episode(is_cooperating: jax.Array, key: jax.Array) -> Outcome:
        def one(carry: tuple[State, jax.Array, jax.Array], unused: None) -> Any:
            state, num_played, key = carry
            key, *keys = jax.random.split(key, 3)
            actions = jnp.where(is_cooperating, cooperator(keys[0], state), defector(keys[1], state))
            following, _, is_depleted, _ = env.transition(NoDraws(), state, actions, env.default_params)
            return (following, num_played + ~is_depleted, key), None  # a depleted stock stays so and pays nothing

        start = (env.initial_state(key, env.default_params), jnp.int32(0), key)
        (state, num_played, _), _ = jax.lax.scan(one, start, length=num_steps)
        lasted = num_played == num_steps
        return Outcome(state.taken, num_played + ~lasted, lasted)

    teams = jnp.tri(env.num_agents + 1, env.num_agents, -1, dtype=bool)
    keys = jax.random.split(jax.random.key(0), (len(teams), num_episodes))
    return Outcome(*map(np.asarray, jax.jit(jax.vmap(jax.vmap(episode, (None, 0))))(teams, keys)))


@pytest.mark.parametrize("name", ANCHORS)
def test_teams_of_random_agents_get_what_they_got_in_the_original(env: CommonPool, name: str) -> None:
    num_steps, cooperate, defect = (float(part.lstrip("Tpcd")) for part in name.split("_"))
    num_episodes = 4000 if num_steps == 100 else 1000  # with 4,000 of each it holds too, in four times the time
    outcome = play_teams(env, cooperate, defect, int(num_steps), num_episodes)
    for k, anchor in enumerate(ANCHORS[name]):
        assert anchor["n_coop"] == k
        returns = outcome.returns[k]
        found = {"all": returns.mean(1), "len": outcome.lengths[k], "surv": outcome.lasted[k].astype(float)}
        found |= {"Rc": returns[:, :k].mean(1)} if k else {}
        found |= {"Rd": returns[:, k:].mean(1)} if k < 4 else {}
        for measure, values in found.items():
            error = values.std(ddof=1) * np.sqrt(1 / num_episodes + 1 / 4000)
            rare = {"len": num_steps, "surv": 1.0}.get(measure, 0.0) / 1000  # events that one of the two may lack
            assert abs(values.mean() - anchor[measure]) <= 3 * error + rare + 1e-6, f"{measure} of {k} cooperators"


# What is refused


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_agents": 0}, "num_agents=0 is not allowed: a whole number of at least 1"),
        ({"num_agents": 2.0}, r"num_agents=2\.0 is not allowed"),
        ({"regrowth_rate": 0}, "regrowth_rate=0 is not allowed: a number above 0 and at most 1"),
        ({"regrowth_rate": 1.01}, r"regrowth_rate=1\.01 is not allowed"),
        ({"regrowth_rate": float("nan")}, "regrowth_rate=nan is not allowed"),
        ({"regrowth_rate": True}, "regrowth_rate=True is not allowed"),
        ({"initial_stock": 0.0}, r"initial_stock=0\.0 is not allowed: a finite number above 0"),
        ({"capacity": -1.0}, r"capacity=-1\.0 is not allowed"),
        ({"capacity": float("inf")}, "capacity=inf is not allowed"),
        ({"take_fraction": "0.1"}, r"take_fraction='0\.1' is not allowed"),
        ({"max_steps": 0}, "max_steps=0 is not allowed"),
        ({"rate": 0.1}, "unknown keyword 'rate' with value 0.1 for CommonPool: allowed are num_agents, regrowth_rate"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("common_pool", **bad)
