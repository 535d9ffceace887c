"""Readers of pose files against damaged, hostile and huge files: poses, or one sentence.

Each parser meets a hundred files in a normal run; ten thousand with ``pytest tests/test_pose_fuzz.py
--hypothesis-profile=thorough``.
"""

import copy
import csv
import io
import json
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.errors import InputError
from openhmr.io.poses import read_poses, read_sequence
from openhmr.joints import BODY25, COCO, HALPE26, MEDIAPIPE33, get_joint_set
from tests import pose_writers as writers
from tests.pose_writers import CASES, SIZE, Writer, flat, landmarks, person, write

FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


PARSERS: dict[str, list[tuple[str, Writer]]] = {
    name: [(joints, writer) for joints, writer in CASES if writer in some]
    for name, some in {
        "coco": (writers.results, writers.data_set, writers.whole_body133, writers.whole_body_annotation),
        "alphapose": (writers.alphapose, writers.halpe136, writers.alphapose_keyed),
        "openpose": (writers.openpose,),
        "mmpose": (
            writers.mmpose_list,
            writers.mmpose_predictions,
            writers.mmpose_demo,
            writers.mmpose_video,
        ),
        "mediapipe": tuple(w for _, w in CASES if w.__name__.startswith("mediapipe")),
        "wide": (writers.csv_wide,),
        "long": (writers.csv_long,),
        "deeplabcut": (writers.deeplabcut, writers.deeplabcut_labelled),
        "trc": (writers.sports2d,),
    }.items()
}
TEXTS = {case: case[1](person(get_joint_set(case[0])), get_joint_set(case[0])) for case in CASES}
JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        10**30,
        1e300,
        float("nan"),
        float("inf"),
        "",
        "x",
        "../..",
        "\0",
        [],
        [[]],
        {},
        {"a": 1},
    ]
)
NEW = (
    "",
    "[",
    "]",
    "{",
    "null",
    "1e999",
    '"',
    ",",
    ";",
    "\t",
    "\n",
    "[]",
    "{}",
    "nan",
    "-1",
    "\0",
    "x",
    "0.5",
)


def reads_or_refuses(path: Path, data: st.DataObject) -> None:
    """One picture, its hands, or all frames: finite numbers, or one sentence; and little memory."""
    image_id = data.draw(st.sampled_from([None, "1", "a.jpg"]))
    part = data.draw(st.sampled_from(["body", "left_hand"]))
    for read in (
        lambda: [read_poses(path, image_id=image_id, image_size=SIZE, part=part)],  # type: ignore[arg-type]
        lambda: [frame.keypoints for frame in read_sequence(path, image_size=SIZE)],
    ):
        try:
            found = read()
        except InputError as error:
            assert str(error) and len(str(error)) < 700
            continue
        for people in found:
            assert np.isfinite(people.points).all()
            assert people.points.shape[1:] == (people.joint_set.size, 3)


@pytest.fixture(autouse=True, scope="module")
def little_memory() -> Iterator[None]:
    """However many files are read: less than a gigabyte more than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (1 << 20)


def nodes(content: object, path: tuple = ()) -> list[tuple]:  # type: ignore[type-arg]
    """Paths of all nodes, of long lists only of the first."""
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content[:3] if isinstance(content, list) else [])
    )
    return ([path] if path else []) + [n for key, child in inner for n in nodes(child, (*path, key))]


def as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # damaged before, or a table
        return None


def damaged(text: str, data: st.DataObject) -> str:
    """``text`` with a piece replaced, a node of its JSON replaced, deleted or doubled, or a line doubled."""
    how = data.draw(st.sampled_from(["piece", "node", "double", "line"]))
    content = as_json(text) if how in ("node", "double") else None
    if paths := nodes(content):
        path = data.draw(st.sampled_from(paths))
        at = content
        for key in path[:-1]:
            at = at[key]
        if how == "double" and isinstance(at, list):
            at.insert(path[-1], copy.deepcopy(at[path[-1]]))
        elif data.draw(st.booleans()):
            at[path[-1]] = data.draw(JUNK)
        else:
            del at[path[-1]]
        return json.dumps(content)
    if how == "line":
        lines = text.split("\n")
        row = data.draw(st.integers(0, len(lines) - 1))
        return "\n".join([*lines[: row + 1], *lines[row:]])
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 60))
    return text[:at] + data.draw(st.sampled_from(NEW)) + text[at + gone :]


@pytest.mark.parametrize("parser", PARSERS)
@FUZZ
@given(data=st.data())
def test_any_damaged_file_is_read_or_refused(tmp_path: Path, parser: str, data: st.DataObject) -> None:
    text = TEXTS[data.draw(st.sampled_from(PARSERS[parser]))]
    for _ in range(data.draw(st.integers(1, 3))):
        text = damaged(text, data)
    reads_or_refuses(write(tmp_path / "p", text), data)


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 17, 19, 26, 133, 136]), max_size=5)
ENTRIES = st.sampled_from([0.0, 1.0, -1.0, 5.5, 1e300, float("nan"), float("inf"), -3.0])


@FUZZ
@given(data=st.data())
def test_any_array_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    shape = shape if np.prod(shape) < 1e5 else shape[:2]
    array = np.random.default_rng(0).uniform(0, 400, shape)
    array.ravel()[: data.draw(st.integers(0, 60))] = data.draw(ENTRIES)
    with np.errstate(all="ignore"):
        array = array.astype(data.draw(st.sampled_from(["f8", "f4", "f2", "i4", "u1", "c8", "U3", "?"])))
    file = io.BytesIO()
    if data.draw(st.booleans()):
        np.save(file, array)
    else:
        np.savez(
            file,
            pose2d=array,
            image_size=data.draw(JUNK),
            joint_set=data.draw(st.sampled_from(["coco", "x", 3])),
        )
    content = bytearray(file.getvalue())
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + 4] = data.draw(st.binary(max_size=4))
    (tmp_path / "p").write_bytes(content)
    reads_or_refuses(tmp_path / "p", data)


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


@FUZZ
@given(JSON, st.data())
def test_any_json_is_read_or_refused(tmp_path: Path, content: object, data: st.DataObject) -> None:
    reads_or_refuses(write(tmp_path / "p.json", json.dumps(content)), data)


CELLS = st.text(max_size=3) | st.sampled_from(
    "frame person joint x y score nose_x nose_y l_hip_x l_hip_y nose l_hip r_hip l_knee r_knee scorer "  # noqa: SIM905
    "bodyparts coords individuals likelihood 1 2.5 -1 nan inf 1e999".split()
)


@FUZZ
@given(st.lists(st.lists(CELLS, max_size=8), max_size=8), st.sampled_from(",;\t"), st.data())
def test_any_table_is_read_or_refused(
    tmp_path: Path, rows: list[list[str]], delimiter: str, data: st.DataObject
) -> None:
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, escapechar="\\").writerows(rows)
    reads_or_refuses(tmp_path / "p.csv", data)
