"""The pages of games: the games of each page, and the cells of its first table that people write.

A page belongs to the games whose ids are in the first row of its table "summary". The cells that no class holds as data
(the rewards, the names of the actions, how an episode ends, the board of a game without walls) are read from the page.
"""

from pathlib import Path

from tests.docs.pages import ROOT

Cells = dict[str, str]
"""The cells of one game by the name of their row."""


def split_page(text: str, name: str) -> tuple[str, str, str]:
    """The text before a table, the table, and the text after it."""
    begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
    before, rest = text.split(begin)
    table, after = rest.split(end)
    return before + begin, table, end + after


def read_cells(page: Path) -> dict[str, Cells]:
    """The cells of the table "summary" of a page, by id of the game; empty if the page has no such table."""
    text = page.read_text(encoding="utf-8")
    if "<!-- summary: begin -->" not in text:
        return {}
    _, table, _ = split_page(text, "summary")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    head, _, *body = rows
    return {env_id.strip("`"): {row[0]: row[i] for row in body} for i, env_id in enumerate(head) if i}


GAME_PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if read_cells(page)]
"""The pages that describe games."""


def pages_by_game() -> dict[str, Path]:
    """The page of each game, by id."""
    return {env_id: page for page in GAME_PAGES for env_id in read_cells(page)}
