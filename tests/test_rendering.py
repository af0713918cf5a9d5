"""A drawn board shows every tile at its place in the state, as text, in colour and as a GIF."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxdilemmas
from jaxdilemmas import rendering
from jaxdilemmas.environment import Environment


@pytest.fixture(scope="module")
def env() -> Any:
    return jaxdilemmas.make("gathering")


@pytest.fixture(scope="module")
def state(env: Environment) -> Any:
    _, state = jax.jit(env.reset)(jax.random.key(0))
    return state.replace(
        positions=jnp.array([[1, 2], [3, 5]]),
        headings=jnp.array([1, 3]),
        apples=jnp.zeros_like(state.apples).at[0].set(True),
    )


def test_text_has_a_line_a_row_and_a_character_a_cell(env: Any, state: Any) -> None:
    lines = rendering.render_text(env, state).split("\n")
    assert (len(lines), {len(line) for line in lines}) == (env.walls.shape[0], {env.walls.shape[1]})


def test_text_shows_walls_live_apples_and_agents_pointing_where_they_head(env: Any, state: Any) -> None:
    lines = rendering.render_text(env, state).split("\n")
    assert lines[0] == "#" * env.walls.shape[1]
    assert (lines[1][2], lines[3][5]) == (">", "<")
    row, col = env.apple_cells[0]
    assert lines[row][col] == "a"
    assert "".join(lines).count("a") == 1


def test_text_shows_the_beam_of_an_agent_that_fired(env: Any, state: Any) -> None:
    lines = rendering.render_text(env, state.replace(fired=jnp.array([True, False]))).split("\n")
    assert lines[1][:5] == "#.>**"


def test_a_tile_of_an_unknown_name_is_its_first_letter(env: Any, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "tiles", tuple(name if name != "wall" else "river" for name in env.tiles))
    assert rendering.render_text(env, state).startswith("rrr")


def test_rgb_is_the_palette_at_scale(env: Any, state: Any) -> None:
    pixels = rendering.render_rgb(env, state, scale=3)
    height, width = env.walls.shape
    assert pixels.shape == (height * 3, width * 3, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[:3, :3] == env.palette[env.tiles.index("wall")]).all()
    assert (pixels[3:6, 6:9] == env.palette[env.tiles.index("other_facing_right")]).all()


def test_leading_axes_of_a_state_are_kept(env: Any, state: Any) -> None:
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    assert (rendering.render_rgb(env, states, scale=1)[1] == rendering.render_rgb(env, state, scale=1)).all()


def test_wrapped_games_and_wrapped_states_are_drawn_as_the_game_within(env: Any, state: Any) -> None:
    statistics = jaxdilemmas.EpisodeStatistics(env)
    wrapped = jaxdilemmas.TransformRewards(statistics, jaxdilemmas.preferences.common())
    wrapped_state = wrapped.initial_state(jax.random.key(0), env.default_params)
    wrapped_state = wrapped_state.replace(env_state=wrapped_state.env_state.replace(env_state=state))
    text = rendering.render_text(env, state)
    for game in (env, wrapped):
        assert rendering.render_text(game, wrapped_state) == text
        assert rendering.render_text(game, state) == text
    assert (rendering.render_rgb(wrapped, wrapped_state) == rendering.render_rgb(env, state)).all()


def test_what_is_no_state_of_the_game_is_refused_by_name(env: Any, state: Any) -> None:
    other = jax.eval_shape(jaxdilemmas.make("commons").reset, jax.random.key(0))[1]
    observation = np.zeros((2, 16, 21), np.uint8)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    for draw in (rendering.render_text, rendering.render_rgb, rendering.draw_tiles):
        with pytest.raises(
            ValueError, match=r"state=jaxdilemmas\.envs\.commons\.State is not allowed: .*envs\.gathering\.State"
        ):
            draw(env, other)
        with pytest.raises(ValueError, match=r"state=array of shape \(2, 16, 21\) and dtype uint8 is not allowed"):
            draw(env, observation)
    with pytest.raises(ValueError, match=r"state\.positions of shape=\(2, 2, 2\) is not allowed: \(2, 2\)"):
        rendering.render_text(env, batch)


BOARDLESS = {"common_pool", "common_pool_network", "gems", "intersection", "overcooked"}


@pytest.mark.parametrize("env_id", sorted(set(jaxdilemmas.registered_envs()) - BOARDLESS))
def test_every_registered_grid_game_is_drawn(env_id: str) -> None:
    env: Any = jaxdilemmas.make(env_id)
    text = rendering.render_text(env, jax.jit(env.reset)(jax.random.key(0))[1])
    assert sum(text.count(symbol) for symbol in "^>v<") == env.num_agents


def test_a_gif_holds_every_frame(env: Any, state: Any, tmp_path: Path) -> None:
    other = rendering.render_rgb(env, state.replace(positions=jnp.array([[1, 3], [3, 5]])))
    frames = [rendering.render_rgb(env, state), other]
    rendering.save_gif(frames, tmp_path / "episode.gif", frames_per_second=20)
    with Image.open(tmp_path / "episode.gif") as image:
        assert (image.n_frames, image.info["duration"], image.size) == (2, 50, frames[0].shape[1::-1])  # type: ignore[attr-defined]
        assert (np.asarray(image.convert("RGB")) == frames[0]).all()


def test_bad_arguments_are_named(env: Any, state: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scale=0 is not allowed"):
        rendering.render_rgb(env, state, scale=0)
    with pytest.raises(ValueError, match=r"env=.* is not allowed: an Environment"):
        rendering.render_text(object(), state)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"env=.*CommonPool.* is not allowed: a grid game"):
        rendering.render_text(jaxdilemmas.make("common_pool"), state)
    with pytest.raises(ValueError, match=r"frames=.*at least one frame"):
        rendering.save_gif([], tmp_path / "none.gif")
    with pytest.raises(ValueError, match="frames_per_second=0"):
        rendering.save_gif([np.zeros((2, 2, 3), np.uint8)], tmp_path / "none.gif", frames_per_second=0)
