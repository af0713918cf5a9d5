"""The page of a replay in a browser: controls, keys, views, speed; and nothing is asked of the network."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.pictures.boards import ACTIONS
from jaxdilemmas.rendering.replay import Replay, record, save_replay
from tests.browsing import Visit

pytestmark = pytest.mark.slow


def scripted_replay(env: Any, name: str, num_steps: int | None = None) -> Replay:
    return record(env, policies.scripted(env, name), jax.random.key(0), num_steps, title=name)


def visit(browser: Any, replays: list[Replay], folder: Path, **size: int) -> Visit:
    """The page of replays, open and ready."""
    save_replay(replays, folder / "replay.html")
    visit = Visit(browser, **size)
    visit.page.goto((folder / "replay.html").as_uri())
    visit.page.wait_for_selector("html[data-ready]")
    return visit


@pytest.fixture(scope="module")
def cleanup(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    env = jaxdilemmas.make("cleanup")
    metrics = {"collective_return": 12.5, "peace": 2.0}
    replays = [scripted_replay(env, name, 200)._replace(metrics=metrics) for name in ("cooperative", "random")]
    return visit(browser, replays, tmp_path_factory.mktemp("replay"))


def where(visit: Visit) -> str:
    return visit.page.text_content("#where")


def pixels(visit: Visit, which: int = 0) -> list[int]:
    """Every 97th byte of a board."""
    return visit.page.evaluate(
        """(which) => {
          const {canvas, context} = player.episodes[which].board;
          const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
          return Array.from(data.filter((_, k) => k % 97 === 0));
        }""",
        which,
    )


def test_keys_step_seek_and_play(cleanup: Visit) -> None:
    page = cleanup.page
    page.keyboard.press("Home")
    assert where(cleanup) == "0 / 200"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert where(cleanup) == "1 / 200"
    page.keyboard.press("End")
    assert where(cleanup) == "200 / 200"
    page.keyboard.press("Home")
    page.select_option("#speed", "100")
    page.locator("#speed").evaluate("(it) => it.blur()")
    page.keyboard.press(" ")
    page.wait_for_timeout(1000)
    assert page.evaluate("player.step") >= 30
    page.keyboard.press(" ")
    assert page.text_content("#play") == "play"
    assert cleanup.errors == []


def test_what_was_drawn_does_not_depend_on_the_way_there(cleanup: Visit) -> None:
    page = cleanup.page
    page.evaluate("player.show(0)")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    stepped = pixels(cleanup)
    page.keyboard.press("End")
    page.evaluate("player.show(30)")
    assert pixels(cleanup) == stepped
    page.evaluate("player.show(29)")
    assert pixels(cleanup) != stepped


def test_two_episodes_stand_side_by_side_with_their_returns(cleanup: Visit) -> None:
    page = cleanup.page
    page.keyboard.press("End")
    assert page.locator("section h2").all_text_contents() == ["cooperative", "random"]
    totals = page.evaluate("player.episodes.map((it) => it.returns.at(-1).reduce((a, b) => a + b))")
    shown = page.locator("aside > div:nth-of-type(2)").all_text_contents()
    assert shown == [f"collective return {total:.4g}" for total in totals]
    assert totals[0] > totals[1]
    assert page.locator("section .metrics").all_text_contents() == ["collective return 12.5 · peace 2"] * 2


def test_actions_are_called_by_their_names(cleanup: Visit) -> None:
    page = cleanup.page
    page.evaluate("player.show(1)")
    done = page.evaluate("player.episodes.flatMap((it) => it.actions[0].map((action) => it.picture.actions[action]))")
    assert page.locator("aside td:nth-child(4)").all_text_contents() == done
    assert set(done) <= set(ACTIONS)


def test_a_number_shows_what_that_agent_sees_and_a_shows_everything(cleanup: Visit) -> None:
    page = cleanup.page
    page.evaluate("player.show(50)")
    page.keyboard.press("a")
    everything = pixels(cleanup)
    page.keyboard.press("1")
    assert page.input_value("#view") == "1"
    shape = page.evaluate("(({width, height}) => width / height)(player.episodes[0].canvas)")
    assert shape == pytest.approx(11 / 11, abs=0.01)  # the window of cleanup
    assert pixels(cleanup) != everything
    page.keyboard.press("a")
    assert pixels(cleanup) == everything


def test_an_agent_that_is_out_sees_nothing(browser: Any, tmp_path: Path) -> None:
    env = jaxdilemmas.make("gathering", max_steps=3)
    replay = scripted_replay(env, "random")
    out = replay.states.replace(timeouts=np.full_like(replay.states.timeouts, 5))
    page = visit(browser, [replay._replace(states=out)], tmp_path)
    page.page.keyboard.press("0")
    values = np.array(
        page.page.evaluate(
            """(() => {
              const {canvas, context} = player.episodes[0].board;
              return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
            })()"""
        )
    ).reshape(-1, 4)
    assert len(np.unique(values, axis=0)) == 1


def test_events_are_jumped_to(cleanup: Visit) -> None:
    page = cleanup.page
    page.evaluate("player.show(0)")
    page.select_option("#event", "cleaned")
    page.click("#next")
    first = page.evaluate("Math.min(...player.episodes.flatMap((it) => it.events.cleaned.map(([when]) => when)))")
    assert page.evaluate("player.step") == first
    page.click("#next")
    page.click("#previous")
    assert page.evaluate("player.step") == first


def test_no_request_leaves_the_page(cleanup: Visit) -> None:
    assert len(cleanup.requests) == 1
    assert cleanup.requests[0].startswith("file:")


def test_a_long_replay_is_ready_within_a_second_and_draws_fifty_frames_a_second(browser: Any, tmp_path: Path) -> None:
    env = jaxdilemmas.make("gathering_gallego", map="large", num_agents=10)
    page = visit(browser, [scripted_replay(env, "exploitative")], tmp_path).page
    (tmp_path / "empty.html").write_text(
        "<!doctype html><script>document.documentElement.dataset.ready = performance.now()</script>"
    )
    times = {}
    for name in ("empty.html", "replay.html"):
        loads = []
        for _ in range(5):
            page.goto((tmp_path / name).as_uri())
            page.wait_for_selector("html[data-ready]")
            loads.append(float(page.get_attribute("html", "data-ready")))
        times[name] = min(loads)
    milliseconds = page.evaluate(
        """() => Array.from({length: 300}, (_, step) => {
          const start = performance.now();
          player.show(step);
          player.episodes[0].board.context.getImageData(0, 0, 1, 1);
          return performance.now() - start;
        })"""
    )
    assert times["replay.html"] - times["empty.html"] <= 1000  # beside a page with nothing in it
    assert 1000 / float(np.median(milliseconds)) >= 50


def test_a_narrow_screen_scrolls_down_alone(browser: Any, tmp_path: Path) -> None:
    env = jaxdilemmas.make("overcooked")
    page = visit(browser, [scripted_replay(env, "greedy", 30)], tmp_path, width=390, height=800).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_browser_without_decompression_gets_a_sentence(browser: Any, tmp_path: Path) -> None:
    env = jaxdilemmas.make("common_pool", max_steps=3)
    save_replay([scripted_replay(env, "random")], tmp_path / "replay.html")
    page = browser.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto((tmp_path / "replay.html").as_uri())
    assert "needs a browser with DecompressionStream" in page.text_content("main")
