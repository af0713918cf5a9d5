"""The adapters load only what they are asked for, and the examples of their page run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = [part.split("\n```")[0] for part in (ROOT / "docs/adapters.md").read_text().split("```python\n")[1:]]


def test_other_libraries_are_imported_with_their_own_adapter_alone() -> None:
    code = """
import sys, jaxdilemmas, jaxdilemmas.adapters.agents
jaxdilemmas.make("gathering")
print({"gymnasium", "jaxmarl", "pettingzoo"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("library", "example"), [*zip(["jaxmarl", "pettingzoo"], EXAMPLES, strict=True)])
def test_the_example_runs(library: str, example: str) -> None:
    pytest.importorskip(library, reason='needs pip install "jaxdilemmas[adapters]"')
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "50" in done.stdout
