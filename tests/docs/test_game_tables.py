"""The tables of games in the pages are those of the registry and the classes."""

from pathlib import Path

import pytest

import jaxdilemmas
from tests.docs.pages import PAGES, name_of
from tests.docs.summaries import SUMMARIES
from tests.docs.tables import actions, split_page, tables


def test_every_registered_game_has_a_summary_and_no_other_has() -> None:
    assert sorted(SUMMARIES) == jaxdilemmas.registered_envs()


@pytest.mark.parametrize("env_id", SUMMARIES)
def test_a_summary_names_every_action(env_id: str) -> None:
    names = SUMMARIES[env_id].actions
    assert len(set(names)) == len(names) == actions(jaxdilemmas.make(env_id))


@pytest.mark.parametrize("page", [page for page in PAGES if tables(page)], ids=name_of)
def test_the_tables_of_a_page_are_those_of_the_classes(page: Path) -> None:
    for name, table in tables(page).items():
        _, shown, _ = split_page(page.read_text(encoding="utf-8"), name)
        assert shown == table, "write it anew: python -m tests.docs.tables"
