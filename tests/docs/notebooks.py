"""Pages in Markdown as notebooks: blocks of Python and the project's own commands are cells that run."""

import re

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.docs.pages import is_own, split_command

IN_A_TERMINAL = {"baselines.play"}
"""Commands that do not end by themselves, and so stay text."""

BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def notebook_of(markdown: str) -> str:
    """The page as a notebook, in JSON.

    Args:
      markdown: the page. A block of shell is a cell if it holds nothing but commands of the project that end.
    """
    cells, done = [], 0
    for block in BLOCK.finditer(markdown):
        language, code = block.groups()
        if language == "bash" and not is_run(code):
            continue
        cells.append(new_markdown_cell(markdown[done : block.start()].strip()))
        cells.append(new_code_cell(code.strip() if language == "python" else f"%%bash -e\n{code.strip()}"))
        done = block.end()
    cells.append(new_markdown_cell(markdown[done:].strip()))
    cells = [cell for cell in cells if cell.source]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # and not a random one, so that the same page is the same notebook
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel}))


def is_run(code: str) -> bool:
    """Whether a block of shell holds nothing but commands of the project that end by themselves."""
    commands = [split_command(line) for line in code.splitlines()]
    return all(is_own(command) and command[0] not in IN_A_TERMINAL for command in commands)
