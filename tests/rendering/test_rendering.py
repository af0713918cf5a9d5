"""What pictures show: every game as text, SVG and RGB from one description, and pictures as a GIF."""

import itertools
import re
import xml.etree.ElementTree as ET
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
from jaxdilemmas.rendering.glyphs import AGENT_COLOURS, agent_colour, ink_on
from jaxdilemmas.rendering.picture import HIDDEN, picture_of, show_states
from tests.rendering.colour_difference import DEUTERANOPIA, ciede2000, lab


@pytest.fixture(scope="module")
def env() -> Any:
    return jaxdilemmas.make("gathering")


@pytest.fixture(scope="module")
def state(env: Environment) -> Any:
    _, state = env.reset(jax.random.key(0))
    return state.replace(
        positions=jnp.array([[1, 2], [3, 5]]),
        headings=jnp.array([1, 3]),
        apples=jnp.zeros_like(state.apples).at[0].set(True),
    )


def signs(env: Any, state: Any, name: str) -> list[tuple[float, float, float, int]]:
    """Where a sign stands in the picture of a state: x, y, turn and agent."""
    picture, marks = picture_of(env), show_states(env, state).marks
    those = np.flatnonzero(marks.glyph == list(picture.glyphs).index(name))
    return [(float(marks.x[k]), float(marks.y[k]), float(marks.turn[k]), int(marks.agent[k])) for k in those]


def text_of(env: Any, state: Any) -> list[str]:
    return rendering.render_text(env, state).split("\n")


def test_text_has_a_line_a_row_and_two_characters_a_cell(env: Any, state: Any) -> None:
    height, width = env.walls.shape
    lines = text_of(env, state)
    assert {len(line) for line in lines[:height]} == {2 * width}
    assert lines[height] == "step 0"


def test_text_shows_walls_live_apples_and_numbered_agents_that_point_where_they_face(env: Any, state: Any) -> None:
    lines = text_of(env, state)
    assert lines[0] == "##" * env.walls.shape[1]
    assert (lines[1][4:6], lines[3][10:12]) == ("0>", "1<")
    row, col = env.apple_cells[0]
    assert lines[row][2 * col : 2 * col + 2] == " a"
    assert "".join(lines[: env.walls.shape[0]]).count("a") == 1


def test_text_shows_the_beam_of_an_agent_that_fired(env: Any, state: Any) -> None:
    lines = text_of(env, state.replace(fired=jnp.array([True, False])))
    assert lines[1][:10] == "## .0>****"


def test_a_tile_without_a_sign_is_a_square_in_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    env: Any = jaxdilemmas.make("gathering")
    monkeypatch.setattr(env, "tiles", tuple(name if name != "wall" else "hedge" for name in env.tiles))
    monkeypatch.setattr(env, "colours", {**env.colours, "hedge": (1, 2, 3)})
    state = env.reset(jax.random.key(0))[1]
    assert rendering.render_text(env, state).startswith("hhhh")
    assert (rendering.render_rgb(env, state)[:5, :5] == (1, 2, 3)).all()


def test_agents_stand_where_they_are_and_face_their_heading(env: Any, state: Any) -> None:
    assert signs(env, state, "agent") == [(2.5, 1.5, 90.0, 0), (5.5, 3.5, 270.0, 1)]
    assert len(signs(env, state, "apple")) == 1


def test_an_agent_that_is_out_is_a_ring_with_the_time_that_is_left(env: Any, state: Any) -> None:
    out = state.replace(timeouts=jnp.array([0, 10], jnp.int32))
    assert [agent for *_, agent in signs(env, out, "agent")] == [0]
    assert [agent for *_, agent in signs(env, out, "out")] == [1]
    assert len(signs(env, out, "timer")) == 1
    assert "1x agent 1  out" not in rendering.render_text(env, state)
    assert re.search(r"agent 1 +out", rendering.render_text(env, out))


def test_an_agent_that_was_hit_and_is_not_out_has_a_star(env: Any, state: Any) -> None:
    assert signs(env, state, "hit") == []
    assert len(signs(env, state.replace(hits=jnp.array([1, 0], jnp.int32)), "hit")) == 1


def test_an_agent_that_is_tagged_and_stays_is_frozen() -> None:
    env: Any = jaxdilemmas.make("gathering_gallego", map="small")
    state = env.reset(jax.random.key(0))[1]
    tagged = state.replace(timeouts=jnp.array([5, 0], jnp.int32))
    assert [agent for *_, agent in signs(env, tagged, "frozen")] == [0]
    assert [agent for *_, agent in signs(env, tagged, "agent")] == [0, 1]
    assert re.search(r"agent 0 +tagged", rendering.render_text(env, tagged))


def test_beams_end_where_the_rules_say(env: Any, state: Any) -> None:
    (beam,) = signs(env, state.replace(fired=jnp.array([False, True])), "beam")
    marks = show_states(env, state.replace(fired=jnp.array([False, True]))).marks
    length = marks.height[(marks.glyph == list(picture_of(env).glyphs).index("beam"))].item()
    assert (beam[0] - length / 2, beam[0] + length / 2, beam[1]) == (1.0, 5.0, 3.5)  # from the wall to the agent


def test_cooks_show_what_they_hold_and_pots_what_is_in_them() -> None:
    env: Any = jaxdilemmas.make("overcooked")
    state = env.reset(jax.random.key(0))[1]
    state = state.replace(held=jnp.array([1, 2], jnp.int32), onions=jnp.array([2], jnp.int32))
    assert (len(signs(env, state, "onion")), len(signs(env, state, "dish"))) == (3, 1)
    done = state.replace(onions=jnp.array([3], jnp.int32), ticks=jnp.array([20], jnp.int32))
    assert (len(signs(env, done, "onion")), len(signs(env, done, "soup"))) == (1, 1)
    assert "agent 1  holds dish" in rendering.render_text(env, state)


def test_the_area_of_a_pool_is_in_proportion_to_the_stock() -> None:
    env: Any = jaxdilemmas.make("common_pool")
    state = env.reset(jax.random.key(0))[1]
    picture = picture_of(env)

    def side(stock: float) -> float:
        marks = show_states(env, state.replace(stock=jnp.float32(stock))).marks
        return float(marks.width[marks.glyph == list(picture.glyphs).index("pool")][0])

    assert side(0.25) == pytest.approx(side(1.0) / 2)
    assert side(-0.1) == 0
    assert "stock 0.25 of 1" in rendering.render_text(env, state.replace(stock=jnp.float32(0.25)))


def test_cars_that_have_arrived_are_gone() -> None:
    env: Any = jaxdilemmas.make("intersection")
    state = env.reset(jax.random.key(0))[1]
    assert len(signs(env, state, "car")) == 4
    assert len(signs(env, state.replace(arrived=jnp.array([True, False, False, True])), "car")) == 2


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_registered_game_is_drawn_in_every_way(env_id: str) -> None:
    env: Any = jaxdilemmas.make(env_id)
    state = env.reset(jax.random.key(0))[1]
    tally = rendering.Tally(np.arange(env.num_agents) + 0.25, {"hits_given": np.ones(env.num_agents)})
    text, svg = rendering.render_text(env, state, tally), rendering.render_svg(env, state, 500, tally)
    pixels = rendering.render_rgb(env, state, 500, tally)
    assert pixels.dtype == np.uint8 and pixels.shape[1:] == (500, 3)
    image = ET.fromstring(svg)
    assert (image.get("width"), image.get("height")) == ("500", str(len(pixels)))
    words = [f"agent {i}  {i + 0.25:.4g}" for i in range(env.num_agents)]
    for word in [*words, "step 0", f"hits given {env.num_agents}", *picture_of(env).legend.values()]:
        assert word in svg
    assert all(word in text for word in words)
    for agent in range(env.num_agents):
        assert agent_colour(agent) in svg
        colour = [int(agent_colour(agent)[k : k + 2], 16) for k in (1, 3, 5)]
        assert (pixels == colour).all(-1).any(), agent


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_sign_of_a_game_is_in_its_legend_or_plain(env_id: str) -> None:
    plain = {"floor", "void", "wall", "agent", "walker", "car", "river", "stream", "apple_cell", "timer", "road"}
    plain |= {"lane_mark", "counter", "gauge"}
    picture = picture_of(jaxdilemmas.make(env_id))
    assert set(picture.glyphs) - set(picture.legend) <= plain
    assert set(picture.legend) <= set(picture.glyphs)


def test_agents_up_to_eight_have_colours_that_also_deuteranopes_tell_apart() -> None:
    for first, second in itertools.combinations(AGENT_COLOURS, 2):
        assert ciede2000(lab(first, DEUTERANOPIA), lab(second, DEUTERANOPIA)) >= 15
        assert ciede2000(lab(first), lab(second)) >= 15
    assert len(AGENT_COLOURS) == 8


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_of_colours_is_that_of_the_paper(first: Any, second: Any, difference: float) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=1e-4)


def test_numbers_are_black_on_light_colours_and_white_on_dark_ones() -> None:
    assert (ink_on("#bbee00"), ink_on("#112299")) == ("#000000", "#ffffff")


def test_leading_axes_of_a_state_are_kept(env: Any, state: Any) -> None:
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    frames = rendering.render_rgb(env, states, 300, rendering.Tally(np.array([[0.0, 1.0], [2.0, 3.0]])))
    assert (frames[1] == rendering.render_rgb(env, state, 300, rendering.Tally(np.array([2.0, 3.0])))).all()
    assert (frames[0] != frames[1]).any()


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
    for draw in (rendering.render_text, rendering.render_svg, rendering.render_rgb, rendering.draw_tiles):
        with pytest.raises(
            ValueError, match=r"state=jaxdilemmas\.envs\.commons\.State is not allowed: .*envs\.gathering\.State"
        ):
            draw(env, other)
        with pytest.raises(ValueError, match=r"state=array of shape \(2, 16, 21\) and dtype uint8 is not allowed"):
            draw(env, observation)
    with pytest.raises(ValueError, match=r"state\.positions of shape=\(2, 2, 2\) is not allowed: \(2, 2\)"):
        rendering.render_text(env, batch)


def test_a_notebook_shows_the_svg_and_a_terminal_the_text(env: Any, state: Any) -> None:
    drawing = rendering.show(env, state)
    assert drawing._repr_html_() == rendering.render_svg(env, state)
    assert str(drawing) == rendering.render_text(env, state)


def test_tiles_are_what_agents_would_see_of_the_whole_board(env: Any, state: Any) -> None:
    tiles = rendering.draw_tiles(env, state)
    assert tiles.dtype == np.uint8 and tiles.shape == env.walls.shape
    assert env.tiles[tiles[1, 2]] == "other_facing_right"


def test_marks_are_as_many_in_every_state_and_hidden_ones_are_not_drawn(env: Any, state: Any) -> None:
    marks = show_states(env, state).marks
    assert marks.glyph.shape == show_states(env, state.replace(fired=jnp.array([True, True]))).marks.glyph.shape
    assert (marks.glyph == HIDDEN).any()


def test_a_gif_holds_every_frame(env: Any, state: Any, tmp_path: Path) -> None:
    first = np.zeros((20, 30, 3), np.uint8)
    frames = [first, first + np.uint8(200)]
    rendering.save_gif(frames, tmp_path / "episode.gif", frames_per_second=20)
    with Image.open(tmp_path / "episode.gif") as image:
        assert (image.n_frames, image.info["duration"], image.size) == (2, 50, (30, 20))  # type: ignore[attr-defined]
        assert (np.asarray(image.convert("RGB")) == frames[0]).all()


def test_a_video_without_its_library_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'imageio_ffmpeg=None is not allowed: .*pip install -e "\.\[video\]"'):
        rendering.save_mp4([np.zeros((2, 2, 3), np.uint8)], tmp_path / "none.mp4")


def test_bad_arguments_are_named(env: Any, state: Any, tmp_path: Path) -> None:
    for draw in (rendering.render_svg, rendering.render_rgb):
        with pytest.raises(ValueError, match="width=0 is not allowed"):
            draw(env, state, width=0)
        with pytest.raises(ValueError, match=r"tally\.returns=\(3,\) is not allowed: numbers of shape \(2,\)"):
            draw(env, state, tally=rendering.Tally(np.zeros(3)))
        with pytest.raises(ValueError, match=r"tally=5 is not allowed"):
            draw(env, state, tally=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"env=.* is not allowed: an Environment"):
        rendering.render_text(object(), state)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"env=.*CommonPool.* is not allowed: a grid game"):
        rendering.draw_tiles(jaxdilemmas.make("common_pool"), state)
    with pytest.raises(ValueError, match=r"frames=.*at least one frame"):
        rendering.save_gif([], tmp_path / "none.gif")
    with pytest.raises(ValueError, match="frames_per_second=0"):
        rendering.save_gif([np.zeros((2, 2, 3), np.uint8)], tmp_path / "none.gif", frames_per_second=0)


def test_a_game_without_a_picture_is_refused_by_name(env: Any, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Undrawn(type(env)):  # type: ignore[misc]
        picture_module = None

    with pytest.raises(ValueError, match=r"env=.*Undrawn.* is not allowed: a game with a picture_module"):
        rendering.render_text(Undrawn(), state)
