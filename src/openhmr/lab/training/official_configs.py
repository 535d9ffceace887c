"""Configs of the official recipes, under the official names (docs/originals/pose2mesh.md, "Configs and
files", and docs/originals/i2l_meshnet.md, "Configs and files").

An official Pose2Mesh YAML file reads as it is. ``RUN`` and ``QUIRKS`` are ours: how the work is done, and
which of the original's oddities are kept.
"""

from dataclasses import dataclass, field
from typing import Literal

from openhmr.lab.config import at_least
from openhmr.lab.items.i2l_meshnet import InputQuirks
from openhmr.lab.items.pose2mesh import PoseQuirks
from openhmr.lab.training.recipe import Running

JointSetName = Literal["human36", "coco", "smpl", "mano"]
Pose2MeshData = Literal["Human36M", "COCO", "MuCo", "AMASS", "PW3D", "SURREAL", "FreiHAND"]
Data3D = Literal["Human36M", "MuCo", "FreiHAND"]
I2LTestData = Literal["Human36M", "PW3D", "MSCOCO", "FreiHAND"]


@dataclass(frozen=True)
class DatasetSection:
    train_list: tuple[Pose2MeshData, ...] = ("Human36M", "COCO", "MuCo")
    test_list: tuple[Pose2MeshData, ...] = ("PW3D",)
    input_joint_set: JointSetName = "coco"
    target_joint_set: JointSetName = "human36"
    workers: int = 16
    use_gt_input: bool = True

    def __post_init__(self) -> None:
        at_least(self, workers=0)


@dataclass(frozen=True)
class ModelSection:
    """``normal``, ``edge`` and ``joint`` are weights of losses; ``joint`` is that of the lifted pose too."""

    name: Literal["pose2mesh_net", "posenet"] = "pose2mesh_net"
    input_shape: tuple[int, int] = (384, 288)
    normal_loss_weight: float = 0.1
    edge_loss_weight: float = 20.0
    joint_loss_weight: float = 1e-3
    posenet_pretrained: bool = False
    posenet_path: str = ""
    posenet_hidden: int = 4096
    """Width of PoseNet (ours); official weights need 4096."""

    def __post_init__(self) -> None:
        at_least(self, posenet_hidden=1)


@dataclass(frozen=True)
class TrainSection:
    print_freq: int = 10
    batch_size: int = 64
    shuffle: bool = True
    begin_epoch: int = 1
    end_epoch: int = 40
    edge_loss_start: int = 15
    scheduler: Literal["step"] = "step"
    lr: float = 1e-3
    lr_step: tuple[int, ...] = (30,)
    lr_factor: float = 0.1
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"

    def __post_init__(self) -> None:
        at_least(self, batch_size=1, end_epoch=0)


@dataclass(frozen=True)
class AugSection:
    flip: bool = False
    rotate_factor: float = 0.0


@dataclass(frozen=True)
class TestSection:
    batch_size: int = 64
    shuffle: Literal[False] = False
    weight_path: str = ""
    vis: bool = False

    def __post_init__(self) -> None:
        at_least(self, batch_size=1)


@dataclass(frozen=True)
class Pose2MeshQuirks(PoseQuirks):
    """Oddities of the original, those of its inputs among them; its own behaviour is the default."""

    pw3d_pa_mpvpe_zero: bool = True
    """The PA-MPVPE of 3DPW is printed as 0.00."""
    hand_mm: bool = True
    """FreiHAND's pred.json holds millimetres; its server wants metres (and aligns the scale away)."""
    mean_of_batches: bool = True
    """The error after an epoch is the mean of the batches' means, so that a small last batch counts as much
    as a full one."""


@dataclass(frozen=True)
class Pose2MeshConfig:
    """One official Pose2Mesh YAML file, and ours."""

    DATASET: DatasetSection = field(default_factory=DatasetSection)
    MODEL: ModelSection = field(default_factory=ModelSection)
    TRAIN: TrainSection = field(default_factory=TrainSection)
    AUG: AugSection = field(default_factory=AugSection)
    TEST: TestSection = field(default_factory=TestSection)
    RUN: Running = field(default_factory=Running)
    QUIRKS: Pose2MeshQuirks = field(default_factory=Pose2MeshQuirks)

    @property
    def posenet_only(self) -> bool:
        return self.MODEL.name == "posenet"


@dataclass(frozen=True)
class I2LQuirks(InputQuirks):
    """Oddities of the original, those of its inputs among them; its own behaviour is the default."""

    freeze_statistics: bool = False
    """False: in the param stage the frozen backbones' batch statistics keep moving."""
    param_on_untrained: bool = False
    """True: the param stage may train upon an untrained lixel network, as the original does if ``--continue``
    is forgotten."""
    hand_param_mm: bool = True
    """FreiHAND's pred.json of the param stage holds root-relative millimetres, of the lixel stage absolute
    metres."""


@dataclass(frozen=True)
class I2LConfig:
    """Config of the original I2L-MeshNet; epochs count from 0."""

    stage: Literal["lixel", "param"] = "lixel"
    trainset_3d: tuple[Data3D, ...] = ("Human36M", "MuCo")
    trainset_2d: tuple[Literal["MSCOCO"], ...] = ("MSCOCO",)
    testset: I2LTestData = "PW3D"
    resnet_type: Literal[18, 34, 50, 101, 152] = 50
    head_channels: int = 256
    """Width of the lixel heads (ours); official weights need 256."""
    backbone_weights: str = ""
    """torchvision's ImageNet weights of that ResNet (.pth); the original always starts from them."""
    lr: float = 1e-4
    lr_dec_epoch: tuple[int, ...] = (10, 12)
    lr_dec_factor: float = 10.0
    end_epoch: int = 13
    train_batch_size: int = 16
    normal_loss_weight: float = 0.1
    dataset_joint_losses: bool = True
    """joint_orig and mesh_joint_orig; without them the meshes are smoother (the original's visualisation
    model)."""
    test_batch_size: int = 16
    use_gt_info: bool = False
    """Test with the annotated boxes and root depths instead of RootNet's."""
    weight_path: str = ""
    """What is tested where nothing else is given: a run folder or a snapshot."""
    num_thread: int = 30
    continue_from: str = ""
    """Run folder or snapshot to go on from, as ``--continue`` does: the lixel run of a param run."""
    RUN: Running = field(default_factory=Running)
    QUIRKS: I2LQuirks = field(default_factory=I2LQuirks)

    def __post_init__(self) -> None:
        at_least(self, train_batch_size=1, test_batch_size=1, num_thread=0, end_epoch=0, head_channels=1)

    @property
    def kind(self) -> Literal["body", "hand"]:
        return "hand" if "FreiHAND" in (*self.trainset_3d, self.testset) else "body"
