"""Ids, factories and the errors of `make`."""

from pathlib import Path
from typing import Any

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
    with pytest.raises(ValueError, match=r"env_id='gatering' is not allowed: it is unknown; did you mean 'gathering'"):
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
        ("no_such_package.games:Game", "No module named 'no_such_package'.*current directory.*PYTHONPATH.*installed"),
        ("jaxdilemmas.envs.no_such_game:Game", "No module named 'jaxdilemmas.envs.no_such_game'.*PYTHONPATH"),
        ("jaxdilemmas.envs.gathering:Gathring", "has no attribute 'Gathring'"),
        ("jaxdilemmas.envs.gathering:MAPS", "MAPS is a dict, not a subclass of jaxdilemmas.Environment"),
        ("jaxdilemmas.envs.gathering:Params", "Params is a class of another kind, not a subclass"),
        ("jaxdilemmas.environment:require", "require is a function, not a subclass"),
        (
            "jaxdilemmas.environment:Environment",
            "Environment is abstract: it does not define action_space, initial_state",
        ),
        ("os:system", "system is a builtin_function_or_method, not a subclass"),
        ("jaxdilemmas.envs.gathering:", "module:Class"),
        (":Gathering", "module:Class"),
        (".gathering:Gathering", "module:Class"),
        ("envs/gathering.py:Gathering", "module:Class"),
        ("a:b:c", "module:Class"),
    ],
)
def test_what_is_no_class_of_games_is_refused(env_id: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"env_id='{env_id}' is not allowed: .*{reason}"):
        jaxdilemmas.make(env_id)


def test_what_is_no_class_of_games_is_never_called(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(ValueError, match="env_id='os:system' is not allowed"):
        jaxdilemmas.make("os:system", command=f"touch {marker}")
    assert not marker.exists()


def test_the_error_of_a_module_that_cannot_be_imported_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_torn_game.py").write_text("import no_such_library_at_all")
    (tmp_path / "my_wrong_game.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ValueError, match=r"importing 'my_torn_game' raised ModuleNotFoundError: .*no_such_library_at_all"
    ):
        jaxdilemmas.make("my_torn_game:Game")
    with pytest.raises(ValueError, match="importing 'my_wrong_game' raised ZeroDivisionError"):
        jaxdilemmas.make("my_wrong_game:Game")


def test_a_class_named_with_a_dot_is_shown_with_a_colon() -> None:
    with pytest.raises(
        ValueError,
        match=r"my_game.PublicGoods' is not allowed: it is unknown; did you mean 'my_game:Pub",
    ):
        jaxdilemmas.make("my_game.PublicGoods")


@pytest.mark.parametrize("env_id", [None, 5, True, ["gathering"], b"gathering"])
def test_an_id_that_is_no_string_is_refused(env_id: Any) -> None:
    with pytest.raises(ValueError, match=r"env_id=.* is not allowed: the id of a game, one of cleanup"):
        jaxdilemmas.make(env_id)
    with pytest.raises(ValueError, match=r"env_id=.* is not allowed: a string"):
        jaxdilemmas.register(env_id, jaxdilemmas.registration.registered_class("gathering"))


def test_only_registered_games_are_made_by_the_id_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_marking_game.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    assert registration.make_registered("gathering", num_agents=3).num_agents == 3
    for env_id in ("my_marking_game:Game", "os:system", "jaxdilemmas.envs.gathering:Gathering"):
        with pytest.raises(ValueError, match=f"env_id='{env_id}' is not allowed: only a registered game is"):
            registration.make_registered(env_id, command="true")
    with pytest.raises(ValueError, match=r"env_id='my_marking_game.Game' is not allowed: it is unknown"):
        registration.make_registered("my_marking_game.Game")
    assert not (tmp_path / "marker").exists()


def test_the_class_of_a_registered_id_is_found_without_building_it() -> None:
    from jaxdilemmas.envs.gathering import Gathering

    def factory(**kwargs: Any) -> Environment:
        raise AssertionError("must not be called")

    jaxdilemmas.register("my_game", factory)
    assert registration.registered_class("gathering") is Gathering
    assert registration.registered_class("my_game") is factory


@pytest.mark.parametrize("factory", [5, None, "jaxdilemmas.envs.gathering:Gathering", int, Environment])
def test_only_classes_of_games_and_functions_are_registered(factory: Any) -> None:
    with pytest.raises(ValueError, match=r"factory=.* is not allowed: .*"):
        jaxdilemmas.register("my_game", factory)
    assert "my_game" not in jaxdilemmas.registered_envs()


def test_a_factory_that_returns_no_game_is_refused() -> None:
    jaxdilemmas.register("my_game", lambda: 5)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="env_id='my_game' is not allowed: its factory returned a int"):
        jaxdilemmas.make("my_game")


@pytest.mark.parametrize("env_id", ["", "my game", "a/b", "a\n"])
def test_an_id_of_other_characters_is_refused(env_id: str) -> None:
    with pytest.raises(ValueError, match=r"env_id=.* is not allowed: a string of letters, digits, _, - and ."):
        jaxdilemmas.register(env_id, registration.registered_class("gathering"))


def test_an_id_with_a_colon_is_not_registered() -> None:
    with pytest.raises(ValueError, match="env_id='games:gathering' is not allowed"):
        jaxdilemmas.register("games:gathering", lambda: jaxdilemmas.make("gathering"))
