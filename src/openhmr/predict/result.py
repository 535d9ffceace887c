"""What a prediction is: meshes and joints of N people in one camera."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.io.atomic import atomic_path


@dataclass(frozen=True)
class Result:
    """N people: ``vertices (N,V,3)`` metres in camera axes (x right, y down, z forward), placed by the camera; ``faces (F,3)``;
    ``joints`` set name -> ``(N,J,3)`` in the same frame; ``K (3,3)``; ``translation (N,3)`` of each root (human36 pelvis);
    ``pose2d (N,J,3)`` pixels and confidence as the network saw them; ``image_size`` (height, width)."""

    vertices: NDArray
    faces: NDArray
    joints: Mapping[str, NDArray]
    K: NDArray
    translation: NDArray
    pose2d: NDArray
    joint_set: str
    image_size: tuple[int, int]

    def project(self, points: NDArray) -> NDArray:
        """Pixels ``(...,2)`` of camera-frame ``points (...,3)``."""
        return points[..., :2] / points[..., 2:] * [self.K[0, 0], self.K[1, 1]] + self.K[:2, 2]

    def reprojection_error(self) -> NDArray:
        """Mean distance ``(N,)`` in pixels between the input joints and those of the mesh, over the present ones."""
        present = self.pose2d[..., 2] > 0
        distance = np.linalg.norm(self.project(self.joints[self.joint_set]) - self.pose2d[..., :2], axis=-1)
        return (distance * present).sum(-1) / present.sum(-1)

    def save_npz(self, path: str | Path) -> None:
        """Write ``result.npz``: vertices, faces, joints_<set>, camera_K, camera_translation, pose2d, joint_set, image_size."""
        arrays = {"vertices": self.vertices, "faces": self.faces, "camera_K": self.K, "camera_translation": self.translation}
        arrays |= {"pose2d": self.pose2d, "joint_set": np.array(self.joint_set), "image_size": np.array(self.image_size)}
        arrays |= {f"joints_{name}": joints for name, joints in self.joints.items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
