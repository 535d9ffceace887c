"""What every data set of pictures hands over, whatever its files look like."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import JointSet


@dataclass(frozen=True)
class Sample:
    """One person or hand in one picture, in the frame of the original picture: nothing is cropped, flipped or
    augmented.

    Lengths are metres in camera axes (x right, y down, z forward), pictures' in pixels. What a data set does
    not have is zero and masked: ``joints_valid``, ``has_3d``, ``has_fit`` say what counts.
    """

    dataset: str
    sample_id: int
    """The data set's own number of the annotation (of the picture where RootNet's list is the only
    source)."""
    image_path: Path
    image_hw: tuple[int, int]
    box_xywh: NDArray
    """``(4,)`` as annotated (zero if there is none)."""
    crop_xywh: NDArray
    """``(4,)`` square that the original cuts: from the annotation in training, RootNet's in tests."""
    focal_px: NDArray
    principal_px: NDArray
    root_depth_m: float
    """Depth of the root joint: annotated in training, RootNet's in tests; 0 where unknown."""
    joint_set: JointSet
    joints_px: NDArray
    """``(J, 2)``"""
    joints_cam_m: NDArray
    """``(J, 3)``, absolute; zero without ``has_3d``."""
    joints_valid: NDArray
    """``(J,)`` 0 or 1, float32."""
    has_3d: bool
    pose: NDArray
    """``(P, 3)`` axis-angle of SMPL or MANO, float32; the root turns the body into camera axes."""
    betas: NDArray
    trans_m: NDArray
    """``(3,)`` added to the skinned body whose root joint stays at its rest place."""
    has_fit: bool
    exact_fit: bool = False
    """The body model is the truth itself, so that no joints need to agree with it."""
    gender: str = "neutral"
    detected_px: NDArray = field(default_factory=lambda: np.zeros((0, 2)))
    """``(D, 2)`` what a detector found, in the order of its joints; ``(0, 2)`` where nothing is stored."""
    weak_camera: NDArray = field(default_factory=lambda: np.zeros((0, 2)))
    """``(2, 2)`` scale and offset, if pixels are ``scale * (X, Y) + offset``; ``(0, 2)`` where the camera is
    a pinhole."""
    video: str = ""
    """Video and person that the picture belongs to, where there is one."""

    @classmethod
    def without_joints(cls, joint_set: JointSet, **known: Any) -> "Sample":
        """A sample of a data set whose joints follow from the fitted body, or are unknown: zero and masked;
        ``known`` are the other fields by name."""
        n = joint_set.size
        pixels, points, valid = np.zeros((n, 2)), np.zeros((n, 3)), np.zeros(n, np.float32)
        return cls(joint_set=joint_set, joints_px=pixels, joints_cam_m=points, joints_valid=valid, **known)


class Samples(Protocol):
    """A data set. ``__iter__`` goes through all samples in the official order."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...
    def __iter__(self) -> Iterator[Sample]: ...


class IndexedDataset:
    """Base of the data sets: one sample of each of ``rows``, in the official order."""

    rows: list[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError
