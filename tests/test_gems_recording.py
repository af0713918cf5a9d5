"""The check of recorded Gems explains recordings of our own game and finds the errors in altered ones."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gems_recording import PARTS, explain, follow, main
from jaxdilemmas.envs.gems import Gems, draw_planes
from jaxdilemmas.policies.gems import greedy

pytestmark = pytest.mark.usefixtures("quick_compiling")

NUM_EPISODES = 40
SHAPES = {"planes": "obs_bits", "next_planes": "next_obs_bits"}


@pytest.fixture(scope="module")
def own() -> dict[str, np.ndarray]:
    """A recording of greedy players, as `explain` takes it; all start in a corner, where gems cover each other."""
    env = Gems()
    policy = greedy(env)

    def episode(key: jax.Array) -> dict[str, jax.Array]:
        key_start, key_steps = jax.random.split(key)
        start = env.initial_state(key_start, env.default_params)

        def step(carry: Any, key: jax.Array) -> Any:
            state, is_over = carry
            key_act, key_step = jax.random.split(key)
            actions = policy(key_act, state)
            _, following, rewards, terminated, truncated, _ = env.step(key_step, state, actions)
            planes = {"planes": draw_planes(state), "next_planes": draw_planes(following)}
            done = terminated | truncated
            row = {"actions": actions, "rewards": rewards, "done": done, "is_played": ~is_over}
            return (following, is_over | done), planes | row

        corner = start.replace(gems=start.gems // 3)
        return jax.lax.scan(step, (corner, jnp.bool_(False)), jax.random.split(key_steps, 45))[1]

    keys = jax.random.split(jax.random.key(0), NUM_EPISODES)
    recorded = jax.tree.map(np.asarray, jax.jit(jax.vmap(episode))(keys))
    is_played = recorded.pop("is_played")
    return {name: values[is_played] for name, values in recorded.items()}


def save(path: Path, recorded: dict[str, np.ndarray]) -> Path:
    """Writes a recording in the layout of the original."""
    arrays = {SHAPES.get(name, name): values for name, values in recorded.items()}
    for name in SHAPES.values():
        arrays[name] = np.packbits(arrays[name].reshape(len(arrays[name]), -1), axis=1)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


def test_every_transition_of_our_own_game_is_explained(
    own: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, output = save(tmp_path / "own.npz", own), tmp_path / "results" / "rows.jsonl"
    main(["--recording", str(recording), "--output", str(output)])
    row = json.loads(output.read_text())
    M = len(own["done"])
    assert M > 15 * NUM_EPISODES
    assert {row[name] for name in ("transitions", "explained", *PARTS)} == {M}
    assert row["episodes"] == NUM_EPISODES and row["recording"] == "own.npz"
    assert 0.7 * NUM_EPISODES < row["terminated"] <= NUM_EPISODES
    assert row["with_hidden_gems"] > 20
    assert row.keys() >= {"jax", "device", "commit", "time"}
    assert f"{M:,}" in capsys.readouterr().out


def test_without_a_recording_there_is_a_reason_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], ["--recording", str(tmp_path / "missing.npz")]):
        main([*arguments, "--output", str(tmp_path / "rows.jsonl")])
        assert "nothing to check: --recording=" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def spoil(own: dict[str, np.ndarray], part: str, t: int) -> None:
    """Changes transition t so that one part of it breaks the rules."""
    planes = own["next_planes"]
    if part == "rewards":
        own["rewards"][t] += [1, 0]
    elif part == "done":
        own["done"][t] = ~own["done"][t]
    elif part == "positions":
        planes[t, 0] = np.rot90(planes[t, 0])
        own["planes"][t + 1] = planes[t]
    elif part == "start":
        own["planes"][t, 0] = own["planes"][t, 1]
    else:
        planes[t, 4] = np.flip(planes[t, 4])
        own["planes"][t + 1] = planes[t]


@pytest.mark.parametrize("part", PARTS)
def test_a_transition_that_breaks_a_rule_is_named_with_what_it_breaks(
    own: dict[str, np.ndarray], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = {name: values.copy() for name, values in own.items()}
    quiet = (spoilt["rewards"].sum(1) == 0) & ~spoilt["done"] & (np.append(1, spoilt["rewards"].sum(1)[:-1]) == 0)
    t = int(np.flatnonzero(quiet)[3])
    spoil(spoilt, part, t)
    main(["--recording", str(save(tmp_path / "spoilt.npz", spoilt)), "--output", str(tmp_path / "rows.jsonl")])
    row = json.loads((tmp_path / "rows.jsonl").read_text())
    assert row[part] < row["transitions"] and row["explained"] < row["transitions"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"transition {t} is not")]
    assert part in line


def test_a_gem_never_comes_back_on_row_0_or_column_0(own: dict[str, np.ndarray]) -> None:
    is_taken = (own["rewards"][:, 0] == 1) & (own["planes"][:, 2].sum((1, 2)) == 3)
    t = int(np.flatnonzero(is_taken)[0])
    one = {name: values[t : t + 1].copy() for name, values in own.items()}
    assert explain(one)["gems"].all()
    came_back = np.argwhere(one["next_planes"][0, 2] > one["planes"][0, 2])[0]
    one["next_planes"][0, 2, *came_back] = 0
    for cell, is_possible in (((1, 14), True), ((14, 1), True), ((0, 14), False), ((14, 0), False)):
        moved = {name: values.copy() for name, values in one.items()}
        assert not moved["next_planes"][0, 2, *cell]
        moved["next_planes"][0, 2, *cell] = 1
        assert explain(moved)["gems"].item() == is_possible


def test_gems_that_are_not_shown_must_stay_possible_through_an_episode() -> None:
    hides_under_first = [[True, False], [True, False]]
    was_under_second = [[False, False], [False, True]]
    in_this_order = np.stack([hides_under_first, was_under_second], axis=-1)[..., None]
    assert follow(in_this_order, np.array([True, False])).tolist() == [[True], [False]]
    assert follow(in_this_order, np.array([True, True])).tolist() == [[True], [True]]
    assert follow(in_this_order[:, :, ::-1], np.array([True, False])).tolist() == [[True], [True]]
