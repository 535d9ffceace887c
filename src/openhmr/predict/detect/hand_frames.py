"""Turned squares about hands, in which the landmark network sees them upright: where they lie and what is in
them.

A frame is a row x, y of its centre, side (pixels) and the angle (radians, clockwise on the picture) by which
the hand's direction, wrist to middle finger, is turned from upwards.

Source: the constants are those of the graphs in MediaPipe's package.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.predict.detect.palms import MIDDLE, WRIST
from openhmr.predict.upright import rolled

HAND_PATCH = 224
"""Side of the landmark network's input in pixels."""
_PALM_ENLARGE, _PALM_SHIFT = 2.6, 0.5
_HAND_ENLARGE, _HAND_SHIFT = 2.0, 0.1
"""Side over that of the box about the palm, and shift towards the fingers in heights of that box."""
_PALM_JOINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""The hand's points that the next frame is laid about."""
_KNUCKLES, _WEIGHTS = [5, 9, 13], (0.25, 0.5, 0.25)


def frames_of_palms(palms: NDArray) -> NDArray[np.float64]:
    """Frames ``(N,4)`` of ``palms (N,18)`` as :func:`openhmr.predict.detect.palms.decode` gives them, in any
    pixels."""
    points = palms[:, 4:].reshape(-1, 7, 2)
    angle = _turn_from_up(points[:, MIDDLE] - points[:, WRIST])
    up = np.stack([np.sin(angle), -np.cos(angle)], 1)
    centre = palms[:, :2] + _PALM_SHIFT * palms[:, 3:4] * up
    side = _PALM_ENLARGE * palms[:, 2:4].max(1)
    return np.concatenate([centre, side[:, None], angle[:, None]], 1)


def frames_of_hands(points: NDArray) -> NDArray[np.float64]:
    """Frames ``(N,4)`` of hands ``(N,21,2)`` whose points are known."""
    knuckles = np.average(points[:, _KNUCKLES], 1, _WEIGHTS)
    angle = _turn_from_up(knuckles - points[:, 0])
    turn = turns(angle)
    turned = points[:, _PALM_JOINTS] @ turn.transpose(0, 2, 1)
    low, high = turned.min(1), turned.max(1)
    middle = (low + high) / 2
    middle[:, 1] -= _HAND_SHIFT * (high - low)[:, 1]
    centre = np.einsum("nji,nj->ni", turn, middle)
    side = _HAND_ENLARGE * (high - low).max(1)
    return np.concatenate([centre, side[:, None], angle[:, None]], 1)


def turns(angles: ArrayLike) -> NDArray[np.float64]:
    """Rotations ``(N,2,2)`` from the picture into frames turned by ``angles (N,)``."""
    return rolled(-np.asarray(angles))


def to_picture(points: NDArray, frames: NDArray) -> NDArray[np.float64]:
    """Pixels ``(N,P,2)`` of the picture of points ``(N,P,2)`` of the network."""
    zoom = frames[:, None, 2:3] / HAND_PATCH
    # The network counts from the corner of its first pixel: x of a picture and of its mirror image add up to
    # its side, not to one less.
    return frames[:, None, :2] + (points - 0.5 - HAND_PATCH / 2) * zoom @ turns(frames[:, 3])


def _turn_from_up(direction: NDArray) -> NDArray[np.float64]:
    return np.arctan2(direction[:, 0], -direction[:, 1])
