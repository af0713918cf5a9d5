"""Every registered game keeps the contract; the check names the sentence that a broken game breaks."""

import types
from pathlib import Path
from typing import Any

import pytest

import jaxdilemmas
from jaxdilemmas import AutoReset, EpisodeStatistics, TransformRewards, preferences
from jaxdilemmas.testing import CHECKS, check_environment, run_check, sentence_of
from jaxdilemmas.testing.probe import Probe
from tests.broken_games import BROKEN, RewardsAreOne
from tests.games import EVERY_GAME
from tests.pot import BoxPot, Pot

pytestmark = pytest.mark.usefixtures("quick_compiling")


TWO: dict[str, Any] = {"num_agents": 2}
"""As many agents in every game, so that steps without jit compile their operations once."""

BUSY: dict[str, Any] = TWO | {"timeout_steps": 1, "hits_to_tag": 1}
"""Much happens in few steps."""

KEYWORDS: dict[str, dict[str, Any]] = {
    "cleanup": TWO,
    "cleanup_gallego": BUSY | {"map": "small", "observation": "rgb"},
    "cleanup_meltingpot": TWO | {"timeout_steps": 1},
    "commons": BUSY,
    "commons_gallego": BUSY | {"observation": "one_hot"},
    "coop_mining": TWO | {"mining_cooldown": 0, "iron_growth": 0.5},
    "externality_mushrooms": TWO | {"zap_cooldown": 0, "timeout_steps": 1, "perish_steps": (2, 2, 2, 2)},
    "gathering": BUSY | {"apple_respawn_steps": 1},
    "gift_refinements": TWO | {"gift_cooldown": 0, "token_growth": 0.5},
    "gathering_gallego": BUSY | {"apple_respawn_steps": 1, "map": "small", "observation": "rgb"},
    "harvest": TWO | {"timeout_steps": 1},
    "territory": TWO | {"zap_cooldown": 0, "payment_probability": 0.5, "payment_delay": 1},
}
"""How games are made for the check; together they have every kind of observation."""


@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_every_registered_game_keeps_the_contract(env_id: str) -> None:
    check_environment(jaxdilemmas.make(env_id, **KEYWORDS.get(env_id, {})), num_steps=2)


@pytest.mark.slow
def test_a_wrapped_game_keeps_the_contract() -> None:
    env = EpisodeStatistics(jaxdilemmas.make("gathering", **KEYWORDS["gathering"]))
    check_environment(AutoReset(TransformRewards(env, preferences.common()), final_observation=True), num_steps=2)


@pytest.mark.parametrize("env_class", [Pot, BoxPot])
def test_a_game_of_ones_own_that_keeps_the_contract_passes(env_class: type[Pot]) -> None:
    check_environment(env_class())


def test_the_whole_game_in_contributing_keeps_the_contract_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    code = page.partition("<!-- game: Pond -->\n```python\n")[2].partition("```")[0]
    module = types.ModuleType("pond")
    exec(code, vars(module))
    check_environment(module.Pond(growth=0.1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [f"passed: {sentence_of(check)}" for check in CHECKS]
    assert lines[-1].startswith(f"Pond keeps the contract ({len(CHECKS)} sentences in ")


def test_nothing_is_printed_unless_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError):
        check_environment(RewardsAreOne(), verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_environment_is_told_what_is_broken(broken: type[Pot]) -> None:
    check, message = BROKEN[broken]
    env = broken()
    with pytest.raises(AssertionError, match=f"{broken.__name__} breaks the contract .*{message}"):
        run_check(check, Probe(env, num_steps=2))


def test_every_check_rejects_some_environment_and_is_run() -> None:
    assert {check for check, _ in BROKEN.values()} == set(CHECKS)
    with pytest.raises(AssertionError, match="rewards is"):
        check_environment(RewardsAreOne())


def test_an_episode_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="num_steps=0"):
        check_environment(Pot(), num_steps=0)
