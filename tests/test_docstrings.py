"""The docstring of every public function of arrays contains the shapes of its arrays."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARRAYS = {"jax.Array", "np.ndarray", "jax.Array | np.ndarray", "ArrayLike"}
CONTRACT = {"transition", "observe", "step", "reset", "sample", "draw", "initial_state", "inner_state"}
"""Methods whose shapes stand once, in `Environment`, `Wrapper` and `Space`."""

PATHS = sorted(path for folder in ("jaxdilemmas", "baselines") for path in (ROOT / folder).rglob("*.py"))


def functions(node: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions and methods with their names; none inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from functions(child, f"{child.name}.")
        elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield inside + child.name, child


def takes_or_returns_arrays(function: ast.FunctionDef) -> bool:
    arguments = [a for a in [*function.args.args, *function.args.kwonlyargs] if a.annotation is not None]
    taken = [a for a in arguments if a.annotation is not None and ast.unparse(a.annotation) in ARRAYS]
    is_given = any(not (a.arg == "key" or a.arg.startswith("key_")) for a in taken)
    is_key = "PRNG key" in (ast.get_docstring(function) or "")
    return is_given or (function.returns is not None and ast.unparse(function.returns) in ARRAYS and not is_key)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_of_arrays_say_shapes(path: Path) -> None:
    found = functions(ast.parse(path.read_text()))
    shapeless = [
        name
        for name, function in found
        if takes_or_returns_arrays(function)
        and name.rpartition(".")[2] not in CONTRACT
        and "[" not in (ast.get_docstring(function) or "")
    ]
    assert shapeless == []
