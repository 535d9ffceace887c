"""The page of quirks names every switch, and no other, and some test sets every one of them."""

import re
from dataclasses import fields
from pathlib import Path

from openhmr.lab.training.official_configs import I2LQuirks, Pose2MeshQuirks

HERE = Path(__file__).parent
SWITCHES = {f.name for cls in (I2LQuirks, Pose2MeshQuirks) for f in fields(cls)}


def test_page_names_every_switch() -> None:
    page = (HERE.parent / "docs" / "quirks.md").read_text()
    assert set(re.findall(r"`QUIRKS\.(\w+)", page)) == SWITCHES


def test_every_switch_is_set_by_a_test() -> None:
    tests = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    unset = [name for name in SWITCHES if not re.search(rf"\b{name}( ?=|\": |=)", tests)]
    assert not unset, f"no test sets {unset}"
