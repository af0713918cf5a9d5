"""The tables of games in the pages, made from the registry and the classes of the games.

`python -m tests.docs.tables` writes them into README.md and into the page of each game.
"""

import dataclasses
import inspect
import sys
from pathlib import Path

import numpy as np

import jaxdilemmas
from jaxdilemmas.environment import Environment
from jaxdilemmas.registration import registered_class
from jaxdilemmas.spaces import Discrete
from tests.docs.pages import ROOT
from tests.docs.summaries import SUMMARIES

README = ROOT / "README.md"

KINDS = ("tiles", "one_hot", "rgb", "entities", "planes")
"""Values of the argument `observation`; a game takes some of them, or has no such argument."""


def game_table() -> str:
    """The games of README.md in Markdown, a row for each registered game."""
    rows = ["| id | game | agents | board | observation | actions | page |", "|---|---|---|---|---|---|---|"]
    for env_id in jaxdilemmas.registered_envs():
        env, page = jaxdilemmas.make(env_id), SUMMARIES[env_id].page
        link = f"[{Path(page).stem}]({page})"
        cells = (f"`{env_id}`", description(env_id), env.num_agents, board(env_id, env), space(env), actions(env), link)
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


def page_table(page: str) -> str:
    """The table at the head of a game's page in Markdown: a column for each game of the page."""
    ids = [env_id for env_id in SUMMARIES if SUMMARIES[env_id].page == page]
    columns = [page_column(env_id) for env_id in ids]
    rows = ["| id | " + " | ".join(f"`{env_id}`" for env_id in ids) + " |", "|---" * (len(ids) + 1) + "|"]
    rows += [f"| {name} | " + " | ".join(column[name] for column in columns) + " |" for name in columns[0]]
    return "\n".join(rows)


def page_column(env_id: str) -> dict[str, str]:
    """What the page of a game says about it in its table, by row."""
    env, summary = jaxdilemmas.make(env_id), SUMMARIES[env_id]
    steps = f"{env.default_params.max_steps:,} steps" + (f"; {summary.ends}" if summary.ends else "")
    return {
        "version": str(env.version),
        "agents": f"{env.num_agents} by default",
        "board": board(env_id, env),
        "actions": f"{actions(env)}: " + ", ".join(f"{i} {name}" for i, name in enumerate(summary.actions)),
        "observation": "; ".join(spaces(env_id)),
        "rewards": summary.rewards,
        "episode": steps,
    }


def description(env_id: str) -> str:
    """The first sentence of the class's docstring, or of its module's where the class refers to the module."""
    game = registered_class(env_id)
    text = inspect.getdoc(game) or ""
    if text.startswith("See the module"):
        text = inspect.getdoc(sys.modules[game.__module__]) or ""
    return text.splitlines()[0].rstrip(".")


def board(env_id: str, env: Environment) -> str:
    """Rows, columns and what lies on the default board; of games on no grid what their summary says."""
    if not hasattr(env, "walls"):
        return SUMMARIES[env_id].board
    size = " x ".join(map(str, np.shape(env.walls)))
    river, apples = (len(getattr(env, name, ())) for name in ("river_cells", "apple_cells"))
    return f"{size}, {f'{river} river cells, ' if river else ''}{apples} apples"


def actions(env: Environment) -> int:
    """How many actions an agent has."""
    assert isinstance(env.action_space, Discrete)
    return env.action_space.n


def space(env: Environment) -> str:
    """Shape and dtype of the observations of all agents."""
    shape = ", ".join(map(str, ("N", *env.observation_space.shape)))
    return f"`[{shape}]` {np.dtype(env.observation_space.dtype).name}"


def spaces(env_id: str) -> list[str]:
    """Shapes and dtypes of the observations of all agents, by the values of the argument `observation`."""
    default = inspect.signature(registered_class(env_id)).parameters.get("observation")
    if default is None:
        return [space(jaxdilemmas.make(env_id))]
    found = {kind: kind_space(env_id, kind) for kind in KINDS}
    kinds = sorted((kind for kind in KINDS if found[kind]), key=lambda kind: kind != default.default)
    return [f'{found[kind]} with `"{kind}"`' for kind in kinds]


def kind_space(env_id: str, kind: str) -> str:
    """The space of a kind of observation, or no text where the game does not have it."""
    try:
        return space(jaxdilemmas.make(env_id, observation=kind))
    except ValueError:
        return ""


def tables(page: Path) -> dict[str, str]:
    """The tables that belong into a page, by the name in their markers."""
    name = page.relative_to(ROOT).as_posix()
    if page == README:
        return {"games": game_table(), "keywords": keyword_table()}
    return {"summary": page_table(name)} if name in {summary.page for summary in SUMMARIES.values()} else {}


def split_page(text: str, name: str) -> tuple[str, str, str]:
    """The text before a table, the table, and the text after it."""
    begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
    before, rest = text.split(begin)
    table, after = rest.split(end)
    return before + begin, table, end + after


def write(page: Path) -> None:
    """Writes the tables of a page anew."""
    for name, table in tables(page).items():
        before, _, after = split_page(page.read_text(encoding="utf-8"), name)
        page.write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    for path in [README, *sorted({ROOT / summary.page for summary in SUMMARIES.values()})]:
        write(path)
