"""What tests share."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module")
def quick_compiling() -> Iterator[None]:
    """Compiles in about half the time what runs for a moment only; a module names it in its `pytestmark`."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
