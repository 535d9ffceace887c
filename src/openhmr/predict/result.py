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

    ``vertices (N,V,3)`` and ``joints[set] (N,J,3)`` (sets smpl, human36, coco) in metres, camera axes (x
    right, y down, z forward), placed: ``K (3,3)`` projects them to pixels. ``translation (N,3)`` is what
    placing added to the root-relative mesh. ``faces (F,3)``, ``image_size (height, width)``; ``pose2d
    (N,J,3)`` are x, y, confidence of ``joint_set``: the input of a lift, or the image network's own 2D
    joints.
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
        """Median distance ``(N,)`` in pixels between present 2D joints and the mesh's projected joints."""
        points = self.joints[self.joint_set.name] @ self.K.T
        distance = np.linalg.norm(points[..., :2] / points[..., 2:] - self.pose2d[..., :2], axis=-1)
        return np.nanmedian(np.where(self.pose2d[..., 2] > 0, distance, np.nan), axis=-1)

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`save_npz` writes: ``vertices, faces, joints_<set>, camera_K, camera_translation,
        image_size, pose2d, joint_set``."""
        out: dict[str, NDArray] = {
            "vertices": self.vertices,
            "faces": self.faces,
            "camera_K": self.K,
            "camera_translation": self.translation,
            "image_size": np.array(self.image_size),
            "pose2d": self.pose2d,
            "joint_set": np.array(self.joint_set.name),
        }
        return out | {f"joints_{name}": value for name, value in self.joints.items()}

    def save_npz(self, path: str | Path) -> None:
        """Write :meth:`arrays`, atomically."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **self.arrays())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Recovered(Result):
    """A :class:`Result` from a picture, with what only the image network knows.

    ``boxes (N,4)`` x, y, width, height in pixels. ``vertices_sigma (N,V,3)`` and ``joints_sigma (N,19,3)``
    (of the coco joints): standard deviations in metres of the root-relative positions, along the axes of the
    virtual camera that looks at the box (right, down, away). ``pose (N,24,3)`` axis-angle (root: camera axes)
    and ``betas (N,S)`` are those of a second, parametric mesh: ``vertices_param (N,V,3) = skin(body, pose,
    betas) + translation_param``, with joints ``joints_param[set]``.
    """

    boxes: NDArray[np.float64]
    vertices_sigma: NDArray[np.float32]
    joints_sigma: NDArray[np.float32]
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    vertices_param: NDArray[np.float32]
    joints_param: Mapping[str, NDArray[np.float32]]
    translation_param: NDArray[np.float64]

    def parametric(self) -> Result:
        """The parametric mesh by itself."""
        shift = self.joints_param["human36"][:, 0].astype(np.float64)
        return Result(
            self.vertices_param,
            self.faces,
            self.joints_param,
            self.K,
            shift,
            self.image_size,
            self.pose2d,
            self.joint_set,
        )

    def arrays(self) -> dict[str, NDArray]:
        """Those of :class:`Result` and ``boxes, vertices_sigma, joints_sigma, pose, betas, vertices_param,
        translation_param``."""
        own = (
            "boxes",
            "vertices_sigma",
            "joints_sigma",
            "pose",
            "betas",
            "vertices_param",
            "translation_param",
        )
        return super().arrays() | {name: getattr(self, name) for name in own}
