"""FreiHAND's test set, which has no truth, in Pose2Mesh's training loop."""

from pathlib import Path

import numpy as np

from openhmr.joints import MANO
from openhmr.lab.data.freihand import FreiHANDPoses
from openhmr.lab.items.pose2mesh import PoseItems
from openhmr.lab.training.official_configs import DatasetSection, ModelSection, Pose2MeshConfig
from openhmr.lab.training.official_pose2mesh import Pose2MeshRecipe
from tests import pose_trees as trees
from tests.test_skinning import synthetic_body


def test_error_without_truth_is_zero(tmp_path: Path) -> None:
    trees.freihand(tmp_path)
    hand = synthetic_body(True)
    test = PoseItems(FreiHANDPoses(tmp_path, "test"), MANO, hand, train=False)
    config = Pose2MeshConfig(
        DATASET=DatasetSection(input_joint_set="mano", target_joint_set="mano"),
        MODEL=ModelSection(name="posenet", posenet_hidden=32),
    )
    work = Pose2MeshRecipe(config, hand, [], test)
    assert work.errors() == {"joint": 0.0}
    _, _, pose = next(work.predictions(2))
    assert np.abs(pose).max() > 0
