"""What a compact I2L-MeshNet looks at: whole people, or hands."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import COCO, HUMAN36, MANO, JointSet
from openhmr.joints.mano import REACH
from openhmr.lab.models.i2l_meshnet.blazepose import COCO_LANDMARKS, LANDMARKS, BlazePose
from openhmr.lab.models.i2l_meshnet.hand_trunk import HAND_LANDMARKS, HandTrunk
from openhmr.predict.person_crop import DEPTH_M, HAND_DEPTH_M

Trunk = BlazePose | HandTrunk


@dataclass(frozen=True)
class Subject:
    """``trunk`` makes the network whose features are used; of its ``points`` the ``landmarks`` are the base
    joints of ``joint_set``. Errors are measured on the joints of ``measured``. ``depth_m`` is what the 64
    lixels of depth span, ``per_metre`` the fewest and most lixels a metre at that distance, ``log_per_metre``
    the natural logarithm of what is usual. ``upwards``, where there is one, weighs the base joints: before a
    pose is lifted it is turned in the picture so that their weighted sum points up."""

    trunk: Callable[[], Trunk]
    points: int
    landmarks: tuple[int, ...]
    joint_set: JointSet
    measured: JointSet
    depth_m: float
    per_metre: tuple[float, float]
    log_per_metre: float
    upwards: tuple[float, ...] | None = None

    def select(self) -> NDArray[np.float32]:
        """``(J, points)``: the joints, derived ones last, as means of the trunk's points."""
        base = np.zeros((len(self.landmarks), self.points), np.float32)
        base[np.arange(len(base)), list(self.landmarks)] = 1
        return np.asarray(self.joint_set.complete(base), np.float32)


# 3.4: a person of 1.7 m is about 51 lixels long.
BODY = Subject(BlazePose, LANDMARKS, COCO_LANDMARKS, COCO, HUMAN36, DEPTH_M, (12, 80), 3.4)
# 5.4: a hand of 0.19 m is about 42.
HAND = Subject(
    HandTrunk,
    HAND_LANDMARKS,
    tuple(range(HAND_LANDMARKS)),
    MANO,
    MANO,
    HAND_DEPTH_M,
    (60, 500),
    5.4,
    REACH,
)
