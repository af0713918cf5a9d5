"""Replays hold an episode as differences that give every frame back, and refuse what is no episode."""

import base64
import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies, rendering
from jaxdilemmas.rendering.picture import show_states
from jaxdilemmas.rendering.replay import Replay, describe, make_page, quantize, record, save_replay
from tests.probes import Probe

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def replay() -> Replay:
    env = jaxdilemmas.make("gathering", max_steps=60)
    return record(env, policies.scripted(env, "greedy"), KEY, title="<b>greedy</b>")


def data_in(page: str) -> Any:
    """The episodes in a page."""
    found = re.search(r'id="data">([^<]*)</script>', page)
    assert found
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


def test_the_differences_give_every_frame_back(replay: Replay) -> None:
    (data,) = data_in(make_page([replay]))
    expected = quantize(show_states(replay.env, replay.states).marks)
    frame = np.array(data["first"]).reshape(-1, 7)
    assert (frame == expected[0]).all()
    for change, after in zip(data["changes"], expected[1:], strict=True):
        for slot, *fields in np.array(change, int).reshape(-1, 8):
            frame[slot] = fields
        assert (frame == after).all()


def test_returns_are_the_sums_of_rewards_and_events_are_where_they_happened(replay: Replay) -> None:
    data = describe(replay)
    assert np.array(data["returns"]).shape == (61, 2)
    assert data["returns"][-1] == replay.rewards.sum(0).tolist()
    step, agent, amount = data["events"]["collected"][0]
    assert replay.events["collected"][step - 1, agent] == amount == 1
    assert "hits_given" not in data["events"]  # greedy agents do not fire
    assert data["picture"]["window"] == [15, 0, 10]


def test_an_episode_that_ends_early_ends_there() -> None:
    env = jaxdilemmas.make("gems")
    replay = record(env, policies.scripted(env, "greedy"), KEY)
    assert len(replay.rewards) < int(env.default_params.max_steps)
    assert replay.states.team_reward[-1] > env.default_params.most_team_reward
    assert len(replay.states.step_count) == len(replay.rewards) + 1


def test_small_observations_are_shown_and_boards_are_not(replay: Replay) -> None:
    env = jaxdilemmas.make("common_pool", max_steps=5)
    data = describe(record(env, policies.random(env), KEY))
    assert np.array(data["observations"]).shape == (len(data["changes"]) + 1, 4, 2)
    assert describe(replay)["observations"] is None


@pytest.mark.slow
@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_registered_game_has_a_replay(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    (data,) = data_in(make_page([record(env, policies.random(env), KEY, num_steps=8)]))
    assert len(data["changes"]) == 8
    assert any(data["changes"])
    assert len(data["returns"][0]) == env.num_agents


def test_a_page_escapes_its_title_and_loads_nothing_from_elsewhere(replay: Replay) -> None:
    page = make_page([replay])
    assert "<title>&lt;b&gt;greedy&lt;/b&gt;</title>" in page
    assert re.findall(r'(?:src|href)="?[^" >]*|url\([^)]*\)|https?://[^" ]*|@import', page) == []
    assert "default-src 'none'" in page


def test_a_notebook_shows_the_page_in_a_frame_without_access(replay: Replay) -> None:
    assert replay._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert 'sandbox="allow-scripts"' in replay._repr_html_()


@pytest.mark.slow
def test_a_thousand_steps_of_ten_agents_are_at_most_1500_kilobytes(tmp_path: Path) -> None:
    env = jaxdilemmas.make("gathering_gallego", map="large", num_agents=10)
    for name in ("exploitative", "random"):
        save_replay([record(env, policies.scripted(env, name), KEY)], tmp_path / "replay.html")
        assert os.path.getsize(tmp_path / "replay.html") <= 1_500_000


def test_bad_arguments_are_named(replay: Replay, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"replays=.*a list of 1 to 4 replays"):
        make_page([])
    with pytest.raises(ValueError, match=r"replays=5 is not allowed"):
        make_page([5])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"rewards of shape=\(59, 2\) is not allowed: \(60, 2\)"):
        make_page([replay._replace(rewards=replay.rewards[1:])])
    with pytest.raises(ValueError, match=r"events\['collected'\] of shape"):
        make_page([replay._replace(events={"collected": np.zeros(3)})])
    with pytest.raises(ValueError, match=r"actions of shape"):
        make_page([replay._replace(actions=replay.actions[:, :1])])
    with pytest.raises(ValueError, match=r"state=jaxdilemmas\.envs\.gathering\.State is not allowed"):
        make_page([replay._replace(env=jaxdilemmas.make("commons"))])
    with pytest.raises(ValueError, match=r"policy=5 is not allowed: a function"):
        record(replay.env, 5, KEY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"num_steps=0 is not allowed"):
        record(replay.env, policies.random(replay.env), KEY, num_steps=0)
    with pytest.raises(ValueError, match=r"env=.*Probe.* is not allowed: a game with a picture_module"):
        record(Probe(), lambda key, state: jnp.zeros(1, jnp.int32), KEY)
    with pytest.raises(ValueError, match=r"path=5 is not allowed"):
        save_replay([replay], 5)  # type: ignore[arg-type]


def test_replays_are_in_the_public_module() -> None:
    assert rendering.record is record
    assert rendering.save_replay is save_replay
