"""Games of other libraries are measured by the same loop as ours; a missing library is named and left out."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jaxdilemmas
from benchmarks import peers, reporting, rollout, throughput
from benchmarks.peers import PEERS, Library, Peer
from jaxdilemmas import registration
from jaxdilemmas.environment import Environment
from jaxdilemmas.grid.environment import OBSERVATION_KINDS
from jaxdilemmas.spaces import Box, Space
from tests.probes import Probe

EPISODE_STEPS = 3


class CounterState(struct.PyTreeNode):
    """`t` `[]` int32, steps since the last reset."""

    t: jax.Array


class Counter:
    """A game in the manner of other libraries: agents see the time, are paid their action, and start again."""

    num_agents = 2
    length = EPISODE_STEPS

    def __init__(self, agents: list[Any]) -> None:
        self.agents = agents

    def action_space(self, agent: Any) -> Any:
        assert agent in self.agents
        return types.SimpleNamespace(n=1)

    def observe(self, state: CounterState) -> Any:
        seen = jnp.full((2, 1), state.t, jnp.float32)
        return {agent: seen[i] for i, agent in enumerate(self.agents)} if self.agents[0] == "a" else seen

    def reset(self, key: jax.Array) -> tuple[Any, CounterState]:
        state = CounterState(jnp.int32(0))
        return self.observe(state), state

    def step(self, key: jax.Array, state: CounterState, actions: Any) -> tuple[Any, ...]:
        done = state.t + 1 == EPISODE_STEPS
        state = CounterState(jnp.where(done, 0, state.t + 1))
        rewards = {agent: 1.0 + actions[agent] for agent in self.agents}
        return self.observe(state), state, rewards, {"__all__": done}, {}


@pytest.fixture(params=[["a", "b"], [0, 1]], ids=["named", "numbered"])
def peer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Peer:
    library = types.ModuleType("fake_library")
    library.__dict__["make"] = lambda game: Counter(request.param)
    library.__dict__["__version__"] = "2.0"
    library.__file__ = str(tmp_path / "fake_library" / "__init__.py")
    monkeypatch.setitem(sys.modules, "fake_library", library)
    return Peer(
        Library("Fake", "fake_library", "t"), "counter", {}, "length", "the time", like="probe", cpu_env_steps=8
    )


def test_a_game_of_another_library_is_played_with_its_own_resets_and_all_that_comes_out_is_used(peer: Peer) -> None:
    start, play = rollout.make_rollout(peers.peer_game(peer), num_envs=2, num_steps=6)
    carry = start(jax.random.key(0))
    carry = jax.jit(play)(carry._replace(state=CounterState(jnp.zeros(2, jnp.int32))))
    assert carry.state.t.tolist() == [0, 0]
    per_agent_and_env = 2 * (1 + 2 + 0)
    obs, outcomes = carry.seen
    assert sum(float(part.sum()) for part in jax.tree.leaves(obs)) == 2 * 2 * per_agent_and_env
    rewards, ends = 2 * 2 * 6, 2 * 2
    assert sum(float(part.sum()) for part in jax.tree.leaves(outcomes)) == rewards + ends


def test_its_episodes_start_at_random_times(peer: Peer) -> None:
    _, state = jax.vmap(peers.peer_game(peer).start)(jax.random.split(jax.random.key(0), 50))
    assert set(state.t.tolist()) == set(range(EPISODE_STEPS))


def test_what_one_agent_sees_is_described(peer: Peer) -> None:
    described = rollout.describe_observation(peers.peer_game(peer))
    assert described == {"observation_dtype": "float32", "observation_shape": "1", "observation_bytes": 4}


def test_a_run_has_rows_of_both_with_the_ratio_and_says_what_is_not_installed(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registration, "_FACTORIES", {"probe": lambda observation: Probe(num_agents=2)})
    absent = peer._replace(library=Library("Absent", "a_library_that_is_not_there", "t"))
    monkeypatch.setattr(throughput, "PEERS", (peer, absent, absent))
    output = tmp_path / "throughput.jsonl"
    sizes = ["--num-envs", "2", "--num-steps", "16", "--repeats", "1", "--observations", "tiles"]
    throughput.main(["--peers", "--games", "probe", *sizes, "--output", str(output)])
    theirs, ours = [json.loads(line) for line in output.read_text().splitlines()]
    assert (theirs["game"], theirs["peer"], theirs["times_peer"]) == ("Fake counter", "Fake 2.0", None)
    assert (theirs["num_steps"], ours["num_steps"]) == (4, 16)
    speeds = [row["env_steps_per_second"]["median"] for row in (ours, theirs)]
    assert ours["times_peer"] == round(speeds[0] / speeds[1], 1)
    shown = capsys.readouterr().out
    assert shown.count("Absent is not installed") == 1
    assert "Fake counter, float32 [1]: the time" in shown


def test_a_ratio_is_with_the_fastest_row_of_the_same_game_and_agents() -> None:
    def row(median: int, num_agents: int = 7, **names: str) -> dict[str, Any]:
        return {"env_steps_per_second": {"median": median}, "num_agents": num_agents} | names

    earlier = [row(10, peer="P", like="x"), row(20, peer="P", like="x"), row(40, 2, peer="P", like="x")]
    earlier += [row(80, peer="P", like="y"), row(160, env_id="x")]
    assert throughput.times_peer(row(50, env_id="x"), earlier) == 2.5
    assert throughput.times_peer(row(50, env_id="z"), earlier) is None
    assert throughput.times_peer(row(50, peer="P", like="x"), earlier) is None


def test_a_library_imported_from_a_clone_is_named_with_its_commit(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert peers.version_of(peer) == "Fake 2.0"
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(peers, "commit_of", lambda folder: f"commit of {folder.name}")
    assert peers.version_of(peer) == f"Fake 2.0 (commit of {tmp_path.name})"


def test_a_slow_game_takes_fewer_steps_on_a_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = PEERS[0]._replace(cpu_env_steps=8192)
    assert [slow.num_steps(num_envs, at_most=256) for num_envs in (16, 1024, 16_384)] == [256, 8, 1]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert slow.num_steps(1024, at_most=256) == 256


def test_what_does_not_fit_into_memory_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "memory_mb", lambda: 0.0)
    with pytest.raises(MemoryError, match="1 environments need"):
        rollout.measure_what_fits(rollout.own_game(Probe(num_agents=2)), num_envs=1, num_steps=1, repeats=1)


def test_half_as_many_environments_are_measured_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(game: rollout.Playable, num_envs: int, num_steps: int, repeats: int) -> dict[str, int]:
        if num_envs > 3:
            raise MemoryError
        return {"num_envs": num_envs, "num_steps": num_steps, "repeats": repeats}

    monkeypatch.setattr(rollout, "measure", measure)
    game = rollout.own_game(Probe(num_agents=2))
    assert rollout.measure_what_fits(game, 8, 5, 6) == {"num_envs": 2, "num_steps": 5, "repeats": 6}


def test_memory_is_what_the_device_says_or_else_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = reporting.memory_mb()
    assert machine > 100
    device = types.SimpleNamespace(memory_stats=lambda: {"bytes_limit": 3_000_000})
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert reporting.memory_mb() == 3.0


def test_a_game_whose_actions_are_not_discrete_is_refused() -> None:
    class Continuous(Probe):
        @property
        def action_space(self) -> Space:
            return Box(-1, 1, (1,), jnp.float32)

    env: Environment = Continuous()
    with pytest.raises(ValueError, match="env=Continuous is not allowed: its actions must be Discrete"):
        rollout.own_game(env)


def test_games_that_are_compared_are_ours_and_all_kinds_of_observation_are_explained() -> None:
    assert {peer.like for peer in PEERS} - {""} <= set(jaxdilemmas.registered_envs())
    kinds = {kind for cases in throughput.CASES.values() for case in cases for kind in case.observations}
    assert set(throughput.OBSERVATIONS) == kinds | set(OBSERVATION_KINDS)


def fake_jumanji() -> types.ModuleType:
    """The module `jumanji`, with a game that shows the time and ends after three steps."""

    def observed(state: CounterState, reward: float) -> Any:
        seen = types.SimpleNamespace(agents_view=jnp.full((2, 1), state.t, jnp.int32))
        return types.SimpleNamespace(observation=seen, reward=jnp.full(2, reward), discount=state.t, step_type=state.t)

    def reset(key: jax.Array) -> Any:
        state = CounterState(jnp.int32(0))
        return state, observed(state, 0.0)

    def step(state: CounterState, actions: jax.Array) -> Any:
        state = CounterState((state.t + 1) % EPISODE_STEPS)
        return state, observed(state, 2.0)

    spec = types.SimpleNamespace(num_values=[6, 6])
    game = types.SimpleNamespace(reset=reset, step=step, num_agents=2, time_limit=EPISODE_STEPS, action_spec=spec)
    module = types.ModuleType("jumanji")
    module.__dict__.update(make=lambda game_id: game, wrappers=types.SimpleNamespace(AutoResetWrapper=lambda env: env))
    return module


def test_a_game_of_jumanji_is_played_with_its_resets_and_starts_at_random_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = fake_jumanji()
    monkeypatch.setitem(sys.modules, "jumanji", module)
    monkeypatch.setitem(sys.modules, "jumanji.wrappers", module.__dict__["wrappers"])
    library = peers.JUMANJI._replace(clock="t")
    monkeypatch.setattr(peers, "JUMANJI", library)
    game = peers.peer_game(Peer(library, "counter", {}, "time_limit", "the time"))
    assert (game.num_agents, game.num_actions) == (2, 6)
    obs, state = jax.vmap(game.start)(jax.random.split(jax.random.key(0), 50))
    assert set(state.t.tolist()) == set(range(EPISODE_STEPS)) and obs.shape == (50, 2, 1)
    obs, state, (rewards, *_) = game.step(jax.random.key(0), CounterState(jnp.int32(2)), jnp.zeros(2, jnp.int32))
    assert (obs.tolist(), int(state.t), rewards.tolist()) == ([[0], [0]], 0, [2, 2])


def test_a_game_in_python_is_timed_in_one_environment_with_resets(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[str] = []

    class Game:
        """A game of gymnasium that ends in every second step."""

        action_space = types.SimpleNamespace(seed=lambda seed: None, sample=lambda: (0, 0))

        @property
        def unwrapped(self) -> "Game":
            return self

        def reset(self, **_: Any) -> Any:
            calls.append("reset")
            return (np.zeros(3, np.float32),) * 2, {}

        def step(self, actions: Any) -> Any:
            calls.append("step")
            return None, [0, 0], False, len(calls) % 3 == 0, {}

    gymnasium = types.ModuleType("gymnasium")
    gymnasium.__dict__["make"] = lambda game: Game()
    monkeypatch.setitem(sys.modules, "gymnasium", gymnasium)
    monkeypatch.setattr(throughput, "LB_FORAGING", peer.library)
    options = types.SimpleNamespace(repeats=2)
    (row,) = throughput.peer_rows(options, [peer])  # type: ignore[arg-type]
    assert (calls.count("step"), calls.count("reset")) == (3 * 8, 1 + 3 * 4)
    assert (row["num_agents"], row["num_envs"], row["observation"], row["observation_bytes"]) == (2, 1, "3", 12)
    assert row["env_steps_per_second"]["repeats"] == 2 and row["peer"] == "Fake 2.0"
