"""Labels of trained agents and teams drawn from them, by hand and by count."""

import itertools

import numpy as np
import pytest

from baselines.analysis.teams import EmptyClassError, Tags, draw_team, tag_agents

RESTRAINT = np.array([[0.5, 0.4, 0.1, 0.3], [0.2, 0.2, 0.6, 0.6], [0.36, 0.37, 0.38, 0.0], [0.9, 0.9, 0.9, 0.9]])
"""Of four models with four agents."""


def tags_of(cooperators: list[str], defectors: list[str]) -> Tags:
    """Labels written as a row of x for each model."""
    return Tags(*(np.array([[mark == "x" for mark in row] for row in rows]) for rows in (cooperators, defectors)))


def test_agents_are_labelled_by_thresholds_of_restraint_and_those_between_not_at_all() -> None:
    tags = tag_agents(RESTRAINT, 0.25, 0.35)
    expected = tags_of(["xx..", "..xx", "xxx.", "xxxx"], ["..x.", "xx..", "...x", "...."])
    np.testing.assert_array_equal(tags.cooperators, expected.cooperators)
    np.testing.assert_array_equal(tags.defectors, expected.defectors)
    on_thresholds = tag_agents(np.array([[0.25, 0.35]]), 0.25, 0.35)
    assert not np.any(on_thresholds)


@pytest.mark.parametrize(("below", "above", "name"), [(0.4, 0.3, "cooperator_above"), (-0.1, 0.3, "defector_below")])
def test_thresholds_that_overlap_or_are_no_shares_are_refused(below: float, above: float, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=.* is not allowed"):
        tag_agents(RESTRAINT, below, above)


@pytest.mark.parametrize("num_defectors", range(5))
def test_cooperators_are_of_one_model_and_everybody_keeps_the_slot(num_defectors: int) -> None:
    tags = tag_agents(RESTRAINT, 0.25, 0.35)
    rng = np.random.default_rng(0)
    for _ in range(50):
        team = draw_team(tags, num_defectors, rng)
        assert team.is_cooperator.sum() == 4 - num_defectors
        assert len(set(team.model_of_agent[team.is_cooperator])) <= 1
        for slot, (model, is_cooperator) in enumerate(zip(*team, strict=True)):
            assert (tags.cooperators if is_cooperator else tags.defectors)[model, slot]


def test_every_team_that_can_be_is_drawn() -> None:
    tags = tags_of(["xx.", "xx."], ["..x", "xxx"])
    rng = np.random.default_rng(1)
    drawn = [draw_team(tags, 2, rng) for _ in range(2000)]
    found = [(*team.model_of_agent.tolist(), *team.is_cooperator.tolist()) for team in drawn]
    expected = set()  # a cooperator in slot 0 or 1, model 1 defects in the other of them, either model in slot 2
    for model, third in itertools.product(range(2), range(2)):
        expected |= {(model, 1, third, True, False, False), (1, model, third, False, True, False)}
    assert set(found) == expected
    counts = np.unique(np.array(found), axis=0, return_counts=True)[1]
    np.testing.assert_allclose(counts / 2000, 1 / 8, atol=0.03)


def test_a_slot_without_any_defector_has_a_cooperator_in_every_team() -> None:
    tags = tags_of(["xxx", "..."], ["...", "xx."])
    rng = np.random.default_rng(0)
    teams = [draw_team(tags, 1, rng) for _ in range(50)]
    assert all(team.is_cooperator[2] for team in teams)
    assert {tuple(team.is_cooperator.tolist()) for team in teams} == {(True, False, True), (False, True, True)}


@pytest.mark.parametrize(
    ("tags", "num_defectors", "message"),
    [
        (tags_of(["x..", ".xx"], ["xxx", "xxx"]), 0, "it takes 3 cooperators of one model, the most is 2"),
        (tags_of(["...", "..."], ["xxx", "xxx"]), 2, "it takes 1 cooperators of one model, the most is 0"),
        (tags_of(["xxx"], ["xx."]), 3, "no model has a defector in slot 2"),
        (tags_of(["xxx"], ["..."]), 2, "no model has a defector in slot 0 or 1 or 2"),
        (tags_of(["xx."], ["xx."]), 1, "no model has a defector in slot 2, and none has 2 cooperators with one there"),
    ],
)
def test_what_lacks_for_a_team_is_named(tags: Tags, num_defectors: int, message: str) -> None:
    with pytest.raises(EmptyClassError) as info:
        draw_team(tags, num_defectors, np.random.default_rng(0))
    assert str(info.value) == message


@pytest.mark.parametrize("num_defectors", [-1, 5])
def test_more_defectors_than_agents_are_refused(num_defectors: int) -> None:
    message = f"num_defectors={num_defectors} is not allowed: a whole number of at least 0 and at most 4"
    with pytest.raises(ValueError, match=message):
        draw_team(tag_agents(RESTRAINT, 0.25, 0.35), num_defectors, np.random.default_rng(0))
