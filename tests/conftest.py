"""Settings and fixtures of all tests."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import jax
import pytest

from tests.browsing import browser
from tests.reference.compiling import QUICK_FLAGS

__all__ = ["browser", "quick_compiling"]

WORTH_KEEPING = 0.05
"""Seconds; what takes longer to compile is compiled once for all tests of a run that need the same program."""

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + QUICK_FLAGS  # read where the first array is made

CACHE = "JAX_COMPILATION_CACHE_DIR"
if CACHE not in os.environ:  # the processes that run the tests, and the commands in tests, find it
    os.environ[CACHE] = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, os.environ[CACHE], ignore_errors=True)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(WORTH_KEEPING)
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
    jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@pytest.fixture(scope="module")
def quick_compiling() -> Iterator[None]:
    """Compiles in about half the time what runs for a moment only; a module names it in its `pytestmark`."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
