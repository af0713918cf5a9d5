"""Every command in the pages has options that exist; the real parsers read the blocks of shell as a whole."""

import argparse
import contextlib
import functools
import io
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tyro

import jaxdilemmas
from baselines.runs.options import parse_env_kwargs
from jaxdilemmas.environment import Environment
from jaxdilemmas.policies import scripted_policies
from tests.docs.pages import PAGES, ROOT, blocks, fenced_commands, inline_commands, name_of, split_command

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")

KITCHEN = "XXPXX\nO1 2O\nXDXSX\n"

FENCED = [(name_of(page), command) for page in PAGES for command in fenced_commands(page)]
INLINE = [(name_of(page), command) for page in PAGES for command in inline_commands(page)]

EXTRA = {"baselines.studies.mamql": {"--quick"}}
"""Options that a command reads by itself."""


def in_words(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)


class Read(Exception):  # noqa: N818
    """Options were read; nothing is run."""


@pytest.fixture
def stops_after_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsers raise `Read` with what they read."""
    read_by_tyro, read_by_argparse = tyro.cli, argparse.ArgumentParser.parse_args

    def cli(*arguments: Any, **options: Any) -> Any:
        raise Read(read_by_tyro(*arguments, **options))

    def parse_args(parser: argparse.ArgumentParser, argv: Any = None) -> Any:
        raise Read(read_by_argparse(parser, argv))

    monkeypatch.setattr(tyro, "cli", cli)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


def read(command: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the parser of a command reads from its arguments; the run to resume is not looked for."""
    module, *arguments = (word for word in command if word != "--resume")
    monkeypatch.setattr("sys.argv", [module, *arguments])
    with pytest.raises(Read) as stopped:
        runpy.run_module(module, run_name="__main__")
    return stopped.value.args[0]


@pytest.mark.usefixtures("stops_after_reading")
@pytest.mark.parametrize(("page", "command"), FENCED, ids=in_words)
def test_the_options_of_a_command_are_read(
    page: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gems_expert.npz").touch()
    Path("kitchen.txt").write_text(KITCHEN)
    options = read(command, monkeypatch)
    options = getattr(options, "run", options)  # of a training command
    if isinstance(getattr(options, "env", None), str):
        check_players(options, jaxdilemmas.make(options.env, **parse_env_kwargs(options.env_kwargs)))


def check_players(options: Any, env: Environment) -> None:
    """Who plays is a policy of the game, or a run that the page has made before."""
    for name in ("policy", "cooperate", "defect"):
        player = getattr(options, name, None)
        assert player is None or player in scripted_policies(env) or player.startswith("runs/")


@functools.cache
def help_of(module: str) -> str:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        monkeypatch.setattr("sys.argv", [module, "--help"])
        with pytest.raises(SystemExit):
            runpy.run_module(module, run_name="__main__")
    return printed.getvalue()


@pytest.mark.parametrize(("page", "command"), INLINE, ids=in_words)
def test_the_options_of_a_command_in_a_sentence_exist(page: str, command: list[str]) -> None:
    module, *arguments = command
    named = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    known = {*re.findall(r"--[\w-]+", help_of(module)), "--help", *EXTRA.get(module, ())}
    assert named <= known


def test_commands_are_found_in_blocks_and_sentences() -> None:
    assert split_command("a=1 && python -m baselines.ippo --env a  # why") == ["baselines.ippo", "--env", "a"]
    assert split_command("git clone x") == []
    assert {command[0] for _, command in FENCED} >= {
        "baselines.ippo",
        "baselines.studies.mamql",
        "benchmarks.throughput",
    }
    assert {command[0] for _, command in INLINE} >= {"baselines.evaluate", "benchmarks.gems_recording"}


INSTALLS = [
    (name_of(page), line)
    for page in PAGES
    for _, text in blocks(page, "bash")
    for line in text.splitlines()
    if line.startswith("pip install")
]


@pytest.mark.parametrize(("page", "line"), INSTALLS)
def test_what_is_installed_is_the_checkout_with_extras_that_exist(page: str, line: str) -> None:
    found = re.match(r'pip install -e "\.\[([\w,]+)\]"', line)
    assert found
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert {*found[1].split(",")} <= extras.keys()


def test_no_page_or_module_installs_a_release_that_there_is_not() -> None:
    files = [*PAGES, *(ROOT / "jaxdilemmas").rglob("*.py"), *(ROOT / "baselines").rglob("*.py")]
    assert [name_of(file) for file in files if re.search(r"pip install \W*jaxdilemmas", file.read_text())] == []
