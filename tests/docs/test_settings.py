"""The page of IPPO has a row for every setting, with the default of the class."""

import dataclasses
import re

from baselines import ippo
from tests.docs.pages import ROOT


def test_the_page_of_ippo_has_every_setting_with_its_default() -> None:
    text = (ROOT / "docs/ippo.md").read_text(encoding="utf-8")
    rows = {
        name: default.replace("_000", "000") for name, default in re.findall(r"^\| `(\w+)` \| `(.*?)` \|", text, re.M)
    }
    assert rows == {field.name: str(field.default) for field in dataclasses.fields(ippo.Config)}
