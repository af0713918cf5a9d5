"""The tables of games in the pages are those of the registry and the classes."""

import re
from pathlib import Path

import pytest

import jaxdilemmas
from tests.docs.game_pages import GAME_PAGES, pages_by_game, read_cells, split_page
from tests.docs.pages import PAGES, name_of
from tests.docs.tables import README, actions, tables


def test_every_registered_game_is_on_one_page_and_no_other_is() -> None:
    assert sorted(env_id for page in GAME_PAGES for env_id in read_cells(page)) == jaxdilemmas.registered_envs()


@pytest.mark.parametrize("env_id", pages_by_game())
def test_a_page_names_every_action_and_the_rewards(env_id: str) -> None:
    cells = read_cells(pages_by_game()[env_id])[env_id]
    names = re.findall(r"(\d+) ([^,]+)", cells["actions"].partition(": ")[2])
    assert [int(number) for number, _ in names] == list(range(actions(jaxdilemmas.make(env_id))))
    assert len({name for _, name in names}) == len(names)
    assert cells["rewards"] and cells["board"]


@pytest.mark.parametrize("page", [page for page in PAGES if tables(page)], ids=name_of)
def test_the_tables_of_a_page_are_those_of_the_classes(page: Path) -> None:
    for name, table in tables(page).items():
        _, shown, _ = split_page(page.read_text(encoding="utf-8"), name)
        assert shown == table, "write it anew: python -m tests.docs.tables"


def test_the_readme_counts_the_games() -> None:
    assert f"**Complete.** {len(jaxdilemmas.registered_envs())} games, " in README.read_text("utf-8")
