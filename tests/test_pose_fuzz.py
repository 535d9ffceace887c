"""Readers of pose files against damaged, hostile and huge files: poses, or one sentence."""

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.errors import InputError
from openhmr.io.poses import read_poses
from openhmr.joints import BODY25, COCO, HALPE26, MEDIAPIPE33, get_joint_set
from tests import pose_writers as writers
from tests.pose_writers import CASES, SIZE, Writer, flat, landmarks, person, write

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LANDMARKS = landmarks(person(MEDIAPIPE33))


def test_large_files_are_refused_or_read_in_little_memory(tmp_path: Path) -> None:
    line = "1" * 40
    for text, says in (
        ('{"people": [' + "[]," * 1_000_001 + "[]]}", "1,000,000 lists and objects"),
        ("[" + " " * (24 << 20) + "]", "25,165,826 bytes"),
        ("nose_x,nose_y\n" + "1,2\n" * 6_500_000, "26,000,014 bytes"),
        (writers.csv_wide(person(COCO), COCO) + "1\n" * 20_001, "20,000 rows"),
        (writers.csv_long(person(COCO), COCO) + "\n1;1;Nose;2;3" * 200_001, "twice for one person"),
        ("joint,x,y\n" + "," * 140_000 + "a" * 140_000, "no readable table|where a number"),
        ("joint,x,y\n" + line * 5000 + ",1,2", "no readable table"),
        ("nose_x,nose_y" + ",a_x" * 9_999 + "\n", "10,001 columns"),
        ("joint,x,y\n" + "".join(f"a{i},1,2\n" for i in range(1001)), "names 1,001 joints"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "too deeply|no known format|not readable"),
        ("[" * 5000 + "]" * 5000, "too deeply|no known format|not readable"),
    ):
        with pytest.raises(InputError, match=says):
            read_poses(write(tmp_path / "p.txt", text))
    one = json.dumps({"image_id": 7, "keypoints": flat(person(COCO)), "score": 0.9})
    count = (4 << 20) // len(one)
    path = write(tmp_path / "p.json", "[" + one.replace("7", "8", 1) + ("," + one) * count + "]")
    tracemalloc.start()
    assert len(read_poses(path, image_id="8")) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * path.stat().st_size


NUMBERS = st.floats() | st.integers() | st.none() | st.sampled_from([0, 1, -1, 1e400, 10**400, "a", True])
LISTS = st.lists(NUMBERS, max_size=80) | st.sampled_from([flat(person(s)) for s in (COCO, BODY25, HALPE26)])
KEYS = st.sampled_from(
    "people bodies joints pose_keypoints_2d keypoints keypoint_scores foot_kpts image_id score annotations "  # noqa: SIM905
    "images categories instances instance_info predictions frame_id meta_info dataset_name landmarks frame "
    "pose_landmarks frames x y visibility image_size width height file_name id name".split()
)
JSON = st.recursive(
    NUMBERS | LISTS | st.text(max_size=4) | st.just(LANDMARKS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def reads_or_refuses(path: Path, **how: object) -> None:
    try:
        found = read_poses(path, **how)  # type: ignore[arg-type]
    except InputError as error:
        assert str(error)
        return
    assert np.isfinite(found.points).all() and found.points.shape[1:] == (found.joint_set.size, 3)


@FUZZ
@given(JSON, st.sampled_from([None, "1"]))
def test_any_json_is_read_or_refused(tmp_path: Path, content: object, image_id: str | None) -> None:
    path = write(tmp_path / "p.json", json.dumps(content))
    reads_or_refuses(path, image_id=image_id, image_size=SIZE)


NEW = ("", "[", "]", "{", "null", "1e999", '"', ",", "\n", "[]", "{}", "nan", "-1", "\0")


@pytest.mark.parametrize(("name", "writer"), CASES, ids=[f"{n}-{w.__name__}" for n, w in CASES])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damaged_file_is_read_or_refused(
    tmp_path: Path, name: str, writer: Writer, data: st.DataObject
) -> None:
    joint_set = get_joint_set(name)
    text = writer(person(joint_set), joint_set)
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 60))
    new = data.draw(
        st.sampled_from(["", "[", "]", "{", "null", "1e999", '"', ",", "\n", "[]", "{}", "nan", "-1", "\0"])
    )
    reads_or_refuses(write(tmp_path / "p", text[:at] + new + text[at + gone :]), image_size=SIZE)


CELLS = st.text(max_size=3) | st.sampled_from(
    "frame person joint x y score nose_x nose_y l_hip_x l_hip_y nose l_hip r_hip l_knee r_knee scorer "  # noqa: SIM905
    "bodyparts coords individuals likelihood 1 2.5 -1 nan inf 1e999".split()
)


@FUZZ
@given(st.lists(st.lists(CELLS, max_size=8), max_size=8), st.sampled_from(",;\t"))
def test_any_table_is_read_or_refused(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, escapechar="\\").writerows(rows)
    reads_or_refuses(tmp_path / "p.csv")
