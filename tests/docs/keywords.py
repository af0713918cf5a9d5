"""The README's table of keyword arguments, made from the classes of the games.

`python -m tests.docs.keywords` writes it into the README.
"""

import dataclasses
import inspect
from pathlib import Path

import jaxdilemmas
from jaxdilemmas.registration import registered_class

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- keywords: begin -->\n", "\n<!-- keywords: end -->"


def keyword_table() -> str:
    """The table in Markdown, a row for each registered game."""
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


def split_page(text: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands behind it."""
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    return before + BEGIN, table, END + after


if __name__ == "__main__":
    before, _, after = split_page(README.read_text(encoding="utf-8"))
    README.write_text(before + keyword_table() + after, encoding="utf-8")
