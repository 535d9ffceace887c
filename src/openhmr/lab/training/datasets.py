"""The data sets of an official config, prepared for its network, from one folder that holds them all as
officially laid out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import get_joint_set
from openhmr.lab.data.amass import AMASS
from openhmr.lab.data.freihand import FreiHAND, FreiHANDPoses
from openhmr.lab.data.human36m import Human36M, Human36MPoses
from openhmr.lab.data.mscoco import MSCOCO, CocoDataset
from openhmr.lab.data.muco import MuCo, MuCoPoses
from openhmr.lab.data.pw3d import PW3D, PW3DPoses
from openhmr.lab.data.surreal import SURREAL
from openhmr.lab.data.types import Samples
from openhmr.lab.evaluation.official_i2l import OfficialTest
from openhmr.lab.items.i2l_meshnet import I2LItems, Preparation
from openhmr.lab.items.pose2mesh import PoseItems
from openhmr.lab.training.official_configs import I2LConfig, Pose2MeshConfig

TESTED = ("Human36M", "PW3D", "SURREAL", "FreiHAND")
"""Data sets that Pose2Mesh can be tested on."""


@dataclass(frozen=True)
class Sources:
    """What an official run reads besides its config: the network's ``body``, the ``gendered`` ones that some
    data sets' fits belong to (neutral, female, male), the ``folder`` that holds all data sets (None: none is
    read), and the folder in which mesh graphs are kept (None: they are built anew)."""

    body: Body
    gendered: Mapping[str, Body] = field(default_factory=dict)
    folder: Path | None = None
    cache: Path | None = None


Split = Literal["train", "test"]

I2L_READERS: dict[str, Callable[[Path, Split, Sources, I2LConfig], Samples]] = {
    "Human36M": lambda at, split, s, c: Human36M(at, split, s.body, split == "test" and c.use_gt_info),
    "MuCo": lambda at, *_: MuCo(at),
    "MSCOCO": lambda at, split, *_: MSCOCO(at, split),
    "FreiHAND": lambda at, split, *_: FreiHAND(at, split),
    "PW3D": lambda at, split, s, c: PW3D(at, s.gendered, c.use_gt_info),
}
POSE2MESH_READERS: dict[str, Callable[[Path, Split, Sources, Pose2MeshConfig], Samples]] = {
    "Human36M": lambda at, split, s, c: Human36MPoses(
        at, split, s.body, c.DATASET.use_gt_input, c.QUIRKS.detections_by_position
    ),
    "MuCo": lambda at, *_: MuCoPoses(at),
    "COCO": lambda at, *_: CocoDataset(at),
    "AMASS": lambda at, split, s, c: AMASS(at, c.MODEL.name, c.QUIRKS.amass_any_case),
    "PW3D": lambda at, split, s, c: PW3DPoses(at, c.DATASET.use_gt_input, split),
    "SURREAL": lambda at, split, s, c: SURREAL(
        at, split, c.DATASET.use_gt_input, c.QUIRKS.surreal_repeat_first
    ),
    "FreiHAND": lambda at, split, *_: FreiHANDPoses(at, split),
}
"""How each data set is read from its folder."""


def i2l_datasets(
    config: I2LConfig, sources: Sources, with_train: bool = True
) -> tuple[list[I2LItems], list[I2LItems], OfficialTest | None]:
    """The 3D and 2D training sets and the test set; none without a folder."""
    if sources.folder is None:
        return [], [], None
    preparation = Preparation(config.kind, sources.body, sources.gendered, config.QUIRKS)

    folder = sources.folder

    def read(name: str, split: Split) -> Samples:
        return I2L_READERS[name](folder / name, split, sources, config)

    test = OfficialTest(read(config.testset, "test"), preparation)
    groups = (config.trainset_3d, config.trainset_2d) if with_train else ((), ())
    train_3d, train_2d = ([I2LItems(read(name, "train"), preparation) for name in group] for group in groups)
    return train_3d, train_2d, test


def pose2mesh_datasets(
    config: Pose2MeshConfig, sources: Sources, with_train: bool = True
) -> tuple[list[PoseItems], PoseItems | None]:
    """The training sets and the first test set (the original tests no other); none without a folder.

    Raises :class:`InputError` for a test set that has no test split.
    """
    if sources.folder is None:
        return [], None
    tests = config.DATASET.test_list
    if not tests or tests[0] not in TESTED:
        raise InputError(f"DATASET.test_list is {list(tests)}; the first must be one of {', '.join(TESTED)}")

    folder = sources.folder

    def read(name: str, split: Split) -> PoseItems:
        train = split == "train"
        return PoseItems(
            POSE2MESH_READERS[name](folder / name, split, sources, config),
            get_joint_set(config.DATASET.input_joint_set),
            sources.body,
            sources.gendered,
            train=train,
            use_gt_input=config.DATASET.use_gt_input,
            posenet=config.posenet_only,
            flip=train and config.AUG.flip,
            rotate_factor=config.AUG.rotate_factor if train else 0.0,
            quirks=config.QUIRKS,
        )

    test = read(tests[0], "test")
    return [read(name, "train") for name in config.DATASET.train_list if with_train], test
