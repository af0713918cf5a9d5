"""What the games of Gallego 2026 (arXiv:2603.19453) share: acting one by one, and staying on the board while tagged.

Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b; docs/gallego.md has the rules.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid import beams, movement, spawning
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.grid_environment import TILES, GridEnvironment


class GallegoEnvironment(GridEnvironment):
    """A grid game in which agents act in the order of their index, walk through each other and fire through walls.

    Attributes:
      open_cells: `[., 2]` int32, cells on which nothing grows or flows, where agents start that exceed the spawn cells.
    """

    outside = "wall"
    tiles: tuple[str, ...] = (*TILES, "tagged")

    def __init__(self, layers: dict[str, np.ndarray], num_agents: int, observation: str) -> None:
        super().__init__(layers, num_agents, observation)
        self.open_cells = cells_of(layers["floor"] | layers["spawn"])

    def random_start(self, key: jax.Array) -> dict[str, jax.Array]:
        """Agents on distinct random spawn cells, those in surplus on any open cells; random headings."""
        key_spawn, key_surplus, key_headings = jax.random.split(key, 3)
        num_spawning = min(self.num_agents, len(self.spawn_cells))
        spawns = spawning.sample_distinct(key_spawn, len(self.spawn_cells), num_spawning)
        num_surplus = self.num_agents - num_spawning
        surplus = jax.random.randint(key_surplus, (num_surplus,), 0, len(self.open_cells), jnp.int32)
        positions = jnp.concatenate([jnp.asarray(self.spawn_cells)[spawns], jnp.asarray(self.open_cells)[surplus]])
        return self.start(positions, self.random_headings(key_headings))

    def act_in_order(self, state: Any, actions: jax.Array, params: Any) -> tuple[Any, jax.Array, jax.Array]:
        """Agents act by index, each on what those before it have done.

        Returns:
          The state, what each agent did, `[N]` int32 (`STAND` for who was out when its turn came), and who hit whom,
          `[N, N]` bool.
        """
        state = state.replace(timeouts=jnp.maximum(state.timeouts - 1, 0), step_count=state.step_count + 1)

        def act(state: Any, agent: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            action = jnp.where(state.timeouts[agent] == 0, actions[agent], movement.STAND)
            position, heading = state.positions[agent], state.headings[agent]
            state = state.replace(
                positions=state.positions.at[agent].set(
                    movement.propose_moves(position, heading, action, jnp.asarray(self.walls))
                ),
                headings=state.headings.at[agent].set(movement.turn(heading, action)),
            )
            state, is_hit = self.fire_beam(state, agent, action == movement.BEAM, params)
            return state, (action, is_hit)

        state, (done, given) = jax.lax.scan(act, state, jnp.arange(self.num_agents, dtype=jnp.int32))
        return state.replace(fired=done == movement.BEAM), done, given

    def fire_beam(self, state: Any, agent: jax.Array, is_firing: jax.Array, params: Any) -> tuple[Any, jax.Array]:
        """The beam of one agent, if it fires, hits everyone in it who is not tagged: the state and whom, `[N]` bool."""
        reach = jnp.where(is_firing, jnp.asarray(self.beam_reach)[0, 0], 0)
        shooter, heading = state.positions[agent][None], state.headings[agent][None]
        is_hit = beams.find_hits(shooter, heading, reach[None], state.positions, state.timeouts == 0).given[0]
        hits, is_tagged = beams.count_hits(state.hits, is_hit.astype(jnp.int32), params.hits_to_tag)
        timeouts = jnp.where(is_tagged, params.timeout_steps, state.timeouts).astype(jnp.int32)
        return state.replace(hits=hits, timeouts=timeouts), is_hit

    def can_see(self, state: Any) -> jax.Array:
        """Tagged agents see as ever."""
        return jnp.ones_like(state.timeouts, bool)

    def is_drawn(self, state: Any) -> jax.Array:
        """Tagged agents are to be seen."""
        return jnp.ones_like(state.timeouts, bool)

    def agent_tiles(self, state: Any, headings: jax.Array, is_self: jax.Array) -> jax.Array:
        """Other agents that are tagged look alike; an agent sees itself as ever."""
        tiles = super().agent_tiles(state, headings, is_self)
        return jnp.where((state.timeouts[None, :] > 0) & ~is_self, self.tile_id("tagged"), tiles)
