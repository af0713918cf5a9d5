"""Settings and fixtures of all tests."""

import os
from collections.abc import Iterator

import jax
import pytest

from tests.browsing import browser
from tests.reference.compiling import QUICK_FLAGS

__all__ = ["browser", "quick_compiling"]

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + QUICK_FLAGS  # read where the first array is made


@pytest.fixture(scope="module")
def quick_compiling() -> Iterator[None]:
    """Compiles in about half the time what runs for a moment only; a module names it in its `pytestmark`."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
