"""Boards, moments and single steps for tests of games with a river."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.cleanup import Cleanup
from jaxdilemmas.envs.cleanup_meltingpot import CleanupMeltingPot
from jaxdilemmas.grid.environment import GridEnvironment
from jaxdilemmas.grid.views import Window
from tests.reference.cleanup import Cleanup as SlowCleanup
from tests.reference.cleanup import CleanupMeltingPot as SlowMeltingPot
from tests.reference.rollouts import act, as_draws, start

STAND = 7
YARD = """
@@@@@@@@@@@
@PHH@.BB.P.
@HFFHSBBBP.
@H@FHS.B@P@
@HFHHSBBBPP
@@.HFSB.P..
"""
YARD_SYMBOLS = {"@": "wall", ".": "floor", "P": "spawn", "H": "river", "F": "waste", "S": "stream", "B": "apple"}


CleanupGame = Cleanup | CleanupMeltingPot


class Yard(Cleanup):
    """A narrow board with open edges on two sides, and a window that looks far back."""

    window = Window(ahead=4, behind=2, side=3)
    boards = ({"default": YARD}, YARD_SYMBOLS)


class MeltingPotYard(CleanupMeltingPot):
    """The same board under the other rules."""

    window = Yard.window
    boards = Yard.boards


def scatter(env: GridEnvironment, seed: int, step_count: int = 0) -> Any:
    """A moment with agents anywhere, some apples and, in games with a river, little, some or much waste."""
    rng = np.random.default_rng(seed)
    cells = np.argwhere(~env.walls)
    chosen = rng.permutation(len(cells))[: env.num_agents]
    things = {"apples": jnp.asarray(rng.random(len(env.apple_cells)) < 0.4)}
    river_cells = getattr(env, "river_cells", ())
    if len(river_cells):
        things["waste"] = jnp.asarray(rng.random(len(river_cells)) < (0.1, 0.35, 0.6)[seed % 3])
    positions = jnp.asarray(cells[chosen], jnp.int32)
    return start(env, seed).replace(positions=positions, step_count=jnp.array(step_count, jnp.int32), **things)


def slow_cleanup(env: CleanupGame, state: Any, **rules: Any) -> SlowCleanup:
    """The slow game on the board of a fast one, at a moment of it at which everyone is on the board and ready."""
    kind = SlowMeltingPot if isinstance(env, CleanupMeltingPot) else SlowCleanup
    stream_cells = np.argwhere(env.painter.codes == env.tile_id("stream"))
    waste = np.asarray(state.waste).tolist()
    return kind.like(env, state, river_cells=env.river_cells, stream_cells=stream_cells, waste=waste, **rules)


def play(env: CleanupGame, state: Any, *actions: int, **draws: Any) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """One step without new apples or waste but for the draws given; agent 0 goes first, who has no action stands."""
    n = env.num_agents
    quiet: dict[str, Any] = {
        "priorities": np.arange(n, 0, -1) / (n + 1),
        "waste_gate": 0.9,
        "waste_choice": 0.0,
        "apple_growth": np.full(len(env.apple_cells), 0.9),
    }
    if isinstance(env, CleanupMeltingPot):
        quiet |= {"respawns": np.zeros(n), "respawn_headings": np.zeros(n), "episode_end": 0.9}
    return act(env, state, [*actions, *[STAND] * (n - len(actions))], as_draws(env, quiet | draws))


def waste_on(env: CleanupGame, *cells: tuple[int, int]) -> np.ndarray:
    """Waste on these cells of the river only."""
    waste = np.array([tuple(cell) in cells for cell in env.river_cells.tolist()])
    assert waste.sum() == len(cells)
    return waste


def waste_of(env: CleanupGame, count: int) -> np.ndarray:
    """Waste on the first cells of the river."""
    return np.arange(len(env.river_cells)) < count


def apples_on(env: GridEnvironment, *cells: tuple[int, int]) -> np.ndarray:
    """Apples on these cells only."""
    return np.array([tuple(cell) in cells for cell in env.apple_cells.tolist()])
