"""Recorded planes of `gems`: the state and the events of a step that follow from them, and refused planes."""

import jax
import numpy as np
import pytest

from baselines.demonstrations.gems_planes import entities_from_planes, recorded_events, state_from_planes
from jaxdilemmas.envs.gems import Gems, draw_planes
from tests.reference.gems_boards import Steps, board, crowded_steps

pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.fixture(scope="module")
def steps() -> Steps:
    return crowded_steps(Gems())


@pytest.mark.parametrize("hidden", range(3))
def test_a_state_from_planes_looks_like_them_wherever_hidden_gems_lie(steps: Steps, hidden: int) -> None:
    found = state_from_planes(steps.planes, hidden)
    np.testing.assert_array_equal(jax.jit(jax.vmap(draw_planes))(found), steps.planes)
    covering = draw_planes(board([[0, 0], [1, 1]], own=[[5, 5], [2, 2], [5, 5]]))
    covered = state_from_planes(np.asarray(covering), hidden)
    assert sorted(covered.gems[0].tolist()) == sorted([[2, 2], [5, 5], [[2, 2], [5, 5], [5, 5]][hidden]])


def test_events_of_recorded_steps_are_the_info_of_our_own(steps: Steps) -> None:
    found = recorded_events(steps.planes, steps.actions.astype(np.int8))
    assert found.keys() == steps.info.keys() == {"own_gems", "on_shared", "shared"}
    for name, values in found.items():
        assert values.dtype == np.float32 and 0 < values.mean() < 1
        np.testing.assert_array_equal(values, steps.info[name])


def test_planes_that_are_no_board_are_refused() -> None:
    planes = np.asarray(draw_planes(board([[7, 7], [0, 0]])))
    with pytest.raises(ValueError, match=r"planes.shape=\(4, 15, 15\) is not allowed: it must end in \(5, 15, 15\)"):
        entities_from_planes(planes[:4])
    for kind, cells in ((0, []), (1, [0, 1]), (2, []), (4, [0, 1, 2, 3])):
        wrong = planes.copy()
        wrong[kind] = 0
        wrong[kind, 0, cells] = 1
        with pytest.raises(ValueError, match=r"planes=.*each must show one player, or one to three gems"):
            state_from_planes(np.stack([planes, wrong]))
    with pytest.raises(ValueError, match=r"actions.shape=\(2,\) is not allowed: \(1, 2\)"):
        recorded_events(planes[None], np.zeros(2, np.int32))
