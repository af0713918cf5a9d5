"""The picture of a run shows returns and social metrics, or other curves if no episode ended."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.axes import Axes

from baselines.runs.curves import curves_of_seeds, draw_learning_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def columns(**more: np.ndarray) -> dict[str, np.ndarray]:
    """Two updates of two seeds, in the first of which no episode ended."""
    update = np.array([1.0, 1.0, 2.0, 2.0])
    counts = {"seed": np.array([0.0, 1.0, 0.0, 1.0]), "update": update, "env_steps": 1000 * update}
    return counts | {"wall_seconds": update} | more


def titles(figure: "Figure") -> list[str]:
    return [axes.get_title() or axes.get_ylabel() for axes in figure.axes]


SOME = np.array([np.nan, np.nan, 4.0, 6.0])
NONE = np.full(4, np.nan)
LOSS = np.array([4.0, 3.0, 2.0, 1.0])


def points(panel: Axes) -> list[list[float]]:
    """The (x, y) of the last line, which is the bold one."""
    found: list[list[float]] = np.asarray(panel.lines[-1].get_xydata()).tolist()
    return found


def test_returns_are_drawn_with_a_panel_for_each_metric_that_has_a_value() -> None:
    found = columns(return_collective=SOME, return_0=SOME, efficiency=SOME, equality=NONE, tagged_steps_0=SOME)
    figure = draw_learning_curve(found | {"tagged_steps_1": SOME + 2}, "a run")
    assert titles(figure) == ["a run", "efficiency", "tagged steps"]
    main, _, tagged = figure.axes
    assert (main.get_ylabel(), main.get_xlabel()) == ("collective return", "env steps")
    assert points(main) == [[2000, 5]]
    assert main.lines[-1].get_marker() == "."
    assert points(tagged) == [[2000, 6]]


def test_where_no_episode_ended_the_picture_says_so_and_shows_the_losses() -> None:
    found = columns(return_collective=NONE, return_0=NONE, efficiency=NONE, policy_loss=LOSS, entropy=LOSS)
    figure = draw_learning_curve(found, "a run")
    assert titles(figure) == ["a run: no episode ended", "entropy"]
    assert figure.axes[0].get_ylabel() == "policy loss"
    assert points(figure.axes[0]) == [[1000, 3.5], [2000, 1.5]]
    assert figure.axes[0].get_xlim()[1] >= 2000


def test_a_run_that_plays_nothing_is_drawn_over_updates() -> None:
    found = columns(return_collective=NONE, cross_entropy_0=LOSS, cross_entropy_1=LOSS + 2, env_steps=np.zeros(4))
    figure = draw_learning_curve(found, "a run")
    assert titles(figure) == ["a run"]
    assert (figure.axes[0].get_ylabel(), figure.axes[0].get_xlabel()) == ("cross entropy", "update")
    assert points(figure.axes[0]) == [[1, 4.5], [2, 2.5]]


@pytest.mark.parametrize("values", [{}, {"return_collective": NONE}])
def test_a_run_without_any_value_has_a_picture(values: dict[str, np.ndarray]) -> None:
    assert titles(draw_learning_curve(columns(**values), "a run")) == ["a run: no episode ended"]


def test_a_curve_of_a_seed_has_a_point_where_episodes_ended_and_means_of_the_updates_before_it() -> None:
    nan = np.nan
    found = {
        "seed": np.array([3.0, 4.0] * 5),
        "update": np.repeat(np.arange(1.0, 6.0), 2),
        "env_steps": 10 * np.repeat(np.arange(1.0, 6.0), 2),
        "return_collective": np.array([nan, 7.0, 1.0, 8.0, nan, nan, 2.0, 9.0, nan, nan]),
        "collected_0": np.repeat([0.0, 1.0, 2.0, 3.0, 99.0], 2),
        "collected_1": np.full(10, 5.0),
        "tagged_steps_0": np.array([nan, 2.0] * 5),
        "tagged_steps_1": np.array([nan, 4.0] * 5),
    }
    first, second = curves_of_seeds(found)
    np.testing.assert_array_equal(first["env_steps"], [20, 40])
    np.testing.assert_array_equal(first["return_collective"], [1, 2])
    np.testing.assert_array_equal(first["collected"], [5.5, 7.5])  # a sum over agents: apples per step
    np.testing.assert_array_equal(first["tagged_steps"], [nan, nan])
    np.testing.assert_array_equal(second["env_steps"], [10, 20, 40])
    np.testing.assert_array_equal(second["collected"], [5, 6, 7.5])
    np.testing.assert_array_equal(second["tagged_steps"], [3, 3, 3])  # a mean over agents


def test_a_curve_without_episodes_has_a_point_for_each_update() -> None:
    first, second = curves_of_seeds(columns(return_collective=NONE, cross_entropy_0=LOSS))
    np.testing.assert_array_equal(first["update"], [1, 2])
    np.testing.assert_array_equal(second["cross_entropy"], [3, 1])
