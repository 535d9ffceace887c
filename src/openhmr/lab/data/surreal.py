"""SURREAL, for Pose2Mesh: the rendered bodies themselves are the truth. I2L-MeshNet does not train on it.

Source: docs/originals/pose2mesh.md, "SURREAL".
"""

from pathlib import Path
from typing import Literal

import numpy as np

from openhmr.errors import InputError
from openhmr.joints import SMPL
from openhmr.lab.data.annotations import (
    CocoFile,
    Record,
    body_parameters,
    entry,
    gender_of,
    numbers,
    picture_of,
    pinhole_of,
    pixels_of,
    read_json,
    read_rows,
)
from openhmr.lab.data.types import IndexedDataset, Sample


class SURREAL(IndexedDataset):
    """The first person of each picture of ``root/data/{train,val}.json``, in the order of picture numbers.

    HRNet's detections are matched by position in their file, and must be of the same picture. In training the
    first sample comes again at the end (``repeat_first``), as in the original, which wants no last batch of
    one. Raises :class:`InputError`.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"],
        use_gt_input: bool = False,
        repeat_first: bool = True,
    ) -> None:
        self.folder, part = Path(root) / "data", "train" if split == "train" else "val"
        self.coco = CocoFile([self.folder / f"{part}.json"])
        first: dict[int, Record] = {}
        for annotation in self.coco.annotations:
            first.setdefault(int(self.coco.image(annotation)["id"]), annotation)
        self.rows = [first[number] for number in sorted(first)]
        self.detected: list[Record] = (
            [] if use_gt_input else self._match(self.folder / f"hrnet_output_on_{part}set.json")
        )
        if split == "train" and repeat_first and self.rows:
            self.rows, self.detected = self.rows + self.rows[:1], self.detected + self.detected[:1]

    def _match(self, path: Path) -> list[Record]:
        found = read_rows(read_json(path), "image_id", path)
        found = sorted(found, key=lambda row: row["image_id"])
        if [row["image_id"] for row in found] != [row["image_id"] for row in self.rows]:
            raise InputError(
                f"{path} has {len(found)} poses, not one for each of the {len(self.rows)} pictures; detect "
                f"on the whole split"
            )
        return found

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image, where = self.coco.image(annotation), f"SURREAL annotation {annotation['id']}"
        camera, fit = entry(image, "cam_param", where), entry(annotation, "smpl_param", where)
        focal, principal = pinhole_of(camera, where)
        box, detected = numbers(annotation, "bbox", (4,), where), np.zeros((0, 2))
        if self.detected:
            detected = pixels_of(entry(self.detected[index], "keypoints", where), SMPL.size, where)
        pose, betas, trans = body_parameters(fit, 24, where)
        path, size = picture_of(image, self.folder, where)
        return Sample.without_joints(
            SMPL,
            dataset="SURREAL",
            sample_id=annotation["id"],
            image_path=path,
            image_hw=size,
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
        )
