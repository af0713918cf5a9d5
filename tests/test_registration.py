"""Ids, factories and the errors of `make`."""

import pytest

import jaxdilemmas
from jaxdilemmas import Environment, registration


@pytest.fixture(autouse=True)
def _restore_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_FACTORIES", dict(registration._FACTORIES))


def test_registered_ids_are_sorted_and_can_be_made() -> None:
    ids = jaxdilemmas.registered_envs()
    assert ids == sorted(ids)
    assert {"commons", "commons_gallego", "gathering", "gathering_gallego"} <= set(ids)
    assert all(isinstance(jaxdilemmas.make(env_id), Environment) for env_id in ids)


def test_a_game_of_ones_own_is_made_with_its_keywords() -> None:
    jaxdilemmas.register("my_gathering", lambda **kwargs: jaxdilemmas.make("gathering", **kwargs))
    assert "my_gathering" in jaxdilemmas.registered_envs()
    assert jaxdilemmas.make("my_gathering", num_agents=3).num_agents == 3


def test_an_id_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match=r"env_id='gathering' is not allowed.*registered already"):
        jaxdilemmas.register("gathering", lambda: jaxdilemmas.make("commons"))


def test_an_unknown_id_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ValueError, match=r"unknown env_id='gatering'; did you mean 'gathering'"):
        jaxdilemmas.make("gatering")


def test_an_unknown_keyword_is_refused_and_the_allowed_named() -> None:
    with pytest.raises(ValueError, match=r"'num_agent'.*num_agents.*apple_respawn_steps"):
        jaxdilemmas.make("gathering", num_agent=2)


def test_a_field_of_params_given_to_make_becomes_its_default() -> None:
    assert jaxdilemmas.make("gathering", timeout_steps=7).default_params.timeout_steps == 7


@pytest.mark.parametrize(
    ("env_id", "keywords", "message"),
    [
        ("gathering", {"num_agents": 0}, "num_agents=0"),
        ("gathering", {"num_agents": 2.0}, r"num_agents=2\.0"),
        ("gathering", {"num_agents": 1000}, "num_agents=1000.*at most"),
        ("gathering", {"observation": "pixels"}, "observation='pixels'.*tiles, one_hot, rgb"),
        ("gathering", {"beam_length": 0}, "beam_length=0"),
        ("gathering", {"hits_to_tag": 0}, "hits_to_tag=0"),
        ("gathering_gallego", {"map": "huge"}, "map='huge'.*small, default, large"),
        ("commons", {"regrowth_probabilities": (0.0, 0.1, 0.2, 1.5)}, r"regrowth_probabilities=.*\[0, 1\]"),
        ("commons", {"num_agents": 89}, "num_agents=89.*at most 88"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_and_named(
    env_id: str, keywords: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make(env_id, **keywords)
