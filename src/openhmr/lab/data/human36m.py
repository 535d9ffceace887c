"""Human3.6M with the fits of SMPL that I2L-MeshNet's authors made (spec i2l_meshnet 7.2)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.geometry.camera import cam2pixel, world2cam
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import HUMAN36_TOP
from openhmr.lab.data.annotations import (
    CocoFile,
    Record,
    RootNetFile,
    body_parameters,
    entry,
    no_parameters,
    numbers,
    read_json,
    size_of,
    square_of,
)
from openhmr.lab.data.types import Sample

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
EVERY = {"train": 5, "test": 64}
"""Every which frame is used."""
TEST_CAMERA = 4
"""The frontal camera, as in HMR and SPIN."""


class Human36M:
    """Samples of ``root`` (``annotations/``, ``images/``, ``rootnet_output/``).

    ``body`` is the neutral SMPL body, whose rest pelvis brings the fits from world to camera axes. The test split uses
    RootNet's boxes and depths unless ``use_gt_info``. Raises :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"], body: Body, use_gt_info: bool = False) -> None:
        self.root, self.split, self.body = Path(root), split, body
        subjects, folder = SUBJECTS[split], self.root / "annotations"
        name = lambda s, what: folder / f"Human36M_subject{s}_{what}.json"  # noqa: E731
        self.coco = CocoFile([name(s, "data") for s in subjects])
        self.cameras, self.joints, self.fits = (
            {s: read_json(name(s, what)) for s in subjects} for what in ("camera", "joint_3d", "smpl_param")
        )
        self.rootnet = None
        if split == "test" and not use_gt_info:
            self.rootnet = RootNetFile(self.root / "rootnet_output" / "bbox_root_human36m_output.json", "image_id")
        self.rows = [row for annotation in self.coco.annotations if (row := self._row(annotation))]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def _row(self, annotation: Record) -> tuple[Record, Record] | None:
        image = self.coco.image(annotation)
        frame = entry(image, "frame_idx", self.coco.name)
        if frame % EVERY[self.split] or (self.split == "test" and entry(image, "cam_idx", self.coco.name) != TEST_CAMERA):
            return None
        if self.rootnet is None and square_of(annotation, image, self.coco.name)[1] is None:
            return None
        return annotation, image

    def __getitem__(self, index: int) -> Sample:
        annotation, image = self.rows[index]
        where = f"Human36M annotation {annotation['id']}"
        subject = entry(image, "subject", where)
        path = [str(entry(image, k, where)) for k in ("action_idx", "subaction_idx", "frame_idx")]
        camera = entry(self.cameras[subject], str(entry(image, "cam_idx", where)), where)
        shapes = (("R", (3, 3)), ("t", (3,)), ("f", (2,)), ("c", (2,)))
        R, t, f, c = (numbers(camera, key, shape, where).astype(np.float32) for key, shape in shapes)
        by_frame = entry(entry(self.joints[subject], path[0], where), path[1], where)
        joints = world2cam(numbers(by_frame, path[2], (17, 3), where).astype(np.float32), R, t)
        box, square = square_of(annotation, image, where)
        depth = float(joints[HUMAN36_TOP.root, 2]) / 1000
        if self.rootnet is not None:
            square, depth = self.rootnet.find(image["id"], 1000)
        assert square is not None
        pose, betas, trans, has_fit = self._fit(subject, path, R, t, where)
        return Sample(
            "Human36M", annotation["id"], self.root / "images" / str(entry(image, "file_name", where)), size_of(image, where),
            box, square, f, c, depth, HUMAN36_TOP, cam2pixel(joints, f, c)[:, :2], joints / 1000, np.ones(17, np.float32), True,
            pose, betas, trans, has_fit,
        )  # fmt: skip

    def _fit(self, subject: int, path: list[str], R: NDArray, t: NDArray, where: str) -> tuple[NDArray, NDArray, NDArray, bool]:
        fit = self.fits[subject]
        for key in path:
            fit = fit.get(key) if isinstance(fit, dict) else None
        if fit is None:
            return *no_parameters(24), False
        pose, betas, trans = body_parameters(fit, 24, where)
        return *fit_in_camera(self.body, pose, betas, trans, R, t / 1000), True


def fit_in_camera(body: Body, pose: NDArray, betas: NDArray, trans: NDArray, R: NDArray, t_m: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Pose, betas and translation of a body in world axes, carried by ``R (3,3)``, ``t_m (3,)`` to the camera's.

    The body turns about its rest pelvis, the camera about the world's origin; the translation makes up for the difference.
    """
    pose = pose.copy()
    pose[0] = matrix_to_axis_angle(R.astype(np.float64) @ axis_angle_to_matrix(pose[0].astype(np.float64)))
    pelvis = body.J_regressor[0] @ (body.v_template + body.shapedirs[..., : len(betas)] @ betas)
    return pose, betas, np.asarray(R @ trans + t_m - pelvis + R @ pelvis, np.float32)
