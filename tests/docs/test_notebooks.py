"""The tutorials run as notebooks, from the first cell to the last, and print what they show."""

import fnmatch
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pytest

from tests.baselines.playing.play_server import Person, Process, started
from tests.docs.notebooks import IN_A_TERMINAL, notebook_of
from tests.docs.pages import ROOT, fenced_commands, name_of
from tests.docs.test_snippets import expected_output

__all__ = ["started"]

TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
SECONDS = 900
"""The longest that a cell may take."""

RIGHT, DOWN, LEFT, UP, STAY = range(5)


def test_blocks_are_cells_and_commands_that_do_not_end_are_text() -> None:
    page = (
        "# A page\n\n```python\nprint(1)\n```\n\nWords.\n\n```bash\npip install x\n```\n\n"
        "```bash\npython -m baselines.play --env gems\n```\n\n```bash\npython -m baselines.ippo\n```\n"
    )
    cells = nbformat.reads(notebook_of(page), 4).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "markdown", "code"]
    assert cells[0].source == "# A page"
    assert cells[1].source == "print(1)"
    assert "pip install x" in cells[2].source and "baselines.play" in cells[2].source
    assert cells[3].source == "%%bash -e\npython -m baselines.ippo"


def wanted_action(observation: Any) -> int:
    """What somebody does who wants gems of the own colour alone: a step towards the nearest one."""
    cells = np.array(observation, int)
    ways = cells[2:5] - cells[0]
    ways = ways[cells[2:5, 0] >= 0]
    down, right = ways[np.abs(ways).sum(1).argmin()]
    if right:
        return RIGHT if right > 0 else LEFT
    return (DOWN if down > 0 else UP) if down else STAY


def play_by_hand(person: Person, num_episodes: int) -> None:
    """Plays whole episodes as a page does, key by key, and saves them."""
    for episode in range(num_episodes):
        frame = person.frame if episode == 0 else person.wait_for(num_steps=0)
        while not frame["is_over"]:
            person.choose(wanted_action(frame["observation"]))
            frame = person.wait_for(num_steps=frame["num_steps"] + 1)
        person.send("restart")
    person.send("save")
    assert f"{num_episodes} whole episodes are in" in person.receive("said")["message"]


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_a_tutorial_runs_as_a_notebook(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[..., Process]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for module, *options in fenced_commands(page):
        if module in IN_A_TERMINAL:
            play_by_hand(started(*options).person(0), 5)
    notebook = nbformat.reads(notebook_of(page.read_text(encoding="utf-8")), 4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
        printed = "".join(it.text for it in cell.outputs if it.output_type == "stream" and it.name == "stdout")
        pattern = expected_output(cell.source)
        assert not pattern or fnmatch.fnmatchcase(printed.strip(), pattern), printed
