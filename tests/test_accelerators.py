"""Programs for a GPU and a TPU, lowered where there is neither: no call of the host, and no branch that data decide.

This tests what the compilers of these devices are given. It runs nothing.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines.core.players import scripted_player
from baselines.core.trainer import Imitator
from baselines.demonstrations import Demonstrations, record
from baselines.runs.loop import over_seeds
from baselines.trained.algorithms import ALGORITHMS
from benchmarks.rollout import make_rollout, own_game
from jaxdilemmas import batching, registered_envs
from jaxdilemmas.policies import scripted

PLATFORMS = ("cuda", "tpu")
KEPT_CALLS = re.compile(r'inlineable = "false"')
BRANCH = re.compile(r'^( *).*"?stablehlo\.(?:case|if)"?\((%\w+)')


def games(*fast: str) -> list[Any]:
    """All games as parameters; those that are not named here are slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in registered_envs()]


def branches(program: str) -> list[str]:
    """The lines of a program that begin a choice between several regions by a number that is no constant.

    JAX lowers `platform_dependent` to a choice by a constant, `%c`, and a choice of one region; XLA keeps neither.
    """
    lines = program.splitlines()
    found = []
    for number, line in enumerate(lines):
        begins = BRANCH.match(line)
        if begins and not begins[2].startswith("%c"):
            end = next(later for later in lines[number + 1 :] if later.startswith(begins[1] + "}"))
            found += [line] if re.match(r" *\}, \{", end) else []
    return found


def program_for(platform: str, function: Callable[..., Any], *arguments: Any) -> str:
    """The program as text; JAX does not export one that calls the host."""
    return jax.export.export(jax.jit(function), platforms=[platform])(*arguments).mlir_module()


def misfits(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """What does not fit an accelerator in the programs of a function: branches and calls that are kept."""
    programs = [program_for(platform, function, *arguments) for platform in PLATFORMS]
    return [part for program in programs for part in (*branches(program), *KEPT_CALLS.findall(program))]


def test_branches_are_found_and_calls_of_the_host_are_refused() -> None:
    def step(x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return jax.lax.cond(x > 1, lambda x: x / 2, lambda x: 3 * x, x), None

    def call_host(x: jax.Array) -> jax.Array:
        return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((), jnp.float32), x)

    one = jnp.float32(1.0)
    for platform in PLATFORMS:
        assert len(branches(program_for(platform, lambda x: jax.lax.scan(step, x, length=3)[0], one))) == 1
        with pytest.raises(ValueError, match="different from the lowering platform"):
            program_for(platform, call_host, one)


@cache
def rollout_of(env_id: str) -> tuple[Callable[..., Any], Any]:
    """The loop that is measured, and the shapes of its argument."""
    start, rollout = make_rollout(own_game(jaxdilemmas.make(env_id)), num_envs=4, num_steps=3)
    return jax.jit(rollout), jax.eval_shape(start, jax.random.key(0))


def test_on_a_cpu_branches_and_calls_stay() -> None:
    program = program_for("cpu", *rollout_of("gathering"))
    assert len(branches(program)) == 1
    assert KEPT_CALLS.findall(program)


@pytest.mark.parametrize("env_id", games("gems"))
def test_steps_and_rollouts_fit_accelerators(env_id: str) -> None:
    env = jaxdilemmas.AutoReset(jaxdilemmas.make(env_id))
    keys = jax.random.split(jax.random.key(0), 4)
    _, state = jax.eval_shape(jax.vmap(env.reset), keys)
    actions = jnp.zeros((4, env.num_agents, *env.action_space.shape), env.action_space.dtype)
    assert misfits(jax.vmap(env.step), keys, state, actions) == []
    assert misfits(*rollout_of(env_id)) == []


@pytest.mark.parametrize("env_id", games("common_pool"))
def test_what_accelerators_compute_is_bitwise_the_same(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def play() -> list[Any]:
        start, rollout = make_rollout(own_game(jaxdilemmas.make(env_id, max_steps=20)), num_envs=8, num_steps=50)
        carry = jax.jit(rollout)(jax.jit(start)(jax.random.key(0)))
        return jax.tree.leaves(carry._replace(key=jax.random.key_data(carry.key)))

    on_cpu = play()
    monkeypatch.setattr(batching, "BRANCHES_ON", ())
    monkeypatch.setattr(batching, "CALLS_ON", ())
    jax.clear_caches()  # traces of the program for a CPU
    for found, expected in zip(play(), on_cpu, strict=True):
        np.testing.assert_array_equal(found, expected)


PLAY: dict[str, Any] = {"num_envs": 4, "rollout_steps": 6, "total_env_steps": 48, "hidden_size": 8}
PPO: dict[str, Any] = {"num_minibatches": 2, "num_epochs": 2}
IMITATE: dict[str, Any] = {"gradient_steps": 4, "steps_per_update": 2, "hidden_size": 8, "batch_size": 4}
LEARNERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ippo": ("ippo", "common_pool", PLAY | PPO),
    "ippo with memory": ("ippo", "gathering", PLAY | PPO | {"network": "gru"}),
    "ippo with separate networks": ("ippo", "harvest", PLAY | PPO | {"network": "conv", "parameters": "separate"}),
    "networked": ("networked", "common_pool_network", PLAY),
    "mamql": ("mamql", "gems", IMITATE | {"num_envs": 4, "rollout_steps": 2, "capacity": 16}),
    "iq_learn": ("iq_learn", "gems", IMITATE),
    "cloning": ("cloning", "gems", IMITATE),
    "adversarial": ("adversarial", "gems", PLAY | PPO | {"gradient_steps": 4, "batch_size": 4, "cloning_steps": 2}),
}
"""Algorithm, game and settings."""


@cache
def demonstrations_of(env_id: str) -> Demonstrations:
    env = jaxdilemmas.make(env_id, max_steps=9)
    return record(scripted_player(env, scripted(env, "greedy")), jax.random.key(0), num_episodes=2)


def misfits_of_update(name: str, env_id: str, settings: dict[str, Any], num_seeds: int = 1) -> list[str]:
    algorithm, env = ALGORITHMS[name], jaxdilemmas.make(env_id)
    learnt_from = (demonstrations_of(env_id),) if isinstance(algorithm, Imitator) else ()
    trainer = algorithm.make_trainer(algorithm.config_class(**settings), env, *learnt_from)
    init, update = (over_seeds(function, num_seeds) for function in trainer)
    train_states = jax.eval_shape(init, jax.random.split(jax.random.key(0), num_seeds), env.default_params)
    return misfits(update, train_states, env.default_params)


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c == "ippo" else pytest.mark.slow) for c in LEARNERS])
def test_updates_fit_accelerators(case: str) -> None:
    assert misfits_of_update(*LEARNERS[case]) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", LEARNERS)
def test_updates_of_several_seeds_fit_accelerators(case: str) -> None:
    assert misfits_of_update(*LEARNERS[case], num_seeds=2) == []


@pytest.mark.slow
@pytest.mark.parametrize("env_id", registered_envs())
def test_updates_of_every_game_fit_accelerators(env_id: str) -> None:
    assert misfits_of_update("ippo", env_id, PLAY | PPO) == []


def test_every_learner_is_tested() -> None:
    assert {name for name, _, _ in LEARNERS.values()} == set(ALGORITHMS)
