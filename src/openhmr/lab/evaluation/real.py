"""Lift the 2D detections of a pack of real frames and write predictions for its scorer."""

from pathlib import Path

import numpy as np

import openhmr
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO

REQUIRED = ("item_ids", "joint_names", "det2d_px", "det2d_score", "view", "K", "image_size_wh")


def predict_pack(pack: Path, out: Path, joints: str) -> int:
    """Write ``out`` (.npz): one (19,3) array of millimetres in camera axes an item, and ``names``. Returns the item count.

    The pack holds ``det2d_px (n,19,2)`` and ``det2d_score (n,19)`` in COCO order with Pelvis and Neck, ``K`` and picture sizes a view.
    """
    data = read_npz(pack, 50_000_000)
    missing = [k for k in REQUIRED if k not in data]
    if missing:
        raise InputError(f"{pack} lacks {', '.join(missing)}; a pack of real detections has {', '.join(REQUIRED)}")
    lifter = openhmr.load(f"pose2mesh-{joints}")
    pose = np.concatenate([data["det2d_px"], data["det2d_score"][..., None]], -1)
    predictions = {"names": np.array(COCO.names)}
    for item, person, view in zip(data["item_ids"], pose, data["view"], strict=True):
        width, height = data["image_size_wh"][view]
        result = lifter(person, focal=float(data["K"][view, 0, 0]), image_size=(int(height), int(width)))
        predictions[str(item)] = result.joints["coco"][0] * 1000
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **predictions)  # type: ignore[arg-type]
    return len(predictions) - 1
