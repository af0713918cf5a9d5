"""300 randomly altered files: no code runs, every error names the file, and wrong values are never read silently."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from baselines.demonstrations import Demonstrations, load
from baselines.demonstrations.records import to_arrays
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.mutations import mutate
from tests.baselines.demonstrations.test_strangers import assert_nothing_ran, marker

pytestmark = pytest.mark.usefixtures("quick_compiling")
__all__ = ["marker"]

NUM_FILES = 300


def assert_first_episodes(found: Demonstrations, recorded: Demonstrations) -> None:
    """They are what was recorded, or its first episodes, whole."""
    is_kept = recorded.episodes <= found.episodes[-1]
    expected, arrays = to_arrays(recorded), to_arrays(found)
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name][is_kept], strict=True)


@pytest.mark.parametrize("start", range(0, NUM_FILES, 50))
def test_altered_files_are_refused_by_name_or_hold_what_was_recorded(
    path: Path, recorded: Demonstrations, env: Environment, marker: Path, start: int
) -> None:
    whole, outcomes = path.read_bytes(), Counter[str]()
    for number in range(start, start + 50):
        path.write_bytes(whole)
        how = f"file {number}, {mutate(path, np.random.default_rng(number))}"
        is_altered = path.read_bytes() != whole
        for game in (None, env):
            for is_partial_allowed in (False, True):
                with warnings.catch_warnings(record=True) as notes:
                    warnings.simplefilter("always")
                    try:
                        found = load(path, game, is_partial_allowed=is_partial_allowed)
                    except ValueError as error:
                        message = str(error)
                        assert "a.demos" in message and message.isprintable() and len(message) < 1000, how
                        outcomes["refused"] += 1
                        continue
                assert is_partial_allowed or not is_altered or notes, f"{how} is read in silence"
                assert_first_episodes(found, recorded)
                assert found.header.origin == recorded.header.origin, how
                outcomes["read"] += 1
    assert_nothing_ran(marker)
    assert outcomes["refused"] > 100 and outcomes["read"] > 5
