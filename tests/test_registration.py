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


def test_a_class_anywhere_is_made_by_its_module_and_name() -> None:
    env = jaxdilemmas.make("jaxdilemmas.envs.gathering:Gathering", num_agents=3)
    assert (type(env).__name__, env.num_agents) == ("Gathering", 3)
    assert "jaxdilemmas.envs.gathering:Gathering" not in jaxdilemmas.registered_envs()


@pytest.mark.parametrize(
    ("env_id", "reason"),
    [
        ("no_such_package.games:Game", "No module named 'no_such_package'"),
        ("jaxdilemmas.envs.gathering:Gathring", "has no attribute 'Gathring'"),
        ("jaxdilemmas.envs.gathering:MAP", "MAP is a str"),
        ("jaxdilemmas.envs.gathering:", "has no attribute ''"),
        (":Gathering", "Empty module name"),
    ],
)
def test_a_class_that_cannot_be_imported_is_refused(env_id: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"env_id='{env_id}' is not allowed: .*{reason}"):
        jaxdilemmas.make(env_id)


def test_an_id_with_a_colon_is_not_registered() -> None:
    with pytest.raises(ValueError, match="env_id='games:gathering' is not allowed"):
        jaxdilemmas.register("games:gathering", lambda: jaxdilemmas.make("gathering"))
