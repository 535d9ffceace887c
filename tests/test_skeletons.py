"""The list of skeletons: every joint is named, described and drawn where the body has it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openhmr.bodies.shipped import open_body
from openhmr.cli import main
from openhmr.joints import JOINT_SETS, MANO, ORIGINS, POINT_DESCRIPTIONS, JointSet
from openhmr.render.chart import skeleton_chart
from openhmr.render.skeleton import LEFT, MIDDLE, RIGHT


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["skeletons", *arguments]) == 0
    return capsys.readouterr().out


def test_every_skeleton_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(ORIGINS) == list(JOINT_SETS)
    lines = printed(capsys).splitlines()
    assert [line.split()[0] for line in lines] == list(JOINT_SETS)
    assert [int(line.split()[1]) for line in lines] == [len(s.base) for s in JOINT_SETS.values()]
    rows = json.loads(printed(capsys, "--json"))
    assert [(r["name"], r["from"]) for r in rows] == list(ORIGINS.items())


@pytest.mark.parametrize("joint_set", JOINT_SETS.values(), ids=lambda s: s.name)
def test_joints_are_described(capsys: pytest.CaptureFixture[str], joint_set: JointSet) -> None:
    lines = printed(capsys, joint_set.name).splitlines()
    assert lines[0] == ORIGINS[joint_set.name]
    assert [line.split()[:2] for line in lines[1:]] == [[str(i), n] for i, n in enumerate(joint_set.names)]
    found = json.loads(printed(capsys, joint_set.name, "--json"))
    assert found["bones"] == [list(bone) for bone in joint_set.skeleton]
    if joint_set is not MANO:
        assert all(j["where"].startswith(POINT_DESCRIPTIONS[j["point"]]) for j in found["joints"])


@pytest.mark.parametrize("name", ["halpe26", "points"])
def test_the_picture_shows_each_joint_in_its_colour(tmp_path: Path, name: str) -> None:
    assert main(["skeletons", name, "--out", str(tmp_path / "s.png")]) == 0
    with Image.open(tmp_path / "s.png") as file:
        picture = np.asarray(file).astype(int)
    assert (picture == skeleton_chart(JOINT_SETS[name], open_body())).all()
    middle = picture.shape[1] // 2
    for colour, columns in ((LEFT, slice(middle, None)), (RIGHT, slice(0, middle)), (MIDDLE, slice(None))):
        painted = (abs(picture - colour).max(-1) <= 2).sum(0)
        # The body faces the reader.
        assert painted[columns].sum() > 300 and painted[columns].sum() == painted.sum()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["halpe"], "did you mean 'halpe26'"),
        (["--out", "x.png"], "add its name"),
        (["mano", "--out", "x.png"], "the skeleton of a hand"),
        (["coco", "--out", "x.jpg"], "end it with .png"),
        (["coco", "--out", "no/where/x.png"], "there is no folder"),
    ],
)
def test_what_cannot_be_shown_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["skeletons", *arguments]) == 2
    assert says in capsys.readouterr().err
