"""Whatever a node of the annotation files is replaced by, readers answer with samples or with one
sentence."""

import copy
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.lab.data.freihand import FreiHAND
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.data.mscoco import MSCOCO
from openhmr.lab.data.muco import MuCo
from openhmr.lab.data.pw3d import PW3D
from openhmr.lab.data.types import Sample
from tests.conftest import make_tiny_body
from tests.test_data_recorded import MINI

BODY: Body = make_tiny_body()
GENDERED = dict.fromkeys(("neutral", "male", "female"), BODY)
READERS = {
    "Human36M-train": lambda root: Human36M(root, "train", BODY),
    "Human36M-test": lambda root: Human36M(root, "test", BODY),
    "MuCo": MuCo,
    "MSCOCO-train": lambda root: MSCOCO(root, "train"),
    "MSCOCO-test": lambda root: MSCOCO(root, "test"),
    "PW3D": lambda root: PW3D(root, GENDERED),
    "PW3D-gt": lambda root: PW3D(root, GENDERED, use_gt_info=True),
    "FreiHAND-train": lambda root: FreiHAND(root, "train"),
    "FreiHAND-test": lambda root: FreiHAND(root, "test"),
}
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
        [],
        [[]],
        {},
        {"a": 1},
        [1, "a"],
    ]
)


def nodes(content: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all nodes, of long number lists only of the first."""
    out = [path] if path else []
    children = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content[:2])
        if isinstance(content, list)
        else ()
    )
    for key, child in children:
        out += nodes(child, (*path, key))
    return out


def check_damage(root: Path, read: Callable[[Path], Iterable[Sample]], data: st.DataObject) -> None:
    """Replace or delete one node of one file below ``root``, read all samples, and put the file back."""
    file = data.draw(st.sampled_from(sorted(root.rglob("*.json"))))
    good = file.read_bytes()
    content = json.loads(good)
    path = data.draw(st.sampled_from(nodes(content)))
    at = damaged = copy.deepcopy(content)
    for key in path[:-1]:
        at = at[key]
    if data.draw(st.booleans()):
        at[path[-1]] = data.draw(JUNK)
    else:
        del at[path[-1]]
    try:
        file.write_text(json.dumps(damaged))
        for sample in read(root):
            assert sample.box_xywh.shape == (4,) and sample.pose.shape[-1] == 3
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
    finally:
        file.write_bytes(good)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shutil.copytree(MINI, root := tmp_path_factory.mktemp("fuzz") / "data")
    return root


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage(trees: Path, name: str, data: st.DataObject) -> None:
    check_damage(trees / name.split("-")[0], READERS[name], data)
