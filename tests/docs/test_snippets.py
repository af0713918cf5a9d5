"""Every block of Python in the pages runs after the blocks above it, and prints the output that the page shows."""

import contextlib
import fnmatch
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines import demonstrate, mamql
from baselines.runs.command import train_command
from jaxdilemmas import registration
from tests.docs.pages import PAGES, blocks, name_of

pytestmark = pytest.mark.usefixtures("quick_compiling")

KITCHEN = "XXPXX\nO1 2O\nXDXSX\n"

SLOW = {"docs/mamql.md", "docs/preferences.md"}
"""Pages that are left out by the README's test command."""

LIBRARIES = {"docs/adapters.md": ("jaxmarl", "pettingzoo")}
"""What pages need beside what the tests do."""


def record_gems() -> None:
    """The demonstrations that pages name, but few."""
    options = ["--env", "gems", "--policy", "greedy", "--transitions", "400", "--output", "runs/gems.demos"]
    demonstrate.main(options)


def train_mamql() -> None:
    """The run that the page of MAMQL names, but short."""
    record_gems()
    options = ["--env", "gems", "--demonstrations", "runs/gems.demos", "--name", "mine"]
    options += ["--gradient-steps", "20", "--steps-per-update", "10", "--hidden-size", "8"]
    train_command(mamql.ALGORITHM, options)


def draw_kitchens() -> None:
    """The files of boards that pages name."""
    for name in ("kitchen.txt", "bottleneck.layout"):
        Path(name).write_text(KITCHEN)


PREPARED: dict[str, Callable[[], None]] = {
    "docs/boards.md": draw_kitchens,
    "docs/demonstrations.md": record_gems,
    "docs/mamql.md": train_mamql,
    "docs/overcooked.md": draw_kitchens,
}
"""What makes the files that the snippets of a page read."""


def expected_output(code: str) -> str:
    """What comments say that a block prints, as a pattern: behind a print, or in a line that begins with "prints"."""
    found = re.findall(r"(?:^print\(.*\) +# |^# prints )(.*)$", code, re.MULTILINE)
    return "\n".join(re.sub(r"([\[*?])", r"[\1]", line).replace("...", "*") for line in found)


def pages_with_snippets() -> list[Any]:
    return [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] if name_of(page) in SLOW else [])
        for page in PAGES
        if blocks(page, "python") and page.parent.name != "tutorials"  # which run as notebooks
    ]


@pytest.mark.parametrize("page", pages_with_snippets())
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES.get(name_of(page), ()):
        pytest.importorskip(library, reason='needs pip install -e ".[adapters]"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registration, "_FACTORIES", dict(registration._FACTORIES))  # pages register games
    PREPARED.get(name_of(page), lambda: None)()
    namespace: dict[str, Any] = {"__name__": "snippet"}
    for line, code in blocks(page, "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + code, name_of(page), "exec"), namespace)
        pattern = expected_output(code)
        assert not pattern or fnmatch.fnmatchcase(printed.getvalue().strip(), pattern), printed.getvalue()


def test_the_readmes_example_is_short() -> None:
    _, code = blocks(PAGES[0], "python")[0]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 12


def test_expected_output_is_read_from_comments() -> None:
    code = "x = 1  # print(\nprint(x)  # [1] ...\n    print(x)  # no\n# prints 2.5\n"
    assert expected_output(code) == "[[]1] *\n2.5"
    assert fnmatch.fnmatchcase("[1] and 3\n2.5", expected_output(code))
