"""Pages stay short enough to read, link to files that exist, and name code that exists."""

import importlib
import re
from pathlib import Path

import pytest

from jaxdilemmas import registered_envs
from tests.docs.pages import PAGES, ROOT, name_of

MOST_LINES = 350
MOST_LINES_OF_THIRTEEN_GAMES = 4500
MOST_LINES_OF_A_FURTHER_GAME = 100
MOST_CHARACTERS = 160
MOST_BYTES = 300_000


def prose(page: Path) -> list[tuple[int, str]]:
    """Lines outside of fenced blocks, tables and what programs write, with their numbers from 1."""
    found, is_fenced, is_generated = [], False, False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        is_fence = line.lstrip().startswith("```")
        is_fenced ^= is_fence
        is_generated = (is_generated or ": begin" in line) and ": end -->" not in line
        if not (is_fence or is_fenced or is_generated or line.lstrip().startswith("|")):
            found.append((number, line))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_all_pages_together_are_short() -> None:
    num_further = len(registered_envs()) - 13
    most = MOST_LINES_OF_THIRTEEN_GAMES + num_further * MOST_LINES_OF_A_FURTHER_GAME
    assert sum(len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES) <= most


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_line_of_prose_is_short(page: Path) -> None:
    assert [(number, line) for number, line in prose(page) if len(line) > MOST_CHARACTERS] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not heading or heading in headings(path), f"{target}#{heading}"


def headings(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


NAMES = re.compile(r"`((?:jaxdilemmas|baselines|benchmarks|grid|envs|policies)(?:\.\w+)+)(?:\([^`]*\))?`")


def find(name: str) -> object:
    """The module, class or function of a dotted name; names in `jaxdilemmas` may leave it out."""
    is_whole = name.startswith(("jaxdilemmas", "baselines", "benchmarks"))
    parts = name.split(".") if is_whole else ["jaxdilemmas", *name.split(".")]
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_that_a_page_names_exists(page: Path) -> None:
    for name in NAMES.findall(page.read_text(encoding="utf-8")):
        assert find(name) is not None, name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:jaxdilemmas|baselines|benchmarks|tests|docs)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").iterdir()), ids=lambda image: image.name)
def test_an_image_is_small_and_on_a_page(image: Path) -> None:
    assert image.stat().st_size <= MOST_BYTES
    assert any(f"images/{image.name})" in page.read_text(encoding="utf-8") for page in PAGES)
