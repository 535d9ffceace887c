"""The pages of the originals name every switch, and no other, and some test sets every one of them."""

import re
from dataclasses import fields
from pathlib import Path

from openhmr.lab.training.official_configs import I2LQuirks, Pose2MeshQuirks

HERE = Path(__file__).parent
SWITCHES = {f.name for cls in (I2LQuirks, Pose2MeshQuirks) for f in fields(cls)}


def test_pages_name_every_switch() -> None:
    for name, cls in {"i2l_meshnet": I2LQuirks, "pose2mesh": Pose2MeshQuirks}.items():
        page = (HERE.parent / "docs" / "originals" / f"{name}.md").read_text(encoding="utf-8")
        named = set(re.findall(r"`QUIRKS\.(\w+): ", page))
        assert named == {f.name for f in fields(cls)}, name


def test_every_switch_is_set_by_a_test() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    unset = [name for name in SWITCHES if not re.search(rf"\b{name}( ?=|\": |=)", tests)]
    assert not unset, f"no test sets {unset}"
