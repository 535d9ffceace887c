"""What MediaPipe's palm detector says of a picture, and the palms that follow from it.

The network sees a square of 192 pixels and has an answer for each of 2016 anchors: cells of 8 pixels with two
and cells of 16 pixels with six. Palms are found rather than hands since they are nearly rigid.

Source: Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020); the constants are those of
the graph in MediaPipe's package.
"""

import numpy as np
from numpy.typing import NDArray

PALM_PATCH = 192
"""Side of the network's input in pixels."""
_CELLS = ((8, 2), (16, 6))
"""Side of the cells in pixels and how many anchors each has."""
_ANCHORS = sum(n * (PALM_PATCH // side) ** 2 for side, n in _CELLS)
PALM_OUTPUTS = {"palms": (_ANCHORS, 18), "logits": (_ANCHORS, 1)}
"""For each anchor: the box's centre x, y (from the anchor), width, height and seven points x, y (from the
anchor), in pixels; and the logit of a palm."""
WRIST, MIDDLE = 0, 2
"""Points that give the palm's direction: wrist, and the middle finger's knuckle."""
_SAME = 0.3
"""Answers whose boxes overlap by more (intersection over union) are one palm."""


def anchors() -> NDArray[np.float32]:
    """Centres ``(2016,2)`` x, y of the anchors in pixels of the network's input."""
    out = []
    for side, count in _CELLS:
        along = (np.arange(PALM_PATCH // side) + 0.5) * side
        grid = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
        out.append(np.repeat(grid, count, 0))
    return np.concatenate(out).astype(np.float32)


def decode(raw: NDArray, logits: NDArray, least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The palms of one square from the network's ``raw (2016,18)`` and ``logits (2016,1)``: ``(K,18)`` centre
    x, y, width, height and seven points x, y in pixels of the input, and scores ``(K,)`` above ``least``,
    best first.

    Answers that overlap are averaged, weighted by score, as in the original.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))
    rows = np.nonzero(scores > least)[0]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    palms, scores = raw[rows].astype(np.float64), scores[rows]
    at = anchors()[rows]
    palms[:, :2] += at
    palms[:, 4:] += np.tile(at, 7)
    out, best = [], []
    left = np.arange(len(rows))
    while len(left):
        same = overlap(palms[left[0]], palms[left]) > _SAME
        same[0] = True
        one = left[same]
        out.append(np.average(palms[one], 0, scores[one]))
        best.append(scores[left[0]])
        left = left[~same]
    return np.array(out).reshape(-1, 18), np.array(best)


def overlap(box: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Intersection over union ``(N,)`` of ``box (>=4,)`` and ``others (N,>=4)``, centre x, y, width,
    height."""
    low = np.maximum(box[:2] - box[2:4] / 2, others[:, :2] - others[:, 2:4] / 2)
    high = np.minimum(box[:2] + box[2:4] / 2, others[:, :2] + others[:, 2:4] / 2)
    shared = np.maximum(high - low, 0).prod(1)
    return shared / np.maximum(box[2] * box[3] + others[:, 2] * others[:, 3] - shared, 1e-9)
