"""MoveNet MultiPose: from a picture to the people in it, in one pass (Google's model, exported by the laboratory).

The network gives six maps with a cell for every fourth pixel (``HEADS``); what the original's graph makes of
them is here in numpy.
"""

import numpy as np
from numpy.typing import NDArray

from openhmr.joints.coco import COCO17

KIND = "detector"
HEADS = {"centre": 1, "box_size": 2, "box_offset": 2, "heat": 17, "displacement": 34, "offset": 34}
"""Name -> channels of the network's maps ``(B,C,rows,columns)``: probability of a person's centre; size of the
box and offset of its centre (y, x, in cells); probability of each keypoint; where the keypoints of the person at
a cell lie from it, and where in its cell a keypoint lies (y, x of each, in cells)."""
CELL_PX = 4
STRIDE_PX = 32
"""Sides of the network's input are multiples of it."""
_PEAK_CELLS = 5
"""A person's centre is the largest value among so many cells across."""
_PEAK_EQUAL = 1.0132789611816406e-06
_WIDTH = 0.300048828125
"""Variance of the window about a regressed keypoint in which its heat counts, over the map's shorter side."""
_SEEN = 0.126953125
"""Keypoints of less do not count in a person's score."""


def decode(maps: dict[str, NDArray[np.float32]], most: int = 6) -> tuple[NDArray, NDArray, NDArray]:
    """The ``most`` likely people of the maps ``(C,rows,columns)`` of one picture: keypoints ``(K,17,3)`` x, y,
    confidence, boxes ``(K,4)`` x, y, width, height, and scores ``(K,)``, best centre first; in pixels of the
    network's input from the corner of the first one.

    As the original's graph, which has six, with these of its ways: a keypoint lies at the cell of most heat,
    within the box, in the window around where the centre says; its confidence is the largest that anybody
    has *at that cell*; a person's score is that of the centre times the mean of the confidences that are not
    negligible.
    """
    rows, columns = maps["heat"].shape[1:]
    y, x, certainty = _peaks(maps["centre"][0], most)
    size = np.maximum(maps["box_size"][:, y, x], 0)
    middle = np.stack([y, x]) + maps["box_offset"][:, y, x]
    limits = np.array([[rows], [columns]], np.float32)
    low, high = (np.clip(middle + sign * 0.5 * size, 0, limits) for sign in (-1, 1))
    displaced = maps["displacement"][:, y, x].T.reshape(-1, len(COCO17), 2) + np.stack([y, x], -1)[:, None]

    down, across = np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
    inside = [(a >= lo[:, None]) & (a < hi[:, None]) for a, lo, hi in zip((down, across), low, high, strict=True)]
    # The window is a product of one in y and one in x, which is what makes this quick.
    spread = min(rows, columns) * np.float32(_WIDTH)
    window = [
        np.exp(-np.square(a - displaced[..., k, None]) / spread) * inside[k][:, None]
        for k, a in enumerate((down, across))
    ]
    weighted = maps["heat"][None] * window[0][..., None] * window[1][..., None, :]
    best = weighted.reshape(*weighted.shape[:2], -1).argmax(-1)
    row, column = np.divmod(best, columns)
    joint = np.arange(len(COCO17))
    confidence = weighted[:, joint, row, column].max(0)
    offset = maps["offset"].reshape(-1, 2, rows, columns)
    points = np.stack(
        [column + offset[joint, 1, row, column], row + offset[joint, 0, row, column]], -1
    ) * CELL_PX
    seen = confidence > _SEEN
    scores = certainty * (confidence * seen).sum(-1) / np.maximum(seen.sum(-1), 1)
    boxes = np.concatenate([low[::-1], (high - low)[::-1]]).T * CELL_PX
    return np.concatenate([points, confidence[..., None]], -1), boxes, scores


def _peaks(centre: NDArray[np.float32], most: int) -> tuple[NDArray, NDArray, NDArray]:
    """Row, column and value of the ``most`` largest local maxima of ``(rows,columns)``."""
    around = np.pad(centre, _PEAK_CELLS // 2, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(around, (_PEAK_CELLS, _PEAK_CELLS))
    peaks = np.where(windows.max((2, 3)) - centre < _PEAK_EQUAL, centre, 0).ravel()
    order = np.argsort(-peaks, kind="stable")[:most]
    row, column = np.divmod(order, centre.shape[1])
    return row, column, peaks[order]
