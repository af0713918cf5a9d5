"""The page of every game has the same order."""

import itertools
import re

import pytest

from tests.docs.pages import ROOT
from tests.docs.summaries import SUMMARIES

ORDER = ["How to make it", "The rules", "Params", "Info", "Scripted policies and results", "Sources"]


@pytest.mark.parametrize("page", sorted({summary.page for summary in SUMMARIES.values()}))
def test_the_page_of_a_game_keeps_the_order(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    head, *_ = text.partition("\n## ")
    title, picture, sentences, table = re.split(r"\n\n", head.strip())
    assert title.startswith("# `")
    assert picture.startswith("![")
    assert len(re.findall(r"[.;:](?:\s|$)", sentences)) >= 2
    assert table.startswith("<!-- summary: begin -->")
    kinds = [
        next((kind for kind in ORDER if heading.startswith(kind)), "")
        for heading in re.findall(r"^## (.*)$", text, re.M)
    ]
    assert [kind for kind, _ in itertools.groupby(kinds) if kind] == ORDER
    assert len(kinds) <= len(ORDER) + 2


@pytest.mark.parametrize("page", sorted({summary.page for summary in SUMMARIES.values()}))
def test_the_rules_are_numbered_and_name_functions(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rules = text.partition("\n## The rules")[2].partition("\n## Params")[0]
    assert len(re.findall(r"^\d\. \*\*", rules, re.MULTILINE)) >= 3
    assert len(re.findall(r"`(?:envs|grid)\.[\w.]+`", rules)) >= 2
