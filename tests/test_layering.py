"""Who may import whom, read from the source of every module; docs/design.md says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACT = {"jaxdilemmas.environment", "jaxdilemmas.spaces"}
LIGHT = {"jax", "flax", "chex", "numpy"}
ALLOWED = {
    "jaxdilemmas.grid.*": {"jaxdilemmas.grid.geometry"},
    "jaxdilemmas.grid_environment": CONTRACT | {"jaxdilemmas.grid"},
    "jaxdilemmas.envs.*": CONTRACT | {"jaxdilemmas.grid", "jaxdilemmas.grid_environment", "jaxdilemmas.envs.maps"},
    "jaxdilemmas.environment": {"jaxdilemmas.spaces"},
    "jaxdilemmas.spaces": set(),
    "jaxdilemmas.preferences": set(),
    "jaxdilemmas.metrics": set(),
    "jaxdilemmas.policies": CONTRACT,
    "jaxdilemmas.wrappers": CONTRACT | {"jaxdilemmas.preferences"},
    "jaxdilemmas.testing": CONTRACT | {"jaxdilemmas.wrappers"},
}
"""What of the project a module imports at most; the longest fitting pattern holds, packages stand for their modules."""

ENTRY_POINTS = {"baselines.training.command", "baselines.training.display", "baselines.evaluate"}
"""Modules of the baselines that print; benchmarks are entry points all."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules(*folders: str) -> list[str]:
    return sorted(module_name(path) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def source(module: str) -> ast.Module:
    path = ROOT / Path(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(module: str, node: ast.AST | None = None, at_top: bool = False) -> Iterator[str]:
    """Names of imported modules, `from a import b` as a.b; with `at_top` only what importing the module imports."""
    for child in ast.iter_child_nodes(source(module) if node is None else node):
        if is_for_types(child) or (at_top and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module} has a relative import"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imports(module, child, at_top)


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def allowed(module: str) -> set[str] | None:
    """What `module` may import of the project; None where nothing is said."""
    fitting = [p for p in ALLOWED if p == module or (p.endswith(".*") and module.startswith(p.removesuffix("*")))]
    return ALLOWED[max(fitting, key=len)] if fitting else None


@pytest.mark.parametrize("module", [name for name in modules("jaxdilemmas") if allowed(name) is not None])
def test_a_module_imports_only_the_layers_below_it(module: str) -> None:
    found = {name for name in imports(module) if is_within(name, {"jaxdilemmas"})}
    assert {name for name in found if not is_within(name, allowed(module) or set())} == set()


@pytest.mark.parametrize("module", modules("jaxdilemmas"))
def test_the_package_imports_nothing_of_the_checkout(module: str) -> None:
    assert [name for name in imports(module) if is_within(name, {"baselines", "benchmarks", "tests"})] == []


@pytest.mark.parametrize("module", modules("jaxdilemmas"))
def test_importing_the_package_needs_the_light_libraries_alone(module: str) -> None:
    heavy = {"optax", "distrax", "matplotlib", "PIL", "wandb", "orbax", "safetensors", "tyro", "rich"}
    assert [name for name in imports(module, at_top=True) if is_within(name, heavy)] == []


def test_nothing_in_the_package_imports_rendering() -> None:
    rendering = {"jaxdilemmas.rendering"}
    importers = [name for name in modules("jaxdilemmas") if any(is_within(used, rendering) for used in imports(name))]
    assert importers == []


def algorithms() -> list[str]:
    """Modules directly in `baselines` that define how to train."""
    return [
        name for name in modules("baselines") if name.count(".") == 1 and "def make_train" in ast.unparse(source(name))
    ]


def test_algorithms_do_not_import_each_other() -> None:
    for module in algorithms():
        others = set(algorithms()) - {module}
        assert [name for name in imports(module) if is_within(name, others)] == []


def test_shared_parts_of_training_know_no_algorithm() -> None:
    for module in modules("baselines/training"):
        assert [name for name in imports(module) if is_within(name, set(algorithms()))] == []


@pytest.mark.parametrize("module", modules("jaxdilemmas", "baselines"))
def test_only_entry_points_print_or_read_the_command_line(module: str) -> None:
    calls = [ast.unparse(node) for node in ast.walk(source(module)) if isinstance(node, ast.Call | ast.Attribute)]
    if module not in ENTRY_POINTS:
        assert [call for call in calls if call.startswith("print(") or call == "sys.argv"] == []
