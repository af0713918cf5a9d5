"""What tests share."""

import os
from collections.abc import Iterator

import jax
import pytest

# The older emitters of XLA compile for a CPU in half the time; the flags are read where the first array is made.
# They add up in another order: what is compared bit by bit with recordings asks for the usual ones.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"


@pytest.fixture(scope="module")
def quick_compiling() -> Iterator[None]:
    """Compiles in about half the time what runs for a moment only; a module names it in its `pytestmark`."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
