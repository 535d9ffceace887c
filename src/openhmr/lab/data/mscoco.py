"""MS COCO 2017 with fits of SMPL: SMPLify-X's for I2L-MeshNet, SMPLify's for Pose2Mesh.

Source: docs/originals, "MS COCO" and "COCO".
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import COCO18
from openhmr.joints.coco import COCO17
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
    pinhole_of,
    read_table,
    size_of,
    square_of,
)
from openhmr.lab.data.types import IndexedDataset, Sample

FOCAL_PX = 1500.0
"""Of every picture in tests, with the principal point in its middle."""


class MSCOCO(IndexedDataset):
    """Samples of ``root`` (``annotations/``, ``images/``, ``rootnet_output/``).

    Training takes the annotated people, the test split RootNet's list on the validation pictures, which has
    no truth. Raises :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"]) -> None:
        self.root, self.split = Path(root), split
        self.images = self.root / "images" / ("train2017" if split == "train" else "val2017")
        self.coco = CocoFile([self.root / "annotations" / f"person_keypoints_{self.images.name}.json"])
        self.fits: Record = {}
        if split == "train":
            self.fits = read_table(self.root / "annotations" / "coco_smplifyx_train.json")
            self.rows = [a for a in self.coco.annotations if self._usable(a)]
        else:
            self.rootnet = RootNetFile(
                self.root / "rootnet_output" / "bbox_root_coco_output.json", "image_id"
            )
            self.rows = [row for row in self.rootnet.rows if row["image_id"] in self.coco.images]

    def _usable(self, annotation: Record) -> bool:
        if annotation.get("iscrowd") or not entry(annotation, "num_keypoints", self.coco.name):
            return False
        return square_of(annotation, self.coco.image(annotation), self.coco.name)[1] is not None

    def __getitem__(self, index: int) -> Sample:
        return self._train(self.rows[index]) if self.split == "train" else self._test(self.rows[index])

    def _train(self, annotation: Record) -> Sample:
        where, image = f"MS COCO annotation {annotation['id']}", self.coco.image(annotation)
        box, square = square_of(annotation, image, where)
        assert square is not None
        fit = self.fits.get(str(annotation["id"]))
        focal, principal = _middle(image, where)
        pose, betas, trans = no_parameters(24)
        if fit is not None:
            pose, betas, trans = body_parameters(entry(fit, "smpl_param", where), 24, where)
            focal, principal = pinhole_of(entry(fit, "cam_param", where), where)
        return _annotated(
            annotation,
            image,
            self.images,
            where,
            dataset="MSCOCO",
            box_xywh=box,
            crop_xywh=square,
            focal_px=focal,
            principal_px=principal,
            pose=pose,
            betas=betas,
            trans_m=trans,
            has_fit=fit is not None,
        )

    def _test(self, row: Record) -> Sample:
        image = self.coco.images[row["image_id"]]
        where = f"{self.rootnet.path}: image {image['id']}"
        square, depth = self.rootnet.read(row, 1000)
        focal, principal = _middle(image, where)
        path, size = picture_of(image, self.images, where)
        pose, betas, trans = no_parameters(24)
        return Sample.without_joints(
            COCO18,
            dataset="MSCOCO",
            sample_id=image["id"],
            image_path=path,
            image_hw=size,
            box_xywh=np.zeros(4),
            crop_xywh=square,
            focal_px=focal,
            principal_px=principal,
            root_depth_m=depth,
            has_3d=False,
            pose=pose,
            betas=betas,
            trans_m=trans,
            has_fit=False,
        )


def _annotated(annotation: Record, image: Record, folder: Path, where: str, **known: Any) -> Sample:
    """The sample of an annotated person in a picture of ``folder``: no 3D pose, and the fields ``known`` from
    a fit."""
    keypoints = numbers(annotation, "keypoints", (51,), where).reshape(len(COCO17), 3)
    # The pelvis has the product of the hips' visibilities: seen if both are.
    joints = COCO18.complete(keypoints, "product")
    path, size = picture_of(image, folder, where)
    return Sample(
        sample_id=annotation["id"],
        image_path=path,
        image_hw=size,
        root_depth_m=0.0,
        joint_set=COCO18,
        joints_px=joints[:, :2],
        joints_cam_m=np.zeros((18, 3), np.float32),
        joints_valid=(joints[:, 2] > 0).astype(np.float32),
        has_3d=False,
        **known,
    )


def _middle(image: Record, where: str) -> tuple[NDArray, NDArray]:
    height, width = size_of(image, where)
    return np.full(2, FOCAL_PX), np.array([width / 2, height / 2])


class CocoDataset(IndexedDataset):
    """The people of ``root/annotations`` whom SMPLify fitted, as Pose2Mesh reads them: always the training
    split.

    Raises :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.coco = CocoFile([self.root / "annotations" / "person_keypoints_train2017.json"])
        self.fits: Record = read_table(self.root / "annotations" / "coco_smplify_train.json")
        self.rows = [a for a in self.coco.annotations if self._usable(a)]

    def _usable(self, annotation: Record) -> bool:
        if annotation.get("iscrowd") or not entry(annotation, "num_keypoints", self.coco.name):
            return False
        box = numbers(annotation, "bbox", (4,), f"{self.coco.name}: annotation {annotation['id']}")
        return widened_box(box) is not None and str(annotation["id"]) in self.fits

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        where, image = f"COCO annotation {annotation['id']}", self.coco.image(annotation)
        fit = self.fits[str(annotation["id"])]
        fitted = entry(fit, "smpl_param", where)
        person = {key: entry(fitted, key, where) for key in ("pose", "shape")} | {"trans": [0, 0, 0]}
        pose, betas, trans = body_parameters(person, 24, where)
        camera, box = entry(fit, "cam_param", where), numbers(annotation, "bbox", (4,), where)
        return _annotated(
            annotation,
            image,
            self.root / "images" / "train2017",
            where,
            dataset="COCO",
            box_xywh=box,
            crop_xywh=box,
            focal_px=np.zeros(2),
            principal_px=np.zeros(2),
            pose=pose,
            betas=limited(betas),
            trans_m=trans,
            has_fit=True,
            weak_camera=np.stack([_scale(camera, where), numbers(camera, "t", (2,), where)]),
        )


def _scale(camera: Record, where: str) -> NDArray:
    """The scale of a weak-perspective camera, one number or one an axis, as ``(2,)``."""
    value = entry(camera, "s", where)
    shape = (min(len(value), 2),) if isinstance(value, list) and value else ()
    return np.broadcast_to(numbers(camera, "s", shape, where), (2,))
