"""Whatever a node of the files is replaced by, Pose2Mesh's readers answer with samples or with one
sentence."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.lab.data.freihand import FreiHANDPoses
from openhmr.lab.data.human36m import Human36MPoses
from openhmr.lab.data.mscoco import CocoDataset
from openhmr.lab.data.muco import MuCoPoses
from openhmr.lab.data.pw3d import PW3DPoses
from openhmr.lab.data.surreal import SURREAL
from tests import pose_trees
from tests.conftest import make_tiny_body
from tests.test_data_fuzz import check_damage

BODY = make_tiny_body()
READERS = {
    "Human36M-train": lambda root: Human36MPoses(root, "train", BODY),
    "Human36M-test": lambda root: Human36MPoses(root, "test", BODY),
    "MuCo": MuCoPoses,
    "COCO": CocoDataset,
    "PW3D": PW3DPoses,
    "SURREAL-train": lambda root: SURREAL(root, "train"),
    "FreiHAND-train": lambda root: FreiHANDPoses(root, "train"),
    "FreiHAND-test": lambda root: FreiHANDPoses(root, "test"),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    pose_trees.every(root, BODY)
    return root


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage(trees: Path, name: str, data: st.DataObject) -> None:
    check_damage(trees / name.split("-")[0], READERS[name], data)
