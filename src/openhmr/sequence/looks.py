"""What colours people wear, part by part: who they are, where place and pose do not tell (ours)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.joints.smpl import SMPL
from openhmr.people import People

PARTS = (
    ("Pelvis", "Torso", "Chest", "Spine", "L_Thorax", "R_Thorax"),
    ("L_Hip", "R_Hip"),
    ("L_Knee", "R_Knee"),
    ("L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow"),
    ("Neck", "Head"),
)
"""Joints of SMPL whose vertices make a part: trunk, thighs, shanks, arms, head."""
EVERY = 7
"""Of so many vertices one is looked at."""


def looks(people: People, image: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """The median colours ``(N,P,3)`` of everybody's :data:`PARTS` in ``image (height, width, 3)``, CIE Lab of
    1976 (lightness 0 to 100); nan where a part is outside of it, or where there is no image or no such body.
    """
    out = np.full((len(people), len(PARTS), 3), np.nan)
    if image is None or people.body.num_joints != SMPL.size or not len(people):
        return out
    height, width = image.shape[:2]
    moved_by = people.body.weights[::EVERY].argmax(1)
    pixels = np.rint(people.camera.project(people.vertices[:, ::EVERY])).astype(int)
    inside = np.logical_and(pixels >= 0, pixels < (width, height)).min(-1)
    for part, names in enumerate(PARTS):
        mine = np.isin(moved_by, [SMPL.names.index(name) for name in names])
        for person in range(len(people)):
            x, y = pixels[person, mine & inside[person]].T
            if len(x):
                colours = image[y, x][None].astype(np.float32) / 255
                out[person, part] = np.median(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0], axis=0)
    return out
