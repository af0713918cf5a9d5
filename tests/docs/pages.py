"""The blocks of Python and the lines of shell in the pages."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "baselines/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/tutorials").glob("*.md")),
]


def name_of(page: Path) -> str:
    """A page for people."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks in a language: the number of the first line, from 1, and the text."""
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text[: fence.start(1)].count("\n") + 1, fence.group(1)) for fence in fences]


def split_command(text: str) -> list[str]:
    """Module and arguments of `python -m module ...`, which may stand behind other commands and before a comment."""
    text = re.sub(r"\$'([^']*)'", lambda quoted: shlex.quote(quoted[1].encode().decode("unicode_escape")), text)
    words = shlex.split(text, comments=True)
    while "&&" in words:
        words = words[words.index("&&") + 1 :]
    start = next((i for i in range(len(words)) if words[i : i + 2] == ["python", "-m"]), len(words))
    return words[start + 2 :]


def fenced_commands(page: Path) -> list[list[str]]:
    """Module and arguments of each of the project's commands in fenced blocks."""
    lines = [line for _, text in blocks(page, "bash") for line in text.splitlines()]
    return [command for command in map(split_command, lines) if is_own(command)]


def inline_commands(page: Path) -> list[list[str]]:
    """Likewise, in the sentences and tables of a page."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]*python -m [^`]+)`", prose)
    return [command for command in map(split_command, spans) if is_own(command)]


def is_own(command: list[str]) -> bool:
    """Whether the project has the command."""
    return bool(command) and re.fullmatch(r"(baselines|benchmarks)(\.\w+)+", command[0]) is not None
