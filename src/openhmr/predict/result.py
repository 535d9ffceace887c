"""What every predictor returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.io.atomic import atomic_path
from openhmr.joints import JointSet


@dataclass(frozen=True)
class Result:
    """Meshes of N people before one camera.

    ``vertices (N,V,3)`` and ``joints[set] (N,J,3)`` (sets smpl, human36, coco) in metres, camera axes (x right, y down,
    z forward), placed: ``K (3,3)`` projects them to pixels. ``translation (N,3)`` is what placing added to the root-relative
    mesh. ``faces (F,3)``, ``image_size (height, width)``; ``pose2d (N,J,3)`` are the input's x, y, confidence of ``joint_set``.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    joints: Mapping[str, NDArray[np.float32]]
    K: NDArray[np.float64]
    translation: NDArray[np.float64]
    image_size: tuple[int, int]
    pose2d: NDArray[np.float32]
    joint_set: JointSet

    def reprojection_px(self) -> NDArray[np.float64]:
        """Median distance ``(N,)`` in pixels between present input joints and the mesh's projected joints."""
        points = self.joints[self.joint_set.name] @ self.K.T
        distance = np.linalg.norm(points[..., :2] / points[..., 2:] - self.pose2d[..., :2], axis=-1)
        return np.nanmedian(np.where(self.pose2d[..., 2] > 0, distance, np.nan), axis=-1)

    def save_npz(self, path: str | Path) -> None:
        """Write ``vertices, faces, joints_<set>, camera_K, camera_translation, image_size, pose2d, joint_set`` atomically."""
        arrays = {
            "vertices": self.vertices, "faces": self.faces, "camera_K": self.K, "camera_translation": self.translation,
            "image_size": np.array(self.image_size), "pose2d": self.pose2d, "joint_set": np.array(self.joint_set.name),
        }  # fmt: skip
        arrays |= {f"joints_{name}": value for name, value in self.joints.items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
