"""Human3.6M with the fits of SMPL that I2L-MeshNet's authors made (docs/originals, "Human3.6M")."""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel, world2cam
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import HUMAN36_TOP
from openhmr.lab.crops.pose2mesh import widened_box
from openhmr.lab.data.annotations import (
    CocoFile,
    Record,
    RootNetFile,
    body_parameters,
    entry,
    limited,
    no_parameters,
    numbers,
    picture_of,
    pixels_of,
    read_json,
    read_table,
    square_of,
    whole,
)
from openhmr.lab.data.types import IndexedDataset, Sample

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
TRAIN_EVERY = 5
"""Every which frame is trained on."""
TEST_CAMERA = 4
"""The frontal camera, as in HMR and SPIN."""


class Human36M(IndexedDataset):
    """Samples of ``root`` (``annotations/``, ``images/``, ``rootnet_output/``).

    ``body`` is the neutral SMPL body, whose rest pelvis brings the fits from world to camera axes. The test
    split uses RootNet's boxes and depths unless ``use_gt_info``. Raises :class:`InputError` for missing or
    wrong files.
    """

    test_every = 64
    """Every which frame is tested on."""

    def __init__(
        self, root: str | Path, split: Literal["train", "test"], body: Body, use_gt_info: bool = False
    ) -> None:
        self.root, self.split, self.body = Path(root), split, body
        subjects, folder = SUBJECTS[split], self.root / "annotations"

        def name(s, what):
            return folder / f"Human36M_subject{s}_{what}.json"

        self.coco = CocoFile([name(s, "data") for s in subjects])
        self.cameras, self.joints, self.fits = (
            {s: read_table(name(s, what)) for s in subjects} for what in ("camera", "joint_3d", "smpl_param")
        )
        self.rootnet = None
        if split == "test" and not use_gt_info:
            self.rootnet = RootNetFile(
                self.root / "rootnet_output" / "bbox_root_human36m_output.json", "image_id"
            )
        self.rows = [row for annotation in self.coco.annotations if (row := self._row(annotation))]

    def _row(self, annotation: Record) -> tuple[Record, Record] | None:
        image = self.coco.image(annotation)
        frame = whole(image, "frame_idx", self.coco.name)
        if frame % self._every or (
            self.split == "test" and entry(image, "cam_idx", self.coco.name) != TEST_CAMERA
        ):
            return None
        if self.rootnet is None and square_of(annotation, image, self.coco.name)[1] is None:
            return None
        return annotation, image

    def __getitem__(self, index: int) -> Sample:
        annotation, image = self.rows[index]
        where = f"Human36M annotation {annotation['id']}"
        subject = self._subject(image, where)
        path = _path(image, where)
        camera = entry(self.cameras[subject], str(entry(image, "cam_idx", where)), where)
        shapes = (("R", (3, 3)), ("t", (3,)), ("f", (2,)), ("c", (2,)))
        R, t, f, c = (numbers(camera, key, shape, where).astype(np.float32) for key, shape in shapes)
        by_frame = entry(entry(self.joints[subject], path[0], where), path[1], where)
        joints = world2cam(numbers(by_frame, path[2], (17, 3), where).astype(np.float32), R, t)
        box, square = self._boxes(annotation, image, where)
        depth = float(joints[HUMAN36_TOP.root, 2]) / 1000
        if self.rootnet is not None:
            square, depth = self.rootnet.find(image["id"], 1000)
        assert square is not None
        pose, betas, trans, has_fit = self._fit(subject, path, R, t, where)
        return Sample(
            "Human36M",
            annotation["id"],
            *picture_of(image, self.root / "images", where),
            box,
            square,
            f,
            c,
            depth,
            HUMAN36_TOP,
            cam2pixel(joints, f, c)[:, :2],
            joints / 1000,
            np.ones(17, np.float32),
            True,
            pose,
            betas,
            trans,
            has_fit,
        )

    @property
    def _every(self) -> int:
        return TRAIN_EVERY if self.split == "train" else self.test_every

    def _boxes(self, annotation: Record, image: Record, where: str) -> tuple[NDArray, NDArray | None]:
        return square_of(annotation, image, where)

    def _betas(self, betas: NDArray) -> NDArray:
        return betas

    def _subject(self, image: Record, where: str) -> int:
        subject = whole(image, "subject", where)
        if subject not in self.cameras:
            raise InputError(
                f"{where}: image {image['id']} shows subject {subject}; this split has {sorted(self.cameras)}"
            )
        return subject

    def _record(self, subject: int, path: list[str]) -> Record | None:
        fit: Any = self.fits[subject]
        for key in path:
            fit = fit.get(key) if isinstance(fit, dict) else None
        return fit

    def _fit(
        self, subject: int, path: list[str], R: NDArray, t: NDArray, where: str
    ) -> tuple[NDArray, NDArray, NDArray, bool]:
        fit = self._record(subject, path)
        if fit is None:
            return *no_parameters(24), False
        pose, betas, trans = body_parameters(fit, 24, where)
        betas = self._betas(betas)
        return *fit_in_camera(self.body, pose, betas, trans, R, t / 1000), True


class Human36MPoses(Human36M):
    """The same as Pose2Mesh reads it: frames with a fit, in the order of their names, all cameras, every 50th
    frame in tests.

    The test split has the poses of ``absnet_output_on_testset.json`` unless ``use_gt_input``. They are
    matched ``by_position`` in the order of names, as the original does, which silently mismatches them if
    one is missing; else by name.
    """

    test_every = 50

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"],
        body: Body,
        use_gt_input: bool = False,
        by_position: bool = True,
    ) -> None:
        self._without_fit: set[str] = set()
        super().__init__(root, split, body, use_gt_info=True)
        self.rows.sort(key=lambda row: _name(row[1]))
        self._detected: list[tuple[str, object]] = []
        if split == "test" and not use_gt_input:
            self._detected = self._match(self.root / "absnet_output_on_testset.json", by_position)

    def _row(self, annotation: Record) -> tuple[Record, Record] | None:
        image, where = self.coco.image(annotation), self.coco.name
        if whole(image, "frame_idx", where) % self._every:
            return None
        if self._record(self._subject(image, where), _path(image, where)) is None:
            self._without_fit.add(_name(image))
            return None
        box, _ = self._boxes(annotation, image, where)
        return None if widened_box(box) is None else (annotation, image)

    def _match(self, path: Path, by_position: bool) -> list[tuple[str, object]]:
        content = read_json(path)
        if not isinstance(content, dict):
            raise InputError(
                f"{path} is no table of poses by picture; take the detections that belong to this data set"
            )
        found = {PurePath(str(key)).name: (f"{path}: {key}", pose) for key, pose in content.items()}
        names = [_name(image) for _, image in self.rows]
        if by_position:
            names = [n for n in sorted(found) if n not in self._without_fit][: len(self.rows)]
        missing = [n for n in names if n not in found]
        if missing or len(names) < len(self.rows):
            what = (
                missing[0] if missing else f"{len(self.rows) - len(names)} of the {len(self.rows)} pictures"
            )
            raise InputError(f"{path} has no pose for {what}; run the detector on the whole test split")
        return [found[n] for n in names]

    def _boxes(self, annotation: Record, image: Record, where: str) -> tuple[NDArray, NDArray | None]:
        box = numbers(annotation, "bbox", (4,), f"{where}: annotation {annotation['id']}")
        return box, box

    def _betas(self, betas: NDArray) -> NDArray:
        return limited(betas)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if not self._detected:
            return sample
        where, pose = self._detected[index]
        return replace(sample, detected_px=pixels_of(pose, 17, where))


def _path(image: Record, where: str) -> list[str]:
    return [str(entry(image, k, where)) for k in ("action_idx", "subaction_idx", "frame_idx")]


def _name(image: Record) -> str:
    return PurePath(str(entry(image, "file_name", f"image {image['id']}"))).name


def fit_in_camera(
    body: Body, pose: NDArray, betas: NDArray, trans: NDArray, R: NDArray, t_m: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Pose, betas and translation of a body in world axes, carried by ``R (3,3)``, ``t_m (3,)`` to the
    camera's.

    The body turns about its rest pelvis, the camera about the world's origin; the translation compensates
    for the difference.
    """
    pose = pose.copy()
    pose[0] = matrix_to_axis_angle(R.astype(np.float64) @ axis_angle_to_matrix(pose[0].astype(np.float64)))
    used = np.flatnonzero(body.J_regressor[0])
    pelvis = body.J_regressor[0, used] @ (
        body.v_template[used] + body.shapedirs[used, :, : len(betas)] @ betas
    )
    return pose, betas, np.asarray(R @ trans + t_m - pelvis + R @ pelvis, np.float32)
