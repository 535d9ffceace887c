"""MuCo-3DHP, for training only (docs/originals, "MuCo")."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints import MUCO
from openhmr.lab.crops.pose2mesh import widened_box
from openhmr.lab.data.annotations import (
    CocoFile,
    Record,
    body_parameters,
    entry,
    limited,
    no_parameters,
    numbers,
    picture_of,
    read_table,
    square_of,
)
from openhmr.lab.data.types import IndexedDataset, Sample


class MuCo(IndexedDataset):
    """Samples of ``root/data``: in each picture the person whose pelvis is nearest. Raises
    :class:`InputError` for wrong files."""

    def __init__(self, root: str | Path) -> None:
        self.folder = Path(root) / "data"
        self.coco = CocoFile([self.folder / "MuCo-3DHP.json"])
        self.fits = read_table(self.folder / "smpl_param.json")
        nearest: dict[int, tuple[float, Record]] = {}
        for annotation in self.coco.annotations:
            image = self.coco.image(annotation)
            if not self._usable(annotation, image):
                continue
            depth = numbers(
                annotation, "keypoints_cam", (21, 3), f"{self.coco.name}: annotation {annotation['id']}"
            )[MUCO.root, 2]
            if image["id"] not in nearest or depth < nearest[image["id"]][0]:
                nearest[image["id"]] = depth, annotation
        self.rows = [nearest[number][1] for number in self.coco.images if number in nearest]

    def _usable(self, annotation: Record, image: Record) -> bool:
        return square_of(annotation, image, self.coco.name)[1] is not None

    def _betas(self, betas: NDArray) -> NDArray:
        return betas

    def __getitem__(self, index: int) -> Sample:
        annotation = self.rows[index]
        image = self.coco.image(annotation)
        where = f"MuCo annotation {annotation['id']}"
        joints = numbers(annotation, "keypoints_cam", (21, 3), where) / 1000
        box, square = square_of(annotation, image, where)
        square = box if square is None else square
        fit = self.fits.get(str(annotation["id"]))
        pose, betas, trans = no_parameters(24) if fit is None else body_parameters(fit, 24, where)
        return Sample(
            "MuCo",
            annotation["id"],
            *picture_of(image, self.folder, where),
            box,
            square,
            numbers(image, "f", (2,), where),
            numbers(image, "c", (2,), where),
            float(joints[MUCO.root, 2]),
            MUCO,
            numbers(annotation, "keypoints_img", (21, 2), where),
            joints,
            np.ones(21, np.float32),
            True,
            pose,
            self._betas(betas),
            trans,
            fit is not None,
        )


class MuCoPoses(MuCo):
    """The same as Pose2Mesh reads it: only people with a fit of finite numbers count."""

    def _usable(self, annotation: Record, image: Record) -> bool:
        fit = self.fits.get(str(annotation["id"]))
        if fit is None or not _finite(fit, f"MuCo annotation {annotation['id']}"):
            return False
        return (
            widened_box(numbers(annotation, "bbox", (4,), f"{self.coco.name}: annotation {annotation['id']}"))
            is not None
        )

    def _betas(self, betas: NDArray) -> NDArray:
        return limited(betas)


def _finite(fit: Record, where: str) -> bool:
    try:
        return all(
            np.isfinite(np.asarray(entry(fit, key, where), np.float64)).all()
            for key in ("pose", "shape", "trans")
        )
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where}: the fit holds something else than numbers; download the fits again"
        ) from None
