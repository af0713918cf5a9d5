"""Commands and the terminal: closed pipes, characters that it cannot show, errors in one line."""

import ast
import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from baselines.runs.terminal import INTERRUPTED, as_command, describe

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(
    f"{folder}.{path.stem}"
    for folder in ("baselines", "benchmarks")
    for path in (ROOT / folder).glob("*.py")
    if 'if __name__ == "__main__"' in path.read_text()
)


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_has_the_shared_body(module: str) -> None:
    tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text())
    mains = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    decorators = [ast.unparse(decorator) for main in mains for decorator in main.decorator_list]
    assert "as_command" in decorators or "train_command(" in ast.unparse(tree.body[-1])


def run_with_closed_pipe(module: str, *arguments: str) -> tuple[int, str]:
    """Runs a command whose output has a reader that is gone; returns the exit code and stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    return done.returncode, done.stderr


def test_help_into_a_closed_pipe_is_silent() -> None:
    assert run_with_closed_pipe("baselines.ippo", "--help") == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("module", COMMANDS)
def test_help_of_every_command_into_a_closed_pipe_is_silent(module: str) -> None:
    assert run_with_closed_pipe(module, "--help") == (0, "")


def test_a_run_whose_output_nobody_reads_goes_on_to_its_end(tmp_path: Path) -> None:
    options = ["--runs-dir", str(tmp_path), "--name", "unread"]
    assert run_with_closed_pipe("tests.baselines.fake_algorithm", *options) == (0, "")
    assert (tmp_path / "unread" / "parameters" / "seed_0.safetensors").is_file()


def test_a_terminal_of_another_encoding_gets_replacement_characters(tmp_path: Path) -> None:
    name = "läuft-\N{GREEK SMALL LETTER ALPHA}"
    command = [sys.executable, "-m", "tests.baselines.fake_algorithm", "--runs-dir", str(tmp_path), "--name", name]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"l?uft-?" in done.stdout
    assert (tmp_path / name / "parameters" / "seed_0.safetensors").is_file()


def test_a_stream_of_another_encoding_is_set_to_replace_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    as_command(lambda: Console().print("1.5 ± 0.5"))()
    assert stream.buffer.getvalue() == b"1.5 ? 0.5\n"
    assert sys.stdout is stream


def test_a_process_without_streams_runs_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    done: list[str] = []

    @as_command
    def main() -> None:
        Console().print("nowhere")
        done.append("printed")

    main()
    assert done == ["printed"]
    assert (sys.stdout, sys.stderr) == (None, None)


def raise_(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return as_command(main)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("size=0 is not allowed"), "error: size=0 is not allowed"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), "error: runs/a: No space left on device"),
        (OSError("cannot identify image"), "error: cannot identify image"),
        (ValueError("the runs are new\nline, \x1b[2Ja"), r"error: the runs are new\nline, \x1b[2Ja"),
        (OSError(errno.ENOENT, "No such file", "a\x07\udcff"), r"error: a\x07\udcff: No such file"),
        (KeyboardInterrupt(), INTERRUPTED),
        (SystemExit(2), 2),
    ],
)
def test_bad_input_and_files_end_a_command_with_one_line(error: BaseException, code: str | int) -> None:
    with pytest.raises(SystemExit) as exit_info:
        raise_(error)()
    assert exit_info.value.code == code


def test_sigterm_ends_a_command_as_ctrl_c_does() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_info:
        as_command(lambda: signal.raise_signal(signal.SIGTERM))()
    assert exit_info.value.code == INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        raise_(ZeroDivisionError())()


def test_both_files_of_a_failed_move_are_named() -> None:
    assert describe(OSError(errno.EXDEV, "Invalid link", "a", None, "b")) == "a -> b: Invalid link"
