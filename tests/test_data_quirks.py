"""The page of quirks names every switch, and no other."""

import re
from dataclasses import fields
from pathlib import Path

from openhmr.lab.training.settings import I2LQuirks, Pose2MeshQuirks


def test_page_names_every_switch() -> None:
    page = (Path(__file__).parents[1] / "docs" / "quirks.md").read_text()
    named = set(re.findall(r"`QUIRKS\.(\w+)", page))
    assert named == {f.name for cls in (I2LQuirks, Pose2MeshQuirks) for f in fields(cls)}
