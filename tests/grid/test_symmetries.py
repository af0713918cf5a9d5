"""Turns and reflections of a square board."""

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.geometry import EAST, NORTH, SOUTH, STEPS, WEST
from jaxdilemmas.grid.symmetries import board_symmetries, turn_cells

MATRICES, ACTIONS = board_symmetries(STEPS)


def test_there_are_eight_and_the_first_changes_nothing() -> None:
    cells = jnp.array([[0, 0], [1, 4], [2, 2]], jnp.int8)
    turned = [np.asarray(turn_cells(cells, jnp.asarray(matrix), 5)) for matrix in MATRICES]
    assert len({part.tobytes() for part in turned}) == 8 and turned[0].dtype == np.int8
    assert turned[0].tolist() == cells.tolist() and ACTIONS[0].tolist() == [NORTH, EAST, SOUTH, WEST]


def test_an_action_turns_as_the_cells_do() -> None:
    centre = jnp.array([2, 2], jnp.int8)
    for matrix, actions in zip(MATRICES, ACTIONS, strict=True):
        ends = turn_cells(centre + jnp.asarray(STEPS, jnp.int8), jnp.asarray(matrix), 5)
        np.testing.assert_array_equal(ends, centre + STEPS[actions])
