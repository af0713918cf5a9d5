"""What all commands share where they meet the terminal: streams that take any text, and errors in one line."""

import functools
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec

from rich.console import Console

from jaxdilemmas.arguments import printable

INTERRUPTED = 130
"""Exit code of a program that was interrupted."""

Arguments = ParamSpec("Arguments")


def as_command(main: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Makes a function the body of a command.

    - A character that the terminal or file cannot show is printed as a replacement character.
    - When the reader of the output goes away, as in `... | head`, the command goes on in silence.
    - A `ValueError` (bad input), an `OSError` (a file that cannot be read or written), Ctrl-C and SIGTERM end the
      command with one line on stderr, in which control characters are escaped.

    Args:
      main: it raises what is listed above, or SystemExit, and prints to `sys.stdout` or `sys.stderr`.

    Returns:
      A function with the same arguments. It raises SystemExit with a message, which is exit code 1, after a ValueError
      or an OSError, and with code `INTERRUPTED` after Ctrl-C or SIGTERM.
    """

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with forgiving_streams(), sigterm_as_ctrl_c():
            try:
                main(*args, **kwargs)
                if sys.stdout is not None:
                    sys.stdout.flush()
            except OSError as error:
                sys.exit(f"error: {printable(describe(error))}")
            except ValueError as error:
                sys.exit(f"error: {printable(str(error))}")
            except KeyboardInterrupt:
                Console(stderr=True).print("interrupted")
                sys.exit(INTERRUPTED)

    return run


def describe(error: OSError) -> str:
    """Files and reason, in one line."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    reason = error.strerror or str(error)
    return f"{' -> '.join(names)}: {reason}" if names else reason


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Until it is left, SIGTERM raises KeyboardInterrupt, if this is the main thread, which receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Until it is left, `sys.stdout` and `sys.stderr` take any text, and drop text that nobody reads any more."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _forgiving(sys.stdout, "replace"), _forgiving(sys.stderr, "backslashreplace")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.flush()
        sys.stdout, sys.stderr = streams


def _forgiving(stream: Any, errors: str) -> Any:
    """The stream itself, or one with the same target that drops text instead of raising BrokenPipeError.

    Args:
      stream: None where the process has none. Terminals and streams that are not the process's own, as in a notebook,
        are returned, with `errors` set where they can be set.
      errors: what becomes of characters that cannot be encoded.
    """
    is_own = stream is not None and (stream is sys.__stdout__ or stream is sys.__stderr__)
    if not is_own or stream.isatty():
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    target = _Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        target if stream.write_through else io.BufferedWriter(target),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Pipe(io.FileIO):
    """A file descriptor that drops what is written when the reader of a pipe is gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
