"""The probe games keep the contract of all games."""

import pytest

from jaxdilemmas.testing import check_environment
from tests import probes

pytestmark = pytest.mark.usefixtures("quick_compiling")


def test_a_probe_keeps_the_contract() -> None:
    check_environment(probes.Probe(num_agents=2, params=probes.ACTION_FROM_MEMORY), num_steps=3)
