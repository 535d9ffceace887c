"""2D skeletons drawn over pictures."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.joints import JointSet

LEFT, RIGHT, MIDDLE = (38, 112, 201), (222, 96, 58), (84, 94, 112)
"""RGB of the body's left (blue), right (orange) and middle (slate)."""

_SHIFT = 4
"""OpenCV takes coordinates in sixteenths of a pixel."""

_FAR = 1e6
"""Joints farther outside are drawn towards this; OpenCV takes 32-bit coordinates."""


def draw_pose2d(
    image: NDArray[np.uint8], pose2d: NDArray, joint_set: JointSet, thickness: float | None = None
) -> NDArray[np.uint8]:
    """A copy of RGB ``image`` with the people ``pose2d (N,J,3)`` (x, y in its pixels, confidence) drawn as
    sticks and dots.

    Missing joints (confidence 0) and their bones are left out; line widths follow the size of each person
    where no ``thickness`` in pixels is given.
    """
    out = image.copy()
    for person in pose2d:
        present = person[:, 2] > 0
        if not present.any():
            continue
        extent = np.ptp(person[present, :2], axis=0).max()
        broad = thickness or float(np.clip(extent / 75, 1.5, max(image.shape[:2]) / 90))
        fixed = np.rint(np.clip(person[:, :2], -_FAR, _FAR) * (1 << _SHIFT)).astype(int)
        bones = [(i, j) for i, j in joint_set.skeleton if present[i] and present[j]]
        colours = [joint_colour(name) for name in joint_set.names]
        for halo in (True, False):
            for i, j in bones:
                colour = (255, 255, 255) if halo else _bone_colour(colours[i], colours[j])
                width = int(np.ceil(broad + 2)) if halo else max(1, round(broad))
                cv2.line(out, fixed[i].tolist(), fixed[j].tolist(), colour, width, cv2.LINE_AA, _SHIFT)
        for j in np.flatnonzero(present).tolist():
            for radius, colour in ((broad + 1.2, (255, 255, 255)), (broad, colours[j])):
                cv2.circle(
                    out, fixed[j].tolist(), int(radius * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT
                )
    return out


def joint_colour(name: str) -> tuple[int, int, int]:
    """RGB of a joint by its side."""
    return LEFT if name.startswith("L_") else RIGHT if name.startswith("R_") else MIDDLE


def _bone_colour(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    """A side's colour if either end has one; bones across the body are of the middle."""
    sides = {a, b} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE
