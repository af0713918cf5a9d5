"""Which module may import which, read from the source of every module; docs/design.md gives the reasons."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACT = {"jaxdilemmas.arguments", "jaxdilemmas.environment", "jaxdilemmas.spaces"}
GAME = CONTRACT | {"jaxdilemmas.batching", "jaxdilemmas.grid", "jaxdilemmas.uniforms", "jax", "numpy", "flax", "chex"}
MECHANICS = {
    f"jaxdilemmas.grid.{name}"
    for name in ("beams", "bits", "geometry", "items", "maps", "movement", "spawning", "views")
}
MECHANICS |= {"jaxdilemmas.batching", "jax", "numpy", "chex"}
ALLOWED = {
    "jaxdilemmas": {"jaxdilemmas.registration"},
    "jaxdilemmas.registration": {"jaxdilemmas.arguments", "jaxdilemmas.environment"},
    "jaxdilemmas.arguments": {"jax", "numpy"},
    "jaxdilemmas.spaces": {"jaxdilemmas.arguments", "jax", "numpy", "flax"},
    "jaxdilemmas.environment": {"jaxdilemmas.arguments", "jaxdilemmas.batching", "jaxdilemmas.spaces"}
    | {"jax", "numpy", "flax"},
    "jaxdilemmas.payoff_environment": CONTRACT | {"jaxdilemmas.batching", "jaxdilemmas.uniforms", "jax", "flax"},
    "jaxdilemmas.graphs": {"jaxdilemmas.arguments", "numpy", "networkx"},
    "jaxdilemmas.preferences": {"jaxdilemmas.arguments", "jax", "numpy"},
    "jaxdilemmas.bonuses": {"jaxdilemmas.arguments", "jax"},
    "jaxdilemmas.metrics": {"jaxdilemmas.arguments", "jax", "numpy"},
    "jaxdilemmas.policies": {"jaxdilemmas.policies.by_name", "jaxdilemmas.policies.chance"},
    "jaxdilemmas.policies.*": GAME | {"jaxdilemmas.policies.routes"},
    "jaxdilemmas.policies.cleanup": GAME
    | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.cleanup"}
    | {"jaxdilemmas.envs.cleanup_gallego", "jaxdilemmas.envs.cleanup_meltingpot"},
    "jaxdilemmas.policies.coins": GAME | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.coins"},
    "jaxdilemmas.policies.by_name": CONTRACT | {"jaxdilemmas.policies.chance", "jax"},
    "jaxdilemmas.policies.chance": CONTRACT | {"jax", "numpy"},
    "jaxdilemmas.policies.routes": GAME,
    "jaxdilemmas.policies.coin_game": CONTRACT | {"jaxdilemmas.envs.coin_game", "jax", "numpy"},
    "jaxdilemmas.policies.common_pool": CONTRACT | {"jaxdilemmas.envs.common_pool", "jax"},
    "jaxdilemmas.policies.common_pool_network": CONTRACT | {"jaxdilemmas.envs.common_pool_network", "jax"},
    "jaxdilemmas.policies.coop_mining": GAME | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.coop_mining"},
    "jaxdilemmas.policies.externality_mushrooms": GAME
    | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.externality_mushrooms", "jaxdilemmas.envs.mushrooms"},
    "jaxdilemmas.policies.gift_refinements": GAME
    | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.gift_refinements"},
    "jaxdilemmas.policies.territory": GAME | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.territory"},
    "jaxdilemmas.policies.gems": CONTRACT | {"jaxdilemmas.envs.gems", "jax"},
    "jaxdilemmas.policies.in_the_matrix": GAME | {"jaxdilemmas.policies.routes", "jaxdilemmas.envs.in_the_matrix"},
    "jaxdilemmas.policies.intersection": CONTRACT | {"jaxdilemmas.envs.intersection", "jax"},
    "jaxdilemmas.policies.level_based_foraging": CONTRACT
    | {"jaxdilemmas.envs.level_based_foraging", "jaxdilemmas.grid", "jax"},
    "jaxdilemmas.policies.matrix_game": CONTRACT
    | {"jaxdilemmas.envs.matrix_game", "jaxdilemmas.payoff_environment", "jaxdilemmas.uniforms", "jax", "numpy"},
    "jaxdilemmas.policies.overcooked": CONTRACT
    | {"jaxdilemmas.envs.kitchens", "jaxdilemmas.envs.overcooked", "jaxdilemmas.policies.routes"}
    | {"jaxdilemmas.grid", "jax", "numpy"},
    "jaxdilemmas.batching": {"jax"},
    "jaxdilemmas.uniforms": {"jaxdilemmas.batching", "jax", "numpy"},
    "jaxdilemmas.wrappers": CONTRACT
    | {"jaxdilemmas.batching", "jaxdilemmas.bonuses", "jaxdilemmas.preferences", "jaxdilemmas.uniforms", "jax", "flax"},
    "jaxdilemmas.testing": CONTRACT | {"jaxdilemmas.testing"},
    "jaxdilemmas.testing.*": CONTRACT | {"jaxdilemmas.testing", "jaxdilemmas.wrappers", "jax", "numpy"},
    "jaxdilemmas.rendering": CONTRACT | {"jaxdilemmas.rendering", "jax", "numpy", "PIL", "imageio_ffmpeg"},
    "jaxdilemmas.rendering.*": CONTRACT | {"jaxdilemmas.rendering", "jaxdilemmas.wrappers", "jax", "numpy"},
    "jaxdilemmas.rendering.raster": {"jaxdilemmas.rendering", "numpy", "PIL"},
    "jaxdilemmas.pictures": set(),
    "jaxdilemmas.pictures.*": GAME | {"jaxdilemmas.rendering", "jaxdilemmas.envs"},
    "jaxdilemmas.pictures.common_pool_network": GAME
    | {"jaxdilemmas.rendering", "jaxdilemmas.envs", "jaxdilemmas.pictures.common_pool"},
    "jaxdilemmas.pictures.matrix_game": {"jaxdilemmas.envs.matrix_game", "jaxdilemmas.pictures.common_pool"}
    | {"jaxdilemmas.rendering", "jax", "numpy"},
    "jaxdilemmas.adapters": set(),
    "jaxdilemmas.adapters.agents": CONTRACT | {"jaxdilemmas.wrappers"},
    "jaxdilemmas.adapters.jaxmarl": CONTRACT | {"jaxdilemmas.adapters.agents", "jax", "jaxmarl"},
    "jaxdilemmas.adapters.pettingzoo": CONTRACT
    | {"jaxdilemmas.adapters.agents", "jaxdilemmas.rendering", "jaxdilemmas.wrappers"}
    | {"jax", "numpy", "gymnasium", "pettingzoo"},
    "jaxdilemmas.grid": set(),
    "jaxdilemmas.grid.*": {"jaxdilemmas.batching", "jaxdilemmas.grid.geometry", "jaxdilemmas.grid.bits"}
    | {"jaxdilemmas.uniforms", "jax", "numpy", "chex"},
    "jaxdilemmas.grid.items": MECHANICS,
    "jaxdilemmas.grid.barriers": MECHANICS | {"flax"},
    "jaxdilemmas.grid.claims": MECHANICS | {"flax"},
    "jaxdilemmas.grid.maps": {"jaxdilemmas.arguments", "numpy"},
    "jaxdilemmas.grid.scene": {"jax", "numpy"},
    "jaxdilemmas.grid.painting": MECHANICS | {"jaxdilemmas.arguments", "jaxdilemmas.grid.scene"},
    "jaxdilemmas.grid.environment": MECHANICS
    | CONTRACT
    | {"jaxdilemmas.grid.painting", "jaxdilemmas.grid.scene", "jaxdilemmas.uniforms", "flax"},
    "jaxdilemmas.grid.one_by_one": MECHANICS | {"jaxdilemmas.grid.scene", "jaxdilemmas.uniforms"},
    "jaxdilemmas.grid.lab2d": MECHANICS | CONTRACT | {"flax"},
    "jaxdilemmas.grid.sanctions": CONTRACT | {"jaxdilemmas.grid.movement", "jax", "numpy", "chex", "flax"},
    "jaxdilemmas.grid.river": MECHANICS | CONTRACT | {"jaxdilemmas.grid.lab2d", "jaxdilemmas.grid.scene", "flax"},
    "jaxdilemmas.envs": set(),
    "jaxdilemmas.envs.*": GAME,
    "jaxdilemmas.envs.coop_mining": GAME | {"jaxdilemmas.envs.mines"},
    "jaxdilemmas.envs.externality_mushrooms": GAME | {"jaxdilemmas.envs.mushrooms"},
    "jaxdilemmas.envs.gift_refinements": GAME | {"jaxdilemmas.envs.mines"},
    "jaxdilemmas.envs.gallego": GAME | {"jaxdilemmas.envs.commons"},
    "jaxdilemmas.envs.coin_game": CONTRACT | {"jaxdilemmas.batching", "jaxdilemmas.uniforms", "jax", "numpy", "flax"},
    "jaxdilemmas.envs.common_pool": CONTRACT | {"jax", "numpy", "flax"},
    "jaxdilemmas.envs.common_pool_network": CONTRACT | {"jaxdilemmas.graphs", "jax", "numpy", "flax"},
    "jaxdilemmas.envs.gems": CONTRACT
    | {"jaxdilemmas.batching", "jaxdilemmas.grid", "jaxdilemmas.uniforms", "chex", "jax", "numpy", "flax"},
    "jaxdilemmas.envs.intersection": CONTRACT
    | {"jaxdilemmas.batching", "jaxdilemmas.uniforms", "chex", "jax", "numpy", "flax"},
    "jaxdilemmas.envs.in_the_matrix": GAME | {"jaxdilemmas.envs.matrices"},
    "jaxdilemmas.envs.level_based_foraging": GAME | {"jaxdilemmas.envs.orchard"},
    "jaxdilemmas.envs.orchard": {"jaxdilemmas.batching", "jaxdilemmas.grid", "jax", "numpy"},
    "jaxdilemmas.envs.matrices": {"jaxdilemmas.arguments", "jaxdilemmas.batching", "jaxdilemmas.grid", "jax", "numpy"},
    "jaxdilemmas.envs.territory": GAME | {"jaxdilemmas.envs.territories"},
    "jaxdilemmas.envs.kitchens": {"jaxdilemmas.arguments", "jaxdilemmas.grid", "numpy"},
    "jaxdilemmas.envs.matrix_game": CONTRACT | {"jaxdilemmas.payoff_environment", "jax", "numpy", "flax"},
    "jaxdilemmas.envs.overcooked": CONTRACT | {"jaxdilemmas.envs.kitchens", "jaxdilemmas.grid", "jax", "numpy", "flax"},
}
"""What a module imports at most beside the standard library; packages stand for their modules."""

LIGHT = {"jaxdilemmas", "jax", "flax", "chex", "numpy"}
"""What may be imported together with a module; anything else inside the function that uses it."""

ADAPTED = {"jaxdilemmas.adapters.jaxmarl": {"jaxmarl"}, "jaxdilemmas.adapters.pettingzoo": {"gymnasium", "pettingzoo"}}
"""What an adapter derives its class from comes with it too, so nothing else imports an adapter."""

DRAWN = {"jaxdilemmas.rendering.raster": {"PIL"}}
"""The module that draws pixels is imported by the function that draws the first ones."""

ENTRY_POINTS = {
    "baselines.runs.command",
    "baselines.compare",
    "baselines.demonstrate",
    "baselines.evaluate",
    "baselines.play",
    "baselines.watch",
    "baselines.schelling",
    "baselines.sweep",
    "baselines.studies.common_pool.__main__",
    "baselines.studies.mamql.__main__",
}
PRINTERS = ENTRY_POINTS | {
    "jaxdilemmas.testing",
    "baselines.studies.side_by_side",
    *(f"baselines.runs.{name}" for name in ("display", "interruption", "recording", "terminal")),
}
WRITERS = {"baselines.disk.writing", "jaxdilemmas.rendering", "jaxdilemmas.rendering.replay"}
WRITERS |= {"baselines.sweeping.trial"}  # its process writes a log
"""Who reads the command line, shows something on the terminal, writes files; of benchmarks all do."""

SHARED_NAMES = {"__init__.py", "__main__.py", "options.py"}
"""The names of files that may stand in several folders of `baselines`."""

LEARNING = {"core", "disk", "runs.command"}
IMITATING = LEARNING | {"imitation"}
COMMAND = {"core", "disk", "runs", "trained"}
WINGS = {
    "presets": set(),
    "disk": set(),
    "core": {"disk"},
    "runs": {"core", "disk", "presets"},
    "demonstrations": {"core", "disk"},
    "playing": {"core", "demonstrations", "disk"},
    "imitation": {"core", "demonstrations", "disk"},
    "networking": {"core"},
    "ippo": LEARNING,
    "networked": LEARNING | {"networking"},
    "mamql": IMITATING,
    "iq_learn": IMITATING | {"mamql"},
    "cloning": IMITATING,
    "adversarial": IMITATING | {"demonstrations", "ippo"},
    "analysis": {"core", "disk", "imitation"},
    "trained": {"adversarial", "cloning", "ippo", "iq_learn", "mamql", "networked"}
    | {"analysis", "core", "demonstrations", "disk", "imitation", "runs"},
    "evaluate": COMMAND,
    "watch": COMMAND | {"demonstrations"},
    "play": COMMAND | {"demonstrations", "playing"},
    "demonstrate": COMMAND | {"demonstrations"},
    "schelling": COMMAND | {"analysis"},
    "compare": {"analysis", "core", "disk", "runs"},
    "sweeping": {"analysis", "compare", "core", "disk", "runs", "trained"},
    "sweep": {"analysis", "core", "disk", "presets", "runs", "sweeping", "trained"},
}
"""What a wing of `baselines`, or a file beside them, imports of the others; studies import anything."""


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


def allowed(module: str) -> set[str]:
    """What `module` may import."""
    return ALLOWED[module] if module in ALLOWED else ALLOWED[f"{module.rpartition('.')[0]}.*"]


def foreign_imports(module: str, at_top: bool = False) -> set[str]:
    """What `module` imports beside the standard library."""
    return {name for name in imports(module, at_top=at_top) if name.split(".")[0] not in sys.stdlib_module_names}


@pytest.mark.parametrize("module", modules("jaxdilemmas"))
def test_a_module_imports_only_the_layers_below_it(module: str) -> None:
    assert {name for name in foreign_imports(module) if not is_within(name, allowed(module))} == set()


@pytest.mark.parametrize("module", modules("jaxdilemmas"))
def test_importing_the_package_needs_the_light_libraries_alone(module: str) -> None:
    light = LIGHT | (ADAPTED | DRAWN).get(module, set())
    assert {name for name in foreign_imports(module, at_top=True) if not is_within(name, light)} == set()


@pytest.mark.parametrize("module", modules("jaxdilemmas"))
def test_the_package_makes_no_claim_that_an_optimised_python_drops(module: str) -> None:
    assert [ast.unparse(node) for node in ast.walk(source(module)) if isinstance(node, ast.Assert)] == []


def importers(module: str) -> list[str]:
    """Modules of the package that import `module`."""
    return [name for name in modules("jaxdilemmas") if any(is_within(used, {module}) for used in imports(name))]


def test_nothing_in_the_package_but_pictures_and_an_adapter_imports_rendering() -> None:
    others = [name for name in importers("jaxdilemmas.rendering") if not is_within(name, {"jaxdilemmas.rendering"})]
    others = [name for name in others if not is_within(name, {"jaxdilemmas.pictures"})]
    assert others == ["jaxdilemmas.adapters.pettingzoo"]


def test_pictures_are_imported_when_a_game_is_drawn() -> None:
    assert [name for name in importers("jaxdilemmas.pictures") if not is_within(name, {"jaxdilemmas.pictures"})] == []


@pytest.mark.parametrize("adapter", sorted(ADAPTED))
def test_nothing_in_the_package_imports_an_adapter(adapter: str) -> None:
    assert importers(adapter) == []


def wing(module: str) -> str:
    """The folder or the file of `baselines` that a module stands in."""
    return module.split(".")[1]


def siblings(module: str) -> set[str]:
    """What a module of `baselines` imports of the other wings, without `baselines.`."""
    names = {name.removeprefix("baselines.") for name in imports(module) if name.startswith("baselines.")}
    return {name for name in names if name.split(".")[0] != wing(module)}


@pytest.mark.parametrize("module", [name for name in modules("baselines") if "." in name and wing(name) != "studies"])
def test_a_wing_of_the_baselines_imports_only_those_that_the_table_allows(module: str) -> None:
    assert {name for name in siblings(module) if not is_within(name, WINGS[wing(module)])} == set()


@pytest.mark.parametrize("module", [name for name in modules("baselines/studies") if name.count(".") == 3])
def test_a_study_imports_no_other_study(module: str) -> None:
    shared = {module.rpartition(".")[0], "baselines.studies.side_by_side"}
    of_studies = {name for name in imports(module) if name.startswith("baselines.studies.")}
    assert {name for name in of_studies if not is_within(name, shared)} == set()


def test_the_wings_have_no_circle() -> None:
    above: dict[str, set[str]] = {name: {used.split(".")[0] for used in uses} for name, uses in WINGS.items()}
    assert set(graphlib.TopologicalSorter(above).static_order()) == {*WINGS}  # a circle raises CycleError


def test_no_file_name_stands_twice_below_the_baselines() -> None:
    names = [path.name for path in (ROOT / "baselines").rglob("*.py") if path.name not in SHARED_NAMES]
    assert sorted(names) == sorted(set(names))


def calls(module: str) -> set[str]:
    """What `module` calls, without what it is a method of; `open` that writes as "open to write"."""
    found = set()
    for call in [node for node in ast.walk(source(module)) if isinstance(node, ast.Call)]:
        name = ast.unparse(call.func).split(".")[-1]
        arguments = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        is_writing = any(isinstance(a, str) and a and set(a) <= set("wax+bt") for a in arguments)
        found.add("open to write" if name == "open" and is_writing else name)
    return found


@pytest.mark.parametrize("module", modules("jaxdilemmas", "baselines"))
def test_who_prints_who_writes_files_and_who_reads_the_command_line_is_known(module: str) -> None:
    read = {ast.unparse(node) for node in ast.walk(source(module)) if isinstance(node, ast.Attribute)}
    assert module in ENTRY_POINTS or "sys.argv" not in read
    assert module in PRINTERS or "print" not in calls(module)
    if module not in WRITERS:
        assert calls(module).isdisjoint(
            {"open to write", "write_text", "write_bytes", "savefig", "save_file", "save_gif"}
        )


def test_tests_stand_in_the_same_rooms_as_what_they_test() -> None:
    for package in ("jaxdilemmas", "baselines"):
        folder = ROOT / "tests" / (package if package == "baselines" else "")
        others = {"baselines", "data", "docs", "reference"} if package == "jaxdilemmas" else set()
        rooms = {path.name for path in folder.iterdir() if any(path.glob("test_*.py"))} - others
        assert rooms <= {path.name for path in (ROOT / package).iterdir() if path.is_dir()}
