"""FreiHAND (docs/originals, "FreiHAND")."""

from pathlib import Path
from typing import Literal

import numpy as np

from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import MANO
from openhmr.joints.mano import MANO_PARENTS
from openhmr.lab.crops.pose2mesh import widened_box
from openhmr.lab.data.annotations import (
    CocoFile,
    Detections,
    RootNetFile,
    body_parameters,
    entry,
    no_parameters,
    numbers,
    picture_of,
    pinhole_of,
    read_table,
    square_of,
)
from openhmr.lab.data.types import IndexedDataset, Sample


class FreiHAND(IndexedDataset):
    """Samples of ``root`` (``data/``, ``rootnet_output/``); the annotated MANO hand is the truth, the test
    split has none.

    The test split takes RootNet's boxes and depths. Raises :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"]) -> None:
        self.root, self.split = Path(root), split
        part = "train" if split == "train" else "eval"
        self.coco = CocoFile([self.root / "data" / f"freihand_{part}_coco.json"])
        self.truth = read_table(self.root / "data" / f"freihand_{part}_data.json")
        self.rows = self.coco.annotations
        if split == "train":
            self.rows = [
                a for a in self.rows if square_of(a, self.coco.image(a), self.coco.name)[1] is not None
            ]
        else:
            self.rootnet = RootNetFile(
                self.root / "rootnet_output" / "bbox_root_freihand_output.json", "image_id"
            )

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image = self.coco.image(annotation)
        where = f"FreiHAND annotation {annotation['id']}"
        record = entry(self.truth, str(entry(image, "db_idx", where)), where)
        camera = entry(record, "cam_param", where)
        focal, principal = pinhole_of(camera, where)
        joints, pixels, depth = np.zeros((21, 3)), np.zeros((21, 2)), 0.0
        pose, betas, trans = no_parameters(len(MANO_PARENTS))
        box, square = square_of(annotation, image, where)
        train = self.split == "train"
        if train:
            joints = numbers(record, "joint_3d", (21, 3), where)
            if not np.all(joints[:, 2] > 0):
                raise InputError(
                    f"{where}: joint_3d has joints behind the camera; correct or remove this annotation"
                )
            pixels, depth = joints[:, :2] / joints[:, 2:] * focal + principal, float(joints[MANO.root, 2])
            pose, betas, trans = body_parameters(entry(record, "mano_param", where), len(pose), where)
        else:
            square, depth = self.rootnet.find(image["id"], 1)
        assert square is not None
        return Sample(
            "FreiHAND",
            annotation["id"],
            *picture_of(image, self.root / "data", where),
            box,
            square,
            focal,
            principal,
            depth,
            MANO,
            pixels,
            joints,
            np.full(21, train, np.float32),
            True,
            pose,
            betas,
            trans,
            train,
            train,
        )


class FreiHANDPoses(IndexedDataset):
    """The same as Pose2Mesh reads it, with HRNet's detections; its annotations hold the hand in world axes
    and the camera.

    The hand turns about its wrist into camera axes and is moved by the camera's own translation, which is not
    compensated; the targets are relative to the wrist. The test split has no truth. Raises
    :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"]) -> None:
        self.folder, self.train = Path(root) / "data", split == "train"
        part = "train" if self.train else "eval"
        self.coco = CocoFile([self.folder / f"freihand_{part}_coco.json"])
        self.truth = read_table(self.folder / f"freihand_{part}_data.json")
        self.detections = Detections(self.folder / f"hrnet_output_on_{split}set.json", 21)
        self.rows = self.coco.annotations
        if self.train:

            def box(a):
                return numbers(a, "bbox", (4,), f"FreiHAND annotation {a['id']}")

            self.rows = [a for a in self.rows if widened_box(box(a)) is not None]

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image, where = self.coco.image(annotation), f"FreiHAND annotation {annotation['id']}"
        record = entry(self.truth, str(entry(image, "db_idx", where)), where)
        camera = entry(record, "cam_param", where)
        focal, principal = pinhole_of(camera, where)
        joints, pixels = np.zeros((21, 3)), np.zeros((21, 2))
        pose, betas, trans = no_parameters(len(MANO_PARENTS))
        if self.train:
            joints = numbers(record, "joint_3d", (21, 3), where)
            pixels = joints[:, :2] / joints[:, 2:] * focal + principal
            fit = entry(record, "mano_param", where)
            hand = {key: entry(fit, key, where) for key in ("pose", "shape")} | {
                "trans": numbers(camera, "t", (3,), where)
            }
            pose, betas, trans = body_parameters(hand, len(pose), where)
            turned = numbers(camera, "R", (3, 3), where) @ axis_angle_to_matrix(pose[0].astype(np.float64))
            pose[0] = matrix_to_axis_angle(turned)
        box = numbers(annotation, "bbox", (4,), where) if self.train else np.zeros(4)
        return Sample(
            "FreiHAND",
            annotation["id"],
            *picture_of(image, self.folder, where),
            box,
            box,
            focal,
            principal,
            float(joints[MANO.root, 2]),
            MANO,
            pixels,
            joints,
            np.full(21, self.train, np.float32),
            True,
            pose,
            betas,
            trans,
            self.train,
            self.train,
            detected_px=self.detections.find(annotation["id"]),
        )
