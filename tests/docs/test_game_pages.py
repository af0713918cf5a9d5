"""The page of every game has the same order."""

import dataclasses
import itertools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxdilemmas
from tests.docs.game_pages import GAME_PAGES, pages_by_game
from tests.docs.pages import name_of

ORDER = ["How to make it", "The rules", "Params", "Info", "Scripted policies and results", "Sources"]


@pytest.mark.parametrize("page", GAME_PAGES, ids=name_of)
def test_the_page_of_a_game_keeps_the_order(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
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


@pytest.mark.parametrize("page", GAME_PAGES, ids=name_of)
def test_the_rules_are_numbered_and_name_functions(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rules = text.partition("\n## The rules")[2].partition("\n## Params")[0]
    assert len(re.findall(r"^\d\. \*\*", rules, re.MULTILINE)) >= 3
    assert len(re.findall(r"`(?:envs|grid)\.[\w.]+`", rules)) >= 2


@pytest.mark.parametrize("env_id", pages_by_game())
def test_the_page_of_a_game_names_every_number_draw_and_event(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    key, params = jax.random.key(0), env.default_params
    _, state = jax.eval_shape(env.reset, key, params)
    actions = jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)
    *_, info = jax.eval_shape(env.step, key, state, actions, params)
    draws = jax.eval_shape(env.draw, key, state, params)
    names = {*info, *(field.name for part in (params, draws) for field in dataclasses.fields(part))}
    text = pages_by_game()[env_id].read_text(encoding="utf-8")
    assert {name for name in names if not re.search(rf"`(?:\w+\[\")?{name}\b", text)} == set()
