from pathlib import Path

import numpy as np
import pytest

from jaxdilemmas.grid.maps import cells_of, index_of_cells, parse_map, read_board, read_board_file

SYMBOLS = {"@": "wall", ".": "floor", " ": "floor", "A": "apple"}


def test_each_symbol_becomes_a_layer_of_the_drawing() -> None:
    layers = parse_map("@@@@\n@A.@\n", SYMBOLS)
    assert set(layers) == {"wall", "floor", "apple"}
    np.testing.assert_array_equal(layers["wall"], [[1, 1, 1, 1], [1, 0, 0, 1]])
    np.testing.assert_array_equal(layers["apple"], [[0, 0, 0, 0], [0, 1, 0, 0]])
    np.testing.assert_array_equal(layers["floor"], [[0, 0, 0, 0], [0, 0, 1, 0]])
    assert all(layer.dtype == bool for layer in layers.values())


def test_empty_lines_around_a_drawing_are_dropped_and_those_within_are_not() -> None:
    assert parse_map("\n\n@.@\n...\n\n", SYMBOLS)["wall"].shape == (2, 3)
    with pytest.raises(ValueError, match="map row 1 has 0 columns"):
        parse_map("@.@\n\n...", SYMBOLS)


def test_blanks_at_the_edge_of_a_drawing_count_as_cells() -> None:
    assert parse_map("  @\n@  ", SYMBOLS)["floor"].tolist() == [[True, True, False], [False, True, True]]


def test_unknown_symbol_is_named_with_row_and_column() -> None:
    with pytest.raises(ValueError, match="unknown map symbol 's' at row 1, col 2: allowed are '@'"):
        parse_map("@@@@\n@.s@", SYMBOLS)


def test_ragged_map_is_refused_and_its_row_is_named() -> None:
    with pytest.raises(ValueError, match="map row 1 has 3 columns: every row needs 4"):
        parse_map("@@@@\n@.@\n@@@@", SYMBOLS)


def test_a_layer_that_is_needed_and_missing_is_named_with_its_symbols() -> None:
    assert parse_map("@.\n.A", SYMBOLS, needed=("floor", "apple"))["apple"].any()
    with pytest.raises(ValueError, match=r"has no floor cell, which is drawn as '\.' or ' '"):
        parse_map("@@\n@A", SYMBOLS, needed=("apple", "floor"))


def test_a_board_that_is_too_large_is_refused() -> None:
    assert parse_map("\n".join(["." * 100] * 100), SYMBOLS)["floor"].all()
    for text in ("." * 101, "\n".join(["."] * 101)):
        with pytest.raises(ValueError, match="at most 100 rows and columns, this one has"):
            parse_map(text, SYMBOLS)


def test_cells_come_in_row_major_order_and_keep_their_shape_when_there_are_none() -> None:
    cells = cells_of(np.array([[0, 1, 1], [1, 0, 0]], bool))
    assert cells.dtype == np.int32
    assert cells.tolist() == [[0, 1], [0, 2], [1, 0]]
    assert cells_of(np.zeros((2, 3), bool)).shape == (0, 2)


def test_index_of_cells_is_the_inverse_of_cells_of() -> None:
    cells = np.array([[1, 0], [0, 2]], np.int32)
    index = index_of_cells(cells, (2, 3))
    assert index.tolist() == [[2, 2, 1], [0, 2, 2]]


def test_an_error_names_the_file_of_a_board_that_was_read_before(tmp_path: Path) -> None:
    (tmp_path / "board.txt").write_text("@@@\n@?@\n")
    text = read_board_file(tmp_path / "board.txt")
    assert text == "@@@\n@?@\n"
    for board in (text, tmp_path / "board.txt"):
        with pytest.raises(ValueError, match=r"board\.txt': unknown map symbol '\?' at row 1, col 1"):
            read_board(board, {}, lambda text: parse_map(text, SYMBOLS))
