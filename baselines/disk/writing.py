"""How files of results are written and read, so that nothing is lost and nothing outside of a run is touched.

A file is written beside its place, flushed to the disk, and renamed: it is there as a whole or not at all, whenever the
program or the machine stops. A symbolic link is never followed out of a run directory.
"""

import contextlib
import errno
import hashlib
import os
import platform
import secrets
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
import safetensors
import safetensors.numpy

from jaxdilemmas.arguments import check_kind, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOCK = ".lock"
"""Name of the file that is locked while a process writes into a run directory."""

CHECKSUM = "sha256"
"""Name of the checksum in a file that holds its own."""

MOST_TEXT_BYTES = 10_000_000
"""More than any config holds."""


class DamagedError(ValueError):
    """A file that is cut off or altered."""


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; the file there replaces `path` in one step at the end.

    If the writing fails, `path` stays as it was. A symbolic link at `path` is replaced, not followed. Of processes that
    write the same file at the same time each has a path of its own, and the file is that of the last one, whole.

    Args:
      path: the file to be. Its directory is made if need be.

    Raises:
      OSError: it cannot be written; the error names a file.
    """
    make_directory(path.parent)
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part{path.suffix}")
    try:
        with naming(path):
            yield beside
            flush_to_disk(beside)
            os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    flush_to_disk(path.parent)


def check_path(path: Any) -> None:
    """Raises a ValueError unless this is text or a path."""
    check_kind("path", path, (str, os.PathLike), "the path of a file or directory")


def make_directory(path: Path) -> None:
    """Makes a directory and those above it, unless it exists.

    Raises:
      OSError: it cannot be made; the error names it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def check_is_free(path: Path) -> None:
    """Raises a ValueError if there is anything at a path, be it a link to nothing."""
    if path.is_dir():
        raise ValueError(f"{path} is a directory: name a file in it")
    if os.path.lexists(path):
        raise ValueError(f"{path} exists: choose another name; no file is overwritten")


def write_file(path: Path, content: str | bytes) -> None:
    """Writes a file as a whole or not at all; see `written_beside`."""
    with written_beside(path) as beside, GrowingFile(beside, is_new=True) as file:
        file.append(content.encode() if isinstance(content, str) else content)


def save_figure(path: Path, figure: "Figure") -> None:
    """Writes a picture of matplotlib; see `written_beside`."""
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=120)


class GrowingFile:
    """A file that is written from its start to its end, each part as a whole or not at all.

    Every part is handed to the operating system at once, so that it survives the end of the program.

    Args:
      path: the file; a symbolic link is refused.
      is_new: whether it must not exist yet; else it must.

    Raises:
      OSError: it cannot be opened; the error names it.
    """

    def __init__(self, path: Path, is_new: bool) -> None:
        self.path = path
        flags = os.O_CREAT | os.O_EXCL if is_new else 0
        with naming(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | flags, 0o644)
        self._length = self._planned = os.fstat(self._descriptor).st_size

    def append(self, content: bytes) -> None:
        """Adds a part.

        Raises:
          OSError: for example, the disk is full or the file was removed; what was written before stays.
        """
        self.check_is_there()
        self._planned = self.settle() + len(content)
        left = memoryview(content)
        try:
            with naming(self.path):
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except BaseException:
            with contextlib.suppress(OSError):
                self.settle()
            raise

    def settle(self) -> int:
        """Drops a part whose writing was interrupted.

        What is whole is read off the length of the file alone, so that it does not matter where the interruption was.

        Returns:
          The number of bytes of all whole parts.
        """
        with naming(self.path):
            size = os.fstat(self._descriptor).st_size
            if size >= self._planned:
                self._length = self._planned
            elif size > self._length:
                os.ftruncate(self._descriptor, self._length)
        return self._length

    def check_is_there(self) -> None:
        """Raises an OSError if the file was removed, or replaced by another, while it was written."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                return
        raise FileNotFoundError(errno.ENOENT, "removed while it was written", str(self.path))

    def flush(self) -> None:
        """Returns when what was written would survive a loss of power."""
        with naming(self.path):
            os.fsync(self._descriptor)

    def rename(self, path: Path) -> None:
        """Takes the place of another file in one step; parts can be added as before."""
        self.flush()
        with naming(path):
            os.replace(self.path, path)
        self.path = path

    def rename_to_new(self, path: Path) -> None:
        """As `rename`, to a path where there is nothing.

        Raises:
          ValueError: there is something.
        """
        self.flush()
        try:
            os.link(self.path, path)  # unlike a renaming it fails if there is something
        except FileExistsError:
            check_is_free(path)
            raise
        except OSError:  # of a file system without hard links
            check_is_free(path)
            with naming(path):
                os.rename(self.path, path)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        self.path = path

    def close(self) -> None:
        """Closes the file."""
        with naming(self.path):
            os.close(self._descriptor)

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def has_other_names(path: Path) -> bool:
    """Whether a file is in other directories as well, by hard links: what is written into it is written there too."""
    return path.is_file() and path.stat().st_nlink > 1


def flush_to_disk(path: Path) -> None:
    """Returns when what was written to a file, or the names in a directory, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives every OSError of what is done inside the name of the file, which a failed write lacks."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def read_file(path: Path) -> bytes:
    """The content of a file of text, such as a config.

    Raises:
      ValueError: it is missing, or longer than `MOST_TEXT_BYTES`.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    size = path.stat().st_size
    if size > MOST_TEXT_BYTES:
        raise ValueError(f"{path} has {size:,} bytes: at most {MOST_TEXT_BYTES:,} are read")
    return path.read_bytes()


def check_links(directory: Path) -> None:
    """Raises a ValueError that names the first symbolic link below a directory that leads out of it."""
    root = Path(os.path.realpath(directory))  # unlike `Path.resolve` it raises nothing for a link to itself
    for parent, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                raise ValueError(
                    f"{directory / path.relative_to(root)} is a symbolic link out of the directory: it is not followed"
                )


@contextlib.contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Lets one process at a time write into a directory.

    Args:
      directory: it must exist. A file `.lock` stays in it, with the process that holds or held it.

    Raises:
      ValueError: another process holds it; the message names the process and the time. Or `.lock` is a hard link.
      OSError: the directory cannot be written to.
    """
    with _locked(directory / LOCK, directory):
        yield


@contextlib.contextmanager
def hold_new_file(path: Path) -> Iterator[None]:
    """Lets one process at a time write a new file.

    Args:
      path: where there must be nothing. Its directory is made if need be; a file `.<name>.lock` is beside it meanwhile.

    Raises:
      ValueError: something is there, or another process writes it; the message names the process and the time.
      OSError: the directory cannot be made or written to.
    """
    check_is_free(path)
    make_directory(path.parent)
    lock = path.with_name(f".{path.name}{LOCK}")
    with _locked(lock, path):
        try:
            check_is_free(path)
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()


@contextlib.contextmanager
def _locked(path: Path, held: Path) -> Iterator[None]:
    """Locks the file at `path`, which stands for `held`."""
    if path.is_symlink():
        path.unlink()
    if has_other_names(path):
        raise ValueError(
            f"{path} has another name by a hard link, so nothing is written to it: remove {path.name} first"
        )
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
        raise ValueError(f"{held} is in use by {show(holder)[1:-1]}: wait until it ends, or stop it") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(held)) from error
    try:
        now = datetime.now().isoformat(" ", timespec="seconds")
        with naming(path):
            path.write_text(f"process {os.getpid()} on {platform.node()} since {now}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def checksum(arrays: Mapping[str, Any]) -> str:
    """SHA-256 of names, dtypes, shapes and values of arrays, whatever their order, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name!r} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def note_without_checksum(path: Path) -> None:
    """Warns that a file of an earlier version cannot be checked."""
    warnings.warn(f"{path} has no checksum, as files of earlier versions: it is read unchecked", stacklevel=2)


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name as safetensors, with their checksum; see `written_beside`."""
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_file(path, safetensors.numpy.save(plain, {CHECKSUM: checksum(plain)}))


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Raises:
      ValueError: the file is missing.
      DamagedError: it is cut off, no safetensors file, or altered.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            stored = (file.metadata() or {}).get(CHECKSUM)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        # the last two: of a dtype that NumPy lacks
        raise DamagedError(f"{path} is truncated or no safetensors file: {show(str(error))[1:-1]}") from error
    if stored is None:
        note_without_checksum(path)
    elif stored != checksum(arrays):
        raise DamagedError(f"{path} is damaged: its values do not have the checksum that was written with them")
    return arrays
