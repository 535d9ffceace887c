"""Finding a person with nothing but the recovery network itself: from coarse windows to the box of what it
sees there (ours)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from openhmr.predict.person_crop import ENLARGE, LIXELS, cut, picture_px, squares

KEPT = 3
"""Windows that are followed after the first look."""
ROUNDS = 2

Network = Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]]


def find_person(network: Network, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The box ``(1,4)`` of the person that ``network`` is surest of, starting from the whole picture and
    windows over it."""
    boxes = windows(image.shape[1], image.shape[0])
    seen, spread = look(network, image, boxes)
    best = seen[np.argsort(spread)[:KEPT]]
    for _ in range(ROUNDS):
        boxes = best
        best, spread = look(network, image, boxes)
    return best[np.argsort(spread)[:1]]


def windows(width: int, height: int) -> NDArray[np.float64]:
    """Starting boxes ``(M,4)``: the whole picture, and squares of its shorter side and of 0.6 of it, half
    overlapping."""
    boxes = [(0.0, 0.0, float(width), float(height))]
    short = min(width, height)
    for side in (short, 0.6 * short):
        spare = width - side, height - side
        xs, ys = (
            np.linspace(0, s, int(np.clip(round(2 * s / side) + 1, 2, 5))) if s > 0 else [0.0] for s in spare
        )
        boxes += [(x, y, side, side) for y in ys for x in xs]
    # Crops are wider than boxes; a window is meant as the crop itself.
    out = np.array(boxes)
    out[1:, :2] += out[1:, 2:] * (0.5 - 0.5 / ENLARGE)
    out[1:, 2:] /= ENLARGE
    return out


def look(
    network: Network, image: NDArray[np.uint8], boxes: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the network sees in ``boxes (M,4)``: the box of its mesh, and how unsure it is: the median spread
    of its joints over the person's size, more where the person fills the crop beyond the usual share, because
    somebody cut off does so too, and more for small people, because a photo is of somebody rather than of a
    passer-by."""
    crops = squares(boxes)
    out = network(cut(image, crops))
    points = picture_px(out["vertices_lixel"], crops)
    low, high = points.min(1), points.max(1)
    size = np.maximum(high - low, 2)
    share = size.max(1) / crops[:, 2]
    spread = np.median(np.sqrt((out["joints_sigma"][..., :2] ** 2).mean(-1)), 1) / LIXELS
    found = np.concatenate([(low + high - size) / 2, size], 1)
    # A box must keep a pixel in the picture, whatever the network says of an empty window.
    limit = np.array([image.shape[1], image.shape[0]]) - 1.0
    found[:, :2] = np.clip(found[:, :2], 1 - size, limit)
    return found, spread / np.minimum(share, ENLARGE**-2 / share) / np.sqrt(size.max(1))
