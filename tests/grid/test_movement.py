from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.movement import (
    RULES,
    STAND,
    TURN_LEFT,
    TURN_RIGHT,
    goes_first,
    is_move,
    propose_moves,
    turn,
)
from tests.reference import movement as slow
from tests.reference.boards import draw_agents, draw_walls

NORTH, EAST, SOUTH, WEST, STAY = 0, 1, 2, 3, None

propose, rules = jax.jit(propose_moves), {name: jax.jit(rule) for name, rule in RULES.items()}
resolve = rules["simultaneous"]
SLOW_RULES = {"sequential": slow.move_in_turn, "simultaneous": slow.resolve_moves}


def play(
    before: str, ways: Sequence[int | None], priorities: list[float] | None = None, rule: str = "simultaneous"
) -> np.ndarray:
    """Where agents end that walk forward in the directions `ways`, or stay."""
    positions = draw_agents(before)
    headings = np.array([way or 0 for way in ways], np.int32)
    actions = np.array([STAND if way is None else 0 for way in ways], np.int32)
    targets = propose(positions, headings, actions, draw_walls(before))
    order = np.arange(len(ways), 0, -1) if priorities is None else np.array(priorities)
    return np.asarray(rules[rule](order.astype(np.float32), positions, targets))


def assert_moves(before: str, ways: Sequence[int | None], after: str, priorities: list[float] | None = None) -> None:
    np.testing.assert_array_equal(play(before, ways, priorities), draw_agents(after))


def assert_moves_in_turn(before: str, ways: Sequence[int | None], after: str, turns: str) -> None:
    """`turns` lists the agents in the order in which they move."""
    priorities = [1 - turns.index(str(agent)) / 10 for agent in range(len(ways))]
    np.testing.assert_array_equal(play(before, ways, priorities, "sequential"), draw_agents(after))


def test_agent_moves_to_a_free_cell() -> None:
    assert_moves("@@@@@ @.0.@ @...@ @@@@@", [SOUTH], "@@@@@ @...@ @.0.@ @@@@@")


def test_wall_keeps_an_agent_where_it_is() -> None:
    assert_moves("@@@@@ @.0@@ @...@ @@@@@", [EAST], "@@@@@ @.0@@ @...@ @@@@@")


@pytest.mark.parametrize("way", [NORTH, EAST, SOUTH, WEST])
def test_edge_of_a_board_without_walls_keeps_an_agent_where_it_is(way: int) -> None:
    corner = {NORTH: "..0. .... ....", EAST: ".... ...0 ....", SOUTH: ".... .... .0..", WEST: ".... 0... ...."}[way]
    assert_moves(corner, [way], corner)


def test_stayer_keeps_its_cell_whatever_the_priorities() -> None:
    for priorities in ([0.1, 0.9], [0.9, 0.1]):
        assert_moves("@@@@@ @01.@ @@@@@", [EAST, STAY], "@@@@@ @01.@ @@@@@", priorities)


def test_swap_is_refused() -> None:
    for priorities in ([0.1, 0.9], [0.9, 0.1]):
        assert_moves("..... .01..", [EAST, WEST], "..... .01..", priorities)


def test_follower_moves_when_leader_moves() -> None:
    assert_moves(".... 10.. ....", [EAST, EAST], ".... .10. ....")


def test_follower_stays_when_leader_is_blocked() -> None:
    assert_moves("..... .10@. .....", [EAST, EAST], "..... .10@. .....")


def test_follower_may_enter_the_cell_that_a_turning_corner_leaves() -> None:
    assert_moves(".... .10. ....", [SOUTH, EAST], ".... ..1. ..0.")


def test_contender_with_the_highest_priority_wins() -> None:
    board = "..0.. .1.2. ....."
    ways = [SOUTH, EAST, WEST]
    assert_moves(board, ways, "..... .102. .....", [0.9, 0.5, 0.1])
    assert_moves(board, ways, "..0.. ..12. .....", [0.1, 0.5, 0.2])
    assert_moves(board, ways, "..0.. .12.. .....", [0.1, 0.5, 0.7])


def test_of_equal_priorities_the_lower_index_wins() -> None:
    assert_moves("..... .1.0. .....", [WEST, EAST], "..... .10.. .....", [0.5, 0.5])


def test_winner_of_a_cell_takes_it_only_when_it_is_left() -> None:
    # 1 and 2 want the cell of 0; it leaves, so the stronger enters and the weaker stays
    assert_moves(".2... 10... .....", [EAST, EAST, SOUTH], ".2... .10.. .....", [0.5, 0.9, 0.1])
    # it does not leave, so both stay
    assert_moves(".2... 10@.. .....", [EAST, EAST, SOUTH], ".2... 10@.. .....", [0.5, 0.9, 0.1])


def test_refused_swap_blocks_those_behind_both() -> None:
    assert_moves("...... .2013. ......", [EAST, WEST, EAST, WEST], "...... .2013. ......")


def test_stronger_third_agent_does_not_turn_a_swap_into_a_move() -> None:
    for priorities in ([0.2, 0.5, 0.9], [0.9, 0.5, 0.2], [0.5, 0.9, 0.2]):
        assert_moves("..2.. ..01. .....", [EAST, WEST, SOUTH], "..2.. ..01. .....", priorities)


def test_ring_of_four_rotates() -> None:
    assert_moves(".... .01. .32. ....", [EAST, SOUTH, WEST, NORTH], ".... .30. .21. ....")


def test_three_cycle_rotates() -> None:
    positions = jnp.array([[1, 1], [1, 2], [2, 1]])
    targets = positions[jnp.array([1, 2, 0])]
    np.testing.assert_array_equal(resolve(jnp.array([0.3, 0.2, 0.1]), positions, targets), targets)


def test_stronger_intruder_stops_a_ring_and_a_weaker_one_does_not() -> None:
    ring = [EAST, SOUTH, WEST, NORTH, EAST]
    assert_moves("..... 401.. .32.. .....", ring, "..... 430.. .21.. .....", [0.1, 0.1, 0.1, 0.9, 0.5])
    assert_moves("..... 401.. .32.. .....", ring, "..... 401.. .32.. .....", [0.9, 0.9, 0.9, 0.1, 0.5])


def test_long_train_moves_as_one_and_stops_as_one() -> None:
    train = "@@@@@@@@@@@@ @9876543210@ @..........@ @@@@@@@@@@@@"
    np.testing.assert_array_equal(play(train, [EAST] * 10), draw_agents(train))
    corner = [SOUTH] + [EAST] * 9
    moved = "@@@@@@@@@@@@ @.987654321@ @.........0@ @@@@@@@@@@@@"
    assert_moves(train, corner, moved)


def test_in_turn_a_train_moves_as_far_as_leaders_go_before_their_followers() -> None:
    ways = [EAST] * 3
    assert_moves_in_turn("..... 210.. .....", ways, "..... .210. .....", "012")
    assert_moves_in_turn("..... 210.. .....", ways, "..... 2.10. .....", "201")
    assert_moves_in_turn("..... 210.. .....", ways, "..... 21.0. .....", "210")
    assert_moves_in_turn("..... 210.. .....", ways, "..... 21.0. .....", "120")


def test_in_turn_the_first_contender_after_the_agent_on_the_cell_gets_it() -> None:
    ways = [EAST, EAST, SOUTH]  # 1 and 2 want the cell of 0
    assert_moves_in_turn("..2.. .10.. .....", ways, "..2.. ..10. .....", "012")
    assert_moves_in_turn("..2.. .10.. .....", ways, "..... .120. .....", "021")
    assert_moves_in_turn("..2.. .10.. .....", ways, "..... .120. .....", "102")
    assert_moves_in_turn("..2.. .10.. .....", ways, "..2.. .1.0. .....", "120")
    assert_moves_in_turn("..2.. .10@. .....", ways, "..2.. .10@. .....", "012")


@pytest.mark.parametrize("turns", ["0123", "3210", "2031", "1302"])
def test_in_turn_swaps_and_rings_stay(turns: str) -> None:
    assert_moves_in_turn(".... .01. .32. ....", [EAST, SOUTH, WEST, NORTH], ".... .01. .32. ....", turns)
    assert_moves_in_turn(".... .01. .32. ....", [EAST, WEST, WEST, EAST], ".... .01. .32. ....", turns)


def test_absent_agents_neither_block_nor_move() -> None:
    positions = jnp.array([[1, 1], [1, 2], [0, 2]])
    targets = jnp.array([[1, 2], [1, 1], [1, 2]])
    present = jnp.array([True, False, False])
    for rule in rules.values():
        moved = rule(jnp.array([0.1, 0.9, 0.8]), positions, targets, present)
        np.testing.assert_array_equal(moved, [[1, 2], [1, 2], [0, 2]])


def test_one_agent_alone_moves() -> None:
    for rule in rules.values():
        np.testing.assert_array_equal(rule(jnp.zeros(1), jnp.array([[0, 0]]), jnp.array([[0, 1]])), [[0, 1]])


@pytest.mark.parametrize("num_agents", [2, 5, 9, 16])
@pytest.mark.parametrize("rule", RULES)
def test_crowds_move_as_in_the_slow_rule(rule: str, num_agents: int) -> None:
    rng = np.random.default_rng(num_agents)
    walls = draw_walls(".... .@.. .... ..@. ....")
    free = np.argwhere(~walls)
    cases = 400
    positions = np.stack([rng.permutation(free)[:num_agents] for _ in range(cases)]).astype(np.int32)
    headings, actions = rng.integers(0, 4, (2, cases, num_agents)).astype(np.int32)
    actions[rng.random(actions.shape) < 0.15] = STAND
    priorities = (rng.integers(0, 5, (cases, num_agents)) / 5).astype(np.float32)
    present = rng.random((cases, num_agents)) < 0.9
    targets = np.asarray(jax.vmap(propose, (0, 0, 0, None))(positions, headings, actions, walls))
    moved = np.asarray(jax.jit(jax.vmap(RULES[rule]))(priorities, positions, targets, present))
    for case in range(cases):
        expected_targets = [
            slow.target_cell(int(a), p, int(h), walls)
            for a, p, h in zip(actions[case], positions[case], headings[case], strict=True)
        ]
        np.testing.assert_array_equal(targets[case], expected_targets)
        expected = SLOW_RULES[rule](priorities[case], positions[case], targets[case], present[case])
        np.testing.assert_array_equal(moved[case], expected, err_msg=f"case {case}")
        assert len({tuple(cell) for cell in moved[case][present[case]]}) == present[case].sum()


def test_who_has_the_higher_priority_goes_first_and_of_equals_the_lower_index() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        priorities = (rng.integers(0, 4, n) / 4).astype(np.float32)
        line = sorted(range(n), key=lambda i: (-priorities[i], i))
        expected = [[line.index(j) < line.index(i) for j in range(n)] for i in range(n)]
        assert goes_first(jnp.asarray(priorities)).tolist() == expected


@pytest.mark.parametrize("rule", RULES)
def test_uniform_priorities_make_the_winner_fair(rule: str) -> None:
    positions = jnp.asarray(draw_agents("..0.. .1.2. ....."))
    targets = jnp.full((3, 2), jnp.array([1, 2]))
    priorities = jax.random.uniform(jax.random.key(0), (3000, 3))
    moved = jax.jit(jax.vmap(RULES[rule], (0, None, None)))(priorities, positions, targets)
    wins = np.asarray((moved == targets).all(-1))
    assert (wins.sum(1) == 1).all()
    assert np.abs(wins.mean(0) - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 3000)


def test_moves_are_relative_to_the_heading() -> None:
    center = jnp.array([[2, 2]])
    walls = np.zeros((4, 5), bool)
    ends = {
        NORTH: [[1, 2], [3, 2], [2, 1], [2, 3]],
        EAST: [[2, 3], [2, 1], [1, 2], [3, 2]],
        SOUTH: [[3, 2], [1, 2], [2, 3], [2, 1]],
        WEST: [[2, 1], [2, 3], [3, 2], [1, 2]],
    }
    for heading, cells in ends.items():
        for action, cell in enumerate(cells):
            target = propose(center, jnp.array([heading]), jnp.array([action]), walls)
            assert target.tolist() == [cell], (heading, action)
            assert is_move(jnp.array(action))


@pytest.mark.parametrize("action", [4, 5, 6, 7, 8, -1, -8, 1000])
def test_only_the_first_four_actions_move(action: int) -> None:
    center = jnp.array([[1, 1]])
    assert not is_move(jnp.array(action))
    for heading in range(4):
        assert propose(center, jnp.array([heading]), jnp.array([action]), np.zeros((3, 4), bool)).tolist() == [[1, 1]]


def test_turns_go_round_the_compass_and_other_actions_keep_the_heading() -> None:
    headings = jnp.arange(4, dtype=jnp.int32)
    assert turn(headings, jnp.full(4, TURN_RIGHT)).tolist() == [1, 2, 3, 0]
    assert turn(headings, jnp.full(4, TURN_LEFT)).tolist() == [3, 0, 1, 2]
    for action in (0, 1, 2, 3, 6, 7, 8, -1, -4, 99):
        assert turn(headings, jnp.full(4, action)).tolist() == [0, 1, 2, 3]
    assert turn(headings, jnp.full(4, TURN_LEFT, jnp.int32)).dtype == jnp.int32
