"""The data sets of an official config, prepared for its network, from one folder that holds them all as officially laid out."""

from collections.abc import Callable, Mapping
from pathlib import Path

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.lab.data.freihand import FreiHAND
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.data.mscoco import MSCOCO
from openhmr.lab.data.muco import MuCo
from openhmr.lab.data.pw3d import PW3D
from openhmr.lab.data.types import Samples
from openhmr.lab.evaluation.i2l_official import OfficialTest
from openhmr.lab.models.i2l_meshnet.inputs import I2LItems, Preparation
from openhmr.lab.training.batches import ItemSet
from openhmr.lab.training.settings import I2LConfig, Pose2MeshConfig

I2LSets = tuple[list[I2LItems], list[I2LItems], OfficialTest | None]


def i2l_sets(config: I2LConfig, root: str | None, body: Body, gendered: Mapping[str, Body], with_train: bool) -> I2LSets:
    """The 3D and 2D training sets and the test set below ``root``; none without a root."""
    if root is None:
        return [], [], None
    folder, preparation = Path(root), Preparation(config.kind, body, gendered, config.INPUTS)
    test = OfficialTest(_i2l_test(config, folder, body, gendered), preparation)
    if not with_train:
        return [], [], test
    makers: dict[str, Callable[[Path], Samples]] = {
        "Human36M": lambda at: Human36M(at, "train", body), "MuCo": MuCo, "MSCOCO": lambda at: MSCOCO(at, "train"),
        "FreiHAND": lambda at: FreiHAND(at, "train"),
    }  # fmt: skip
    prepared = lambda names: [I2LItems(makers[name](folder / name), preparation) for name in names]  # noqa: E731
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
) -> tuple[list[ItemSet], ItemSet | None]:
    """The training sets and the first test set below ``root``; none without a root."""
    if root is None:
        return [], None
    raise InputError("the data sets of Pose2Mesh are not there yet")
