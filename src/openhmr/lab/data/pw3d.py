"""3DPW, for tests only (docs/originals, "3DPW")."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.joints import HUMAN36_TOP
from openhmr.lab.crops.pose2mesh import widened_box
from openhmr.lab.data.annotations import (
    GENDERS,
    CocoFile,
    Detections,
    Record,
    RootNetFile,
    body_parameters,
    entry,
    gender_of,
    numbers,
    picture_of,
    pinhole_of,
    size_of,
    square_of,
    whole,
)
from openhmr.lab.data.types import IndexedDataset, Sample


class PW3D(IndexedDataset):
    """Samples of ``root`` (``data/3DPW_test.json``, ``data/imageFiles/``, ``rootnet_output/``); the truth is
    their body model.

    ``gendered`` are the SMPL bodies by gender, with the joint regressor ``human36``. RootNet's boxes and
    depths are used unless ``use_gt_info``. Raises :class:`InputError` for missing or wrong files.
    """

    def __init__(self, root: str | Path, gendered: Mapping[str, Body], use_gt_info: bool = False) -> None:
        self.root, self.gendered = Path(root), gendered
        self.coco = CocoFile([self.root / "data" / "3DPW_test.json"])
        self.rootnet = (
            None
            if use_gt_info
            else RootNetFile(self.root / "rootnet_output" / "bbox_root_pw3d_output.json", "ann_id")
        )
        self.rows = [
            a
            for a in self.coco.annotations
            if self.rootnet or square_of(a, self.coco.image(a), self.coco.name)[1] is not None
        ]

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image = self.coco.image(annotation)
        where = f"3DPW annotation {annotation['id']}"
        camera, fit = entry(image, "cam_param", where), entry(annotation, "smpl_param", where)
        pose, betas, trans = body_parameters(fit, 24, where)
        gender = gender_of(fit, where)
        if gender not in self.gendered:
            raise InputError(
                f"{where} needs the {gender} SMPL body, there are {sorted(self.gendered)}; give all of "
                f"{', '.join(GENDERS)}"
            )
        box, square = square_of(annotation, image, where)
        if self.rootnet is not None:
            square, depth = self.rootnet.find(annotation["id"], 1)
        else:
            body = self.gendered[gender]
            pelvis = body.joint_regressor("human36")[HUMAN36_TOP.root] @ skin(body, pose, betas, trans)[0]
            depth = float(pelvis[2])
        assert square is not None
        folder = self.root / "data" / "imageFiles" / str(entry(image, "sequence", where))
        path, size = picture_of(image, folder, where)
        focal, principal = pinhole_of(camera, where)
        return Sample.without_joints(
            HUMAN36_TOP,
            dataset="PW3D",
            sample_id=annotation["id"],
            image_path=path,
            image_hw=size,
            box_xywh=box,
            crop_xywh=square,
            focal_px=focal,
            principal_px=principal,
            root_depth_m=depth,
            has_3d=True,
            pose=pose,
            betas=betas,
            trans_m=trans,
            has_fit=True,
            exact_fit=True,
            gender=gender,
        )


class PW3DPoses(IndexedDataset):
    """The same as Pose2Mesh reads it: ``root/data/3DPW_latest_test.json``, in the order of people and
    pictures.

    DarkPose's detections come along unless ``use_gt_input``. Raises :class:`InputError` for missing or wrong
    files.
    """

    def __init__(self, root: str | Path, use_gt_input: bool = False, split: str = "test") -> None:
        self.folder = Path(root) / "data"
        self.coco = CocoFile([self.folder / f"3DPW_latest_{split}.json"])
        self.detections = (
            None if use_gt_input else Detections(self.folder / f"darkpose_3dpw_{split}set_output.json", 17)
        )
        usable = [
            a
            for a in self.coco.annotations
            if widened_box(numbers(a, "bbox", (4,), f"3DPW annotation {a['id']}")) is not None
        ]
        self.rows = sorted(
            usable, key=lambda a: (whole(a, "person_id", f"3DPW annotation {a['id']}"), str(self._path(a)))
        )

    def _path(self, annotation: Record) -> Path:
        image = self.coco.image(annotation)
        where = f"3DPW image {image['id']}"
        folder = self.folder / "imageFiles" / str(entry(image, "sequence", where))
        return folder / str(entry(image, "file_name", where))

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image, where = self.coco.image(annotation), f"3DPW annotation {annotation['id']}"
        camera, fit = entry(image, "cam_param", where), entry(annotation, "smpl_param", where)
        box = numbers(annotation, "bbox", (4,), where)
        detected = np.zeros((0, 2)) if self.detections is None else self.detections.find(annotation["id"])
        pose, betas, trans = body_parameters(fit, 24, where)
        focal, principal = pinhole_of(camera, where)
        return Sample.without_joints(
            HUMAN36_TOP,
            dataset="PW3D",
            sample_id=annotation["id"],
            image_path=self._path(annotation),
            image_hw=size_of(image, where),
            box_xywh=box,
            crop_xywh=box,
            focal_px=focal,
            principal_px=principal,
            root_depth_m=0.0,
            has_3d=True,
            pose=pose,
            betas=betas,
            trans_m=trans,
            has_fit=True,
            exact_fit=True,
            gender=gender_of(fit, where),
            detected_px=detected,
            video=f"{image['sequence']}{annotation['person_id']}",
        )
