"""The site: every game has a replay, pages load nothing from elsewhere, and every link leads somewhere."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

import jaxdilemmas
from jaxdilemmas.rendering.picture import picture_of
from jaxdilemmas.rendering.replay import describe_picture, fill_page
from tests.browsing import Visit
from tests.docs.game_pages import pages_by_game
from tests.docs.pages import ROOT
from tests.docs.replays import REPLAYS, SCRIPTED, game_replays
from tests.rendering.test_replay import data_in

MOST_BYTES, MOST_BYTES_IN_ALL = 150_000, 2_000_000


def test_every_registered_game_has_a_small_replay_and_no_other_has() -> None:
    sizes = {path.stem: path.stat().st_size for path in REPLAYS.iterdir()}
    assert sorted(sizes) == jaxdilemmas.registered_envs()
    assert max(sizes.values()) <= MOST_BYTES and sum(sizes.values()) <= MOST_BYTES_IN_ALL


@pytest.mark.parametrize("path", sorted(REPLAYS.iterdir()), ids=lambda path: path.stem)
def test_a_replay_shows_trained_scripted_and_random_agents(path: Path) -> None:
    titles = [episode["title"] for episode in data_in(fill_page(path.stem, path.read_text(encoding="utf-8")))]
    assert titles[0].startswith("IPPO, ")
    assert len(titles) == 3 and titles[2] == "random"


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_a_replay_has_the_signs_and_names_that_its_game_has_now(env_id: str) -> None:
    env = jaxdilemmas.make(env_id, **SCRIPTED[env_id][0])
    wanted = json.loads(json.dumps(describe_picture(env, picture_of(env))))
    page = fill_page(env_id, (REPLAYS / f"{env_id}.replay").read_text(encoding="utf-8"))
    assert all(episode["picture"] == wanted for episode in data_in(page))


@pytest.mark.slow
def test_a_replay_is_the_start_of_an_episode_of_each_player() -> None:
    replays = list(game_replays("intersection"))
    assert [replay.title for replay in replays] == ["cautious", "random"]
    replays = list(game_replays("common_pool_network"))
    assert [replay.title for replay in replays] == ["cooperative", "random"]
    assert [len(replay.rewards) for replay in replays] == [200, 200]
    assert replays[0].rewards.sum() > replays[1].rewards.sum()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    pytest.importorskip("mkdocs", reason='needs pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.mark.slow
def test_links_of_the_site_lead_to_files_and_headings(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.parent.name != "replays"}
    names = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    broken = []
    for path, text in pages.items():
        if path.name == "404.html":
            continue
        for link in re.findall(r'\b(?:href|src)="((?!https?:|mailto:|data:)[^"]+)"', text):
            target, heading = urldefrag(html.unescape(link))
            there = (path.parent / unquote(target)).resolve() if target else path
            there = there / "index.html" if there.is_dir() else there
            if not there.exists() or (heading and unquote(heading) not in names[there] | {"__consent", "__skip"}):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_game_opens_with_replays_and_asks_nothing_of_the_network(
    site: Path, browser: Any, width: int
) -> None:
    visit = Visit(browser, width=width)
    page = pages_by_game()["harvest"].with_suffix(".html").name
    visit.page.goto((site / page).as_uri())
    frame = visit.page.frame_locator("iframe.replay")
    frame.locator("html[data-ready]").wait_for()
    frame.locator("#forward").click()
    assert frame.locator("#where").inner_text().startswith("1 / ")
    assert frame.locator(".board canvas").first.bounding_box()["width"] > 200
    assert [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert visit.errors == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_every_tutorial_is_a_notebook_whose_links_lead_into_the_site(site: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason='needs pip install -e ".[docs]"')
    for page in sorted((ROOT / "docs/tutorials").glob("*.md")):
        path = site / "tutorials" / page.with_suffix(".ipynb").name
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        links = [link for cell in notebook.cells for link in re.findall(r"\]\(([^)]+)\)", cell.source)]
        root = "https://example.org/jaxdilemmas/"
        assert [link for link in links if not (site / urldefrag(link.removeprefix(root))[0]).exists()] == []
        assert f'href="{path.name}"' in path.with_suffix(".html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_page_of_a_game_has_its_replays(site: Path) -> None:
    for env_id, page in pages_by_game().items():
        text = (site / page.with_suffix(".html").name).read_text(encoding="utf-8")
        assert f'src="replays/{env_id}.html"' in text and f'href="replays/{env_id}.html"' in text
        assert (site / f"replays/{env_id}.html").exists()
