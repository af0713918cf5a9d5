"""The installed package is light to import, complete in the wheel, and usable without the checkout."""

import os
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import jaxdilemmas

ROOT = Path(__file__).parent.parent


def run_python(code: str, directory: Path, **environment: str) -> str:
    """What `code` prints in a fresh interpreter, started outside the checkout."""
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def seconds_to_import(name: str, directory: Path) -> float:
    code = f"import time; start = time.perf_counter(); import {name}; print(time.perf_counter() - start)"
    return float(run_python(code, directory, PYTHONPATH=str(ROOT)))


def test_import_takes_at_most_one_and_a_half_times_that_of_jax(tmp_path: Path) -> None:
    pairs = [[seconds_to_import(name, tmp_path) for name in ("jax", "jaxdilemmas")] for _ in range(5)]
    jax_seconds, our_seconds = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert our_seconds <= 1.5 * jax_seconds


def test_import_alone_does_not_import_jax(tmp_path: Path) -> None:
    code = "import sys, jaxdilemmas; print('jax' in sys.modules)"
    assert run_python(code, tmp_path, PYTHONPATH=str(ROOT)) == "False"


def test_importing_every_module_runs_no_jax_computation(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil
import jaxdilemmas
adapters = ("jaxdilemmas.adapters.jaxmarl", "jaxdilemmas.adapters.pettingzoo")  # import libraries that may
for module in pkgutil.walk_packages(jaxdilemmas.__path__, "jaxdilemmas."):
    if module.name not in adapters:
        importlib.import_module(module.name)
from jax._src import xla_bridge
print(xla_bridge.backends_are_initialized())
"""
    assert run_python(code, tmp_path, PYTHONPATH=str(ROOT)) == "False"


def test_public_names_are_there_and_no_others_are() -> None:
    for name in dir(jaxdilemmas):
        assert getattr(jaxdilemmas, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = jaxdilemmas.no_such_name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_with_its_type_marker_and_licence_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "jaxdilemmas").rglob("*.py")}
    assert modules | {"jaxdilemmas/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"jaxdilemmas"}


def test_the_installed_wheel_steps_a_game_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = """
import jax, jaxdilemmas
env = jaxdilemmas.make("gathering")
obs, state = env.reset(jax.random.key(0))
step = env.step(jax.random.key(1), state, jax.numpy.zeros(2, "int32"))
print(jaxdilemmas.__file__, obs.shape, int(step[1].step_count))
"""
    assert run_python(code, tmp_path, PYTHONPATH=str(site)) == f"{site / 'jaxdilemmas' / '__init__.py'} (2, 16, 21) 1"


def test_the_readme_gives_one_line_to_train_and_one_to_test() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ("run", "test"):
        block = readme.split(f"<!-- command: {name} -->\n```bash\n")[1].split("\n```")[0]
        assert block.startswith("pip install -e ")
        assert "\n" not in block
