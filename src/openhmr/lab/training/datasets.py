"""The data sets of an official config, prepared for its network, from one folder that holds them all as
officially laid out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import get_joint_set
from openhmr.lab.data.amass import AMASS
from openhmr.lab.data.freihand import FreiHAND, FreiHANDPoses
from openhmr.lab.data.human36m import Human36M, Human36MPoses
from openhmr.lab.data.mscoco import COCO, MSCOCO
from openhmr.lab.data.muco import MuCo, MuCoPoses
from openhmr.lab.data.pw3d import PW3D, PW3DPoses
from openhmr.lab.data.surreal import SURREAL
from openhmr.lab.data.types import Samples
from openhmr.lab.evaluation.i2l_official import OfficialTest
from openhmr.lab.items.i2l_meshnet import I2LItems, Preparation
from openhmr.lab.items.pose2mesh import PoseItems
from openhmr.lab.training.official_configs import I2LConfig, Pose2MeshConfig, Pose2MeshQuirks

TESTED = ("Human36M", "PW3D", "SURREAL", "FreiHAND")
"""Data sets that Pose2Mesh can be tested on."""
I2LSets = tuple[list[I2LItems], list[I2LItems], OfficialTest | None]


def i2l_sets(
    config: I2LConfig, root: str | None, body: Body, gendered: Mapping[str, Body], with_train: bool
) -> I2LSets:
    """The 3D and 2D training sets and the test set below ``root``; none without a root."""
    if root is None:
        return [], [], None
    folder, preparation = Path(root), Preparation(config.kind, body, gendered, config.QUIRKS)
    test = OfficialTest(_i2l_test(config, folder, body, gendered), preparation)
    if not with_train:
        return [], [], test
    makers: dict[str, Callable[[Path], Samples]] = {
        "Human36M": lambda at: Human36M(at, "train", body),
        "MuCo": MuCo,
        "MSCOCO": lambda at: MSCOCO(at, "train"),
        "FreiHAND": lambda at: FreiHAND(at, "train"),
    }
    prepared = lambda names: [I2LItems(makers[name](folder / name), preparation) for name in names]
    return prepared(config.trainset_3d), prepared(config.trainset_2d), test


def _i2l_test(config: I2LConfig, folder: Path, body: Body, gendered: Mapping[str, Body]) -> Samples:
    at = folder / config.testset
    if config.testset == "Human36M":
        return Human36M(at, "test", body, config.use_gt_info)
    if config.testset == "PW3D":
        return PW3D(at, gendered, config.use_gt_info)
    return MSCOCO(at, "test") if config.testset == "MSCOCO" else FreiHAND(at, "test")


def pose2mesh_sets(
    config: Pose2MeshConfig, root: str | None, body: Body, gendered: Mapping[str, Body], with_train: bool
) -> tuple[list[PoseItems], PoseItems | None]:
    """The training sets and the first test set (the original tests no other) below ``root``; none without a
    root.

    Raises :class:`InputError` for a test set that has no test split.
    """
    if root is None:
        return [], None
    folder, d, q = Path(root), config.DATASET, config.QUIRKS
    if not d.test_list or d.test_list[0] not in TESTED:
        raise InputError(
            f"DATASET.test_list is {list(d.test_list)}; the first must be one of {', '.join(TESTED)}"
        )
    given, common = d.use_gt_input, (get_joint_set(d.input_joint_set), body, gendered)
    test_samples = _poses(d.test_list[0], "test", folder, body, given, q, config.MODEL.name)
    test = PoseItems(
        test_samples, *common, train=False, use_gt_input=given, posenet=config.posenet_only, quirks=q
    )
    if not with_train:
        return [], test
    samples = [_poses(name, "train", folder, body, given, q, config.MODEL.name) for name in d.train_list]
    aug = config.AUG
    return [
        PoseItems(s, *common, True, given, config.posenet_only, aug.flip, aug.rotate_factor, q)
        for s in samples
    ], test


def _poses(
    name: str,
    split: Literal["train", "test"],
    folder: Path,
    body: Body,
    given: bool,
    quirks: Pose2MeshQuirks,
    model: Literal["pose2mesh_net", "posenet"],
) -> Samples:
    at = folder / name
    makers: dict[str, Callable[[], Samples]] = {
        "Human36M": lambda: Human36MPoses(at, split, body, given, quirks.detections_by_position),
        "MuCo": lambda: MuCoPoses(at),
        "COCO": lambda: COCO(at),
        "AMASS": lambda: AMASS(at, model, quirks.amass_any_case),
        "PW3D": lambda: PW3DPoses(at, given, split),
        "SURREAL": lambda: SURREAL(at, split, given, quirks.surreal_repeat_first),
        "FreiHAND": lambda: FreiHANDPoses(at, split),
    }
    return makers[name]()
