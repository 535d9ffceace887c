"""What MoveNet MultiPose says of a picture, and the people that follow from it.

The network gives six maps with a cell for every fourth pixel (``HEADS``); what the original's graph makes of
them, TensorFlow operation by operation, is numpy here.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from openhmr.joints.coco import COCO17

KIND = "detector"
"""What the metadata of the network's file say it is."""
HEADS = {"centre": 1, "box_size": 2, "box_offset": 2, "heat": 17, "displacement": 34, "offset": 34}
"""Name -> channels of the network's maps ``(B,C,rows,columns)``: probability of a person's centre; size of
the box and offset of its centre (y, x, in cells); probability of each keypoint; where the keypoints of the
person at a cell lie from it, and where in its cell a keypoint lies (y, x of each, in cells)."""
CELL_PX = 4
PEOPLE = 6
"""How many people the original returns of a picture."""
_PEAK_CELLS = 5
"""A person's centre is the largest value among so many cells across."""
_PEAK_EQUAL = 1.0132789611816406e-06
_WINDOW = 0.300048828125
"""The heat of a keypoint counts in a window about where the centre says it lies, with this variance over the
map's shorter side."""
_SEEN = 0.126953125
"""Keypoints of less confidence do not count in a person's score."""


def decode(
    maps: Mapping[str, NDArray[np.float32]], most: int = PEOPLE, least: float = -1
) -> tuple[NDArray, NDArray, NDArray]:
    """The people of the maps ``(C,rows,columns)`` of one picture: keypoints ``(K,17,3)`` x, y, confidence,
    boxes ``(K,4)`` x, y, width, height, and scores ``(K,)``; pixels of the network's input.

    Centres come best first, the ``most`` likely whose probability is above ``least``. As in the original's
    graph, which has six whatever their probability: a keypoint lies at the cell of most heat within the box
    and the window about where the centre says; its confidence is the largest that anybody has *at that cell*;
    the score is the probability of the centre times the mean of all confidences that are not negligible.
    """
    rows, columns = maps["heat"].shape[1:]
    y, x, certainty = _peaks(maps["centre"][0], most, least)
    here = np.stack([y, x])
    half = 0.5 * np.maximum(maps["box_size"][:, y, x], 0)
    middle = here + maps["box_offset"][:, y, x]
    low, high = (np.clip(corner, 0, [[rows], [columns]]) for corner in (middle - half, middle + half))
    expected = here.T[:, None] + maps["displacement"][:, y, x].T.reshape(-1, len(COCO17), 2)

    # The window is a product of one along y and one along x.
    spread = min(rows, columns) * _WINDOW
    along = []
    for axis, cells in enumerate((np.arange(rows), np.arange(columns))):
        inside = (cells >= low[axis][:, None]) & (cells < high[axis][:, None])
        along.append(np.exp(-((cells - expected[..., axis, None]) ** 2) / spread) * inside[:, None])
    down, across = (a.astype(np.float32) for a in along)
    heat = maps["heat"] * down[..., None] * across[..., None, :]
    row, column = np.divmod(heat.reshape(*heat.shape[:2], rows * columns).argmax(-1), columns)
    joint = np.arange(len(COCO17))
    confidence = heat[:, joint, row, column].max(0) if len(y) else np.zeros((0, len(COCO17)), np.float32)
    offset = maps["offset"].reshape(-1, 2, rows, columns)[joint, :, row, column]
    points = CELL_PX * np.stack([column + offset[..., 1], row + offset[..., 0]], -1)
    counted = confidence * (confidence > _SEEN)
    scores = certainty * counted.sum(-1) / np.maximum((counted > 0).sum(-1), 1)
    boxes = CELL_PX * np.concatenate([low[::-1], (high - low)[::-1]]).T
    # Cell 0 begins half a pixel before the centre of pixel 0; boxes need no shift, as mirrored pictures show.
    return np.concatenate([points - 0.5, confidence[..., None]], -1), boxes, scores


def _peaks(centre: NDArray[np.float32], most: int, least: float) -> tuple[NDArray, NDArray, NDArray]:
    """Row, column and value of the ``most`` largest local maxima above ``least`` of ``(rows,columns)``; what
    is no maximum counts as 0."""
    around = np.pad(centre, _PEAK_CELLS // 2, constant_values=-np.inf)
    neighbours = np.lib.stride_tricks.sliding_window_view(around, (_PEAK_CELLS, _PEAK_CELLS))
    peaks = np.where(neighbours.max((2, 3)) - centre < _PEAK_EQUAL, centre, 0).ravel()
    best = np.argsort(-peaks, kind="stable")[:most]
    best = best[peaks[best] > least]
    row, column = np.divmod(best, centre.shape[1])
    return row, column, peaks[best]
