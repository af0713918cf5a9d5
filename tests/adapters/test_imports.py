"""Each adapter imports only its own library."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_other_libraries_are_imported_with_their_own_adapter_alone() -> None:
    code = """
import sys, jaxdilemmas, jaxdilemmas.adapters.agents
jaxdilemmas.make("gathering")
print({"gymnasium", "jaxmarl", "pettingzoo"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
