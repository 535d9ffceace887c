"""What a network makes of one test sample while it trains: a picture beside the truth, and the mesh as a
file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.io.atomic import atomic_path
from openhmr.io.images import write_png
from openhmr.joints import JointSet
from openhmr.render.compose import over
from openhmr.render.scene import render
from openhmr.render.skeleton import draw_pose2d

PANEL = (320, 240)
"""Height and width of one view."""


def write_mesh(path: Path, vertices: NDArray, faces: NDArray) -> None:
    """Write one mesh ``(V,3)`` as Wavefront OBJ in its own unit and axes, as the originals do."""
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices] + [
        f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces + 1
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def mesh_views(meshes: NDArray, body: Body) -> NDArray[np.uint8]:
    """Meshes ``(N,V,3)`` (camera axes) side by side, each as large as its panel, on white."""
    panels = []
    for mesh in np.asarray(meshes, np.float32):
        centred = mesh - (mesh.min(0) + mesh.max(0)) / 2
        size = max(float(np.abs(centred).max()), 1e-6)
        placed = centred / size + np.array([0, 0, 6], np.float32)
        focal, (y, x) = 2.4 * PANEL[1], (np.array(PANEL) - 1) / 2
        K = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1.0]])
        panels.append(over(255, render(placed[None], body, K, PANEL)))
    return np.concatenate(panels, axis=1)


def pose_views(poses: NDArray, joint_set: JointSet) -> NDArray[np.uint8]:
    """3D poses ``(N,J,3)`` (camera axes) side by side as skeletons seen by the camera from far away."""
    panels = []
    for pose in poses:
        xy = pose[:, :2] - (pose[:, :2].min(0) + pose[:, :2].max(0)) / 2
        pixels = (
            xy * (0.42 * min(PANEL) / max(float(np.abs(xy).max()), 1e-6)) + (np.array(PANEL[::-1]) - 1) / 2
        )
        blank = np.full((*PANEL, 3), 255, np.uint8)
        panels.append(
            draw_pose2d(
                blank, np.concatenate([pixels, np.ones((len(xy), 1))], 1)[None].astype(np.float32), joint_set
            )
        )
    return np.concatenate(panels, axis=1)


def save_picture(folder: Path, epoch: int, image: NDArray[np.uint8]) -> None:
    """Write ``epoch-NNN.png``: what was predicted on the left, the truth on the right."""
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"epoch-{epoch:03d}.png", image)
