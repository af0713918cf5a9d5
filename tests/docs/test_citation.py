"""The citation of the project names its current version."""

import re

import pytest

import jaxdilemmas
from tests.docs.pages import ROOT


@pytest.mark.parametrize(
    ("name", "pattern"), [("README.md", r"version = \{(.*)\}"), ("CITATION.cff", r"^version: (.*)$")]
)
def test_the_citation_has_the_version_of_the_package(name: str, pattern: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(pattern, text, re.MULTILINE) == [jaxdilemmas.__version__]
