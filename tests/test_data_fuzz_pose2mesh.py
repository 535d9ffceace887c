"""Whatever a node of the files is replaced by, Pose2Mesh's readers answer with samples or with one sentence."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.errors import InputError
from openhmr.lab.data.freihand import FreiHANDPoses
from openhmr.lab.data.human36m import Human36MPoses
from openhmr.lab.data.mscoco import COCO
from openhmr.lab.data.muco import MuCoPoses
from openhmr.lab.data.pw3d import PW3DPoses
from openhmr.lab.data.surreal import SURREAL
from tests import pose_trees
from tests.conftest import make_tiny_body
from tests.test_data_fuzz import JUNK, nodes

BODY = make_tiny_body()
READERS = {
    "Human36M-train": lambda root: Human36MPoses(root, "train", BODY), "Human36M-test": lambda root: Human36MPoses(root, "test", BODY),
    "MuCo": MuCoPoses, "COCO": COCO, "PW3D": PW3DPoses, "SURREAL-train": lambda root: SURREAL(root, "train"),
    "FreiHAND-train": lambda root: FreiHANDPoses(root, "train"), "FreiHAND-test": lambda root: FreiHANDPoses(root, "test"),
}  # fmt: skip


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    pose_trees.human36m(root / "Human36M", BODY)
    pose_trees.muco(root / "MuCo", BODY)
    pose_trees.coco(root / "COCO", BODY)
    pose_trees.pw3d(root / "PW3D")
    pose_trees.surreal(root / "SURREAL")
    pose_trees.freihand(root / "FreiHAND")
    return root


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage(trees: Path, name: str, data: st.DataObject) -> None:
    root = trees / name.split("-")[0]
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
        for sample in READERS[name](root):
            assert sample.box_xywh.shape == (4,) and sample.pose.shape[-1] == 3
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
    finally:
        file.write_bytes(good)
