"""Writes the tables of games into the pages, from the registry and the classes of the games.

`python -m tests.docs.tables` writes them into README.md and into the page of each game. A table of a game's page keeps
the cells that people write; see `tests.docs.game_pages`.
"""

import contextlib
import dataclasses
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import jaxdilemmas
from jaxdilemmas.environment import Environment
from jaxdilemmas.registration import registered_class
from jaxdilemmas.spaces import Discrete, extra_names, view_of
from tests.docs.game_pages import GAME_PAGES, Cells, pages_by_game, read_cells, split_page
from tests.docs.pages import ROOT

README = ROOT / "README.md"

KINDS = ("tiles", "one_hot", "rgb", "entities", "planes")
"""Values of the argument `observation`; a game takes some of them, or has no such argument."""


def game_table() -> str:
    """The games of README.md in Markdown, a row for each registered game; boards are those of the pages."""
    rows = ["| id | game | agents | board | observation | actions | page |", "|---|---|---|---|---|---|---|"]
    pages = pages_by_game()
    for env_id in jaxdilemmas.registered_envs():
        env, page = jaxdilemmas.make(env_id), pages[env_id]
        link, board = f"[{page.stem}]({page.relative_to(ROOT).as_posix()})", read_cells(page)[env_id]["board"]
        cells = (f"`{env_id}`", description(env_id), env.num_agents, board, space(env), actions(env), link)
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def keyword_table() -> str:
    """The keyword arguments of every registered game in Markdown, a row for each game."""
    rows = ["| id | keyword arguments and their defaults | numbers in the rules |", "|---|---|---|"]
    for env_id in jaxdilemmas.registered_envs():
        arguments = [
            f"`{name}={parameter.default!r}`".replace("'", '"')
            for name, parameter in inspect.signature(registered_class(env_id)).parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        numbers = sorted(f"`{field.name}`" for field in dataclasses.fields(jaxdilemmas.make(env_id).default_params))
        rows.append(f"| `{env_id}` | {', '.join(arguments)} | {', '.join(numbers)} |")
    return "\n".join(rows)


def page_table(page: Path) -> str:
    """The table at the head of a game's page in Markdown: a column for each game of the page."""
    columns = {env_id: page_column(env_id, cells) for env_id, cells in read_cells(page).items()}
    first = next(iter(columns.values()))
    rows = ["| id | " + " | ".join(f"`{env_id}`" for env_id in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    rows += [f"| {name} | " + " | ".join(column[name] for column in columns.values()) + " |" for name in first]
    return "\n".join(rows)


def takes_other_numbers(env_id: str, num_agents: int) -> bool:
    """Whether a game can have one agent more or less, or the number that another argument decides."""
    if inspect.signature(registered_class(env_id)).parameters["num_agents"].default is None:
        return True
    for other in (num_agents - 1, num_agents + 1):
        with contextlib.suppress(ValueError):
            jaxdilemmas.make(env_id, num_agents=other)
            return True
    return False


def page_column(env_id: str, written: Cells) -> Cells:
    """The cells of a game: facts of the class, and the parts that people wrote (names of actions, rewards, ends)."""
    env = jaxdilemmas.make(env_id)
    names, ends = written.get("actions", "").partition(": ")[2], written.get("episode", "").partition("; ")[2]
    return {
        "version": str(env.version),
        "agents": f"{env.num_agents}{' by default' if takes_other_numbers(env_id, env.num_agents) else ''}",
        "board": board(env) or written.get("board", ""),
        "actions": f"{actions(env)}: {names}",
        "observation": "; ".join(spaces(env_id)),
        "rewards": written.get("rewards", ""),
        "episode": f"{env.default_params.max_steps:,} steps" + (f"; {ends}" if ends else ""),
    }


def params_table(page: Path) -> str:
    """The numbers in the rules in Markdown: the default of each game of the page, and the meaning from the class."""
    ids = list(read_cells(page))
    rows: dict[tuple[str, str], Cells] = {}
    for env_id in ids:
        params = jaxdilemmas.make(env_id).default_params
        texts = meanings(type(params))
        for field in dataclasses.fields(params):
            rows.setdefault((field.name, texts[field.name]), {})[env_id] = number(getattr(params, field.name))
    heads = ["default"] if len(ids) == 1 else [f"`{env_id}`" for env_id in ids]
    lines = [f"| `Params` | {' | '.join(heads)} | meaning |", "|---" * (len(ids) + 2) + "|"]
    for (name, meaning), defaults in rows.items():
        lines.append(f"| `{name}` | {' | '.join(defaults.get(env_id, '') for env_id in ids)} | {meaning} |")
    return "\n".join(lines)


def meanings(params_class: type) -> Cells:
    """The meaning of each field of a `Params`, from the attributes in the docstrings of the class and of its bases."""
    found: Cells = {}
    for kind in reversed(params_class.__mro__):
        _, _, attributes = inspect.cleandoc(vars(kind).get("__doc__") or "").partition("Attributes:\n")
        entries = re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", attributes, re.MULTILINE)
        found |= {name: " ".join(text.split()).rstrip(".") for name, text in entries}
    return found


def number(value: Any) -> str:
    """A default value as pages show it: 1 for 1.0, tuples in brackets, the shape of an array."""
    if isinstance(value, Sequence):
        return f"({', '.join(map(number, value))})"
    if isinstance(value, np.ndarray):
        return f"{list(value.shape)} numbers"
    return f"{value:g}" if isinstance(value, float) else str(value)


def description(env_id: str) -> str:
    """The first sentence of the docstring of the class, or of its module if the class refers to the module."""
    game = registered_class(env_id)
    text = inspect.getdoc(game) or ""
    if text.startswith("See the module"):
        text = inspect.getdoc(sys.modules[game.__module__]) or ""
    return text.splitlines()[0].rstrip(".")


def board(env: Environment) -> str:
    """Rows, columns and content of the default board; no text for games without walls."""
    if not hasattr(env, "walls"):
        return ""
    size = " x ".join(map(str, np.shape(env.walls)))
    names = {"river": "river cells", "apple": "apples", "resource": "resources"}
    names |= {name: f"{name} cells" for name in ("coin", "ore", "token", "mushroom")}
    counts = {name: len(getattr(env, f"{name}_cells", ())) for name in names}
    return ", ".join([size, *(f"{counts[name]} {words}" for name, words in names.items() if counts[name])])


def actions(env: Environment) -> int:
    """How many actions an agent has."""
    assert isinstance(env.action_space, Discrete)
    return env.action_space.n


def space(env: Environment) -> str:
    """Shape and dtype of the observations of all agents, and of the extras beside them."""
    view, names = view_of(env.observation_space), extra_names(env.observation_space)
    shape = ", ".join(map(str, ("N", *view.shape)))
    return f"`[{shape}]` {np.dtype(view.dtype).name}" + (f" and `[N, {len(names)}]` float32" if names else "")


def spaces(env_id: str) -> list[str]:
    """Shapes and dtypes of the observations of all agents, by the values of the argument `observation`."""
    default = inspect.signature(registered_class(env_id)).parameters.get("observation")
    if default is None:
        return [space(jaxdilemmas.make(env_id))]
    found = {kind: kind_space(env_id, kind) for kind in KINDS}
    kinds = sorted((kind for kind in KINDS if found[kind]), key=lambda kind: kind != default.default)
    return [f'{found[kind]} with `"{kind}"`' for kind in kinds]


def kind_space(env_id: str, kind: str) -> str:
    """The space of a kind of observation, or no text if the game does not have it."""
    try:
        return space(jaxdilemmas.make(env_id, observation=kind))
    except ValueError:
        return ""


def tables(page: Path) -> Cells:
    """The tables that belong into a page, by the name in their markers."""
    if page == README:
        return {"games": game_table(), "keywords": keyword_table()}
    return {"summary": page_table(page), "params": params_table(page)} if page in GAME_PAGES else {}


def write(page: Path) -> None:
    """Writes the tables of a page anew."""
    for name, table in tables(page).items():
        before, _, after = split_page(page.read_text(encoding="utf-8"), name)
        page.write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    for path in [*GAME_PAGES, README]:
        write(path)
