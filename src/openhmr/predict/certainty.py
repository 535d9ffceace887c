"""Whether there is anybody at all where the image network saw a person, and how sure it is (ours)."""

import logging

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import COCO
from openhmr.people import People

log = logging.getLogger(__name__)

MISFIT_MM, SPREAD = 14.0, 0.055
"""What people in pictures have in the middle: see :func:`misfit_mm` and :func:`spread`."""

NOBODY = 3.3
"""Doubt from which nobody is there, or too little of somebody: in benchmarks/validate_nobody.py about as many
empty boxes stay below as people of 60 pixels and more lie above, 2 in 100. That table tells the errors."""

SEEN = 0.25
"""Score of the detector from which somebody is there: in empty places it stays below 0.19."""

UNSURE = 1.9
"""Doubt from which a person may be wrong, or not there: no empty picture of the benchmark stays below."""

SUSPECT = 1.3
"""Doubt from which a person in a given box may not stand upright in the picture: on 10 real frames and 18
rendered pictures nearly all people turned by 90 degrees and more lie above, and one in ten of the others."""

GUESS_M = 0.25
"""Mean deviation of a part's joints in metres from which it is a guess: half an arm."""

FAINT = 0.15
"""Confidence up to which a joint was not seen."""

PARTS = {
    "head": ("Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear"),
    "left arm": ("L_Elbow", "L_Wrist"),
    "right arm": ("R_Elbow", "R_Wrist"),
    "left leg": ("L_Knee", "L_Ankle"),
    "right leg": ("R_Knee", "R_Ankle"),
}
"""Parts of the body by their COCO joints."""


def misfit_mm(people: People) -> NDArray[np.float64]:
    """Mean distance ``(N,)`` in mm between the vertices that an image network drew and those of the body
    fitted to them; nan where no network drew any."""
    if people.lixel_vertices is None or people.rig is None:
        return np.full(len(people), np.nan)
    return 1000 * np.linalg.norm(people.lixel_vertices - people.parametric().vertices, axis=-1).mean(-1)


def spread(people: People) -> NDArray[np.float64]:
    """Median deviation ``(N,)`` of the joints across the line of sight, in shares of the longer side of the
    person's box; nan where there are no boxes or deviations."""
    boxes = people.keypoints.boxes
    if people.sigma is None or boxes is None:
        return np.full(len(people), np.nan)
    metres = np.median(np.linalg.norm(people.sigma.joints[..., :2], axis=-1), axis=-1)
    return metres * people.camera.K[0, 0] / people.roots[:, 2] / boxes[:, 2:].max(-1)


def doubt(people: People) -> NDArray[np.float64]:
    """How doubtful people are, ``(N,)``: 1 in the middle, nan where it cannot be told.

    The product of two signs that go apart where the picture does not guide the network: its vertices do not
    form a body, and its joints are blurred.
    """
    return misfit_mm(people) / MISFIT_MM * spread(people) / SPREAD


def is_nobody(people: People) -> NDArray[np.bool_]:
    """Which ``(N,)`` of the recovered people are not there; none, where it cannot be told.

    Whom the detector has seen for certain is there, however little of them.
    """
    scores = people.keypoints.scores
    unseen = np.ones(len(people), bool) if scores is None else scores < SEEN
    return unseen & (doubt(people) > NOBODY)


def uncertain_mm(people: People) -> NDArray[np.float64]:
    """Median standard deviation ``(N,)`` of the joints in mm; nan where the method gives none."""
    if people.sigma is None:
        return np.full(len(people), np.nan)
    return 1000 * np.median(np.linalg.norm(people.sigma.joints, axis=-1), axis=-1)


def guessed_parts(people: People) -> list[list[str]]:
    """The parts of everybody's body that are guesses: none of their joints was seen, being hidden or outside
    of the picture, or they may as well be elsewhere."""
    guessed = {part: _unseen(people, names) for part, names in PARTS.items()}
    if people.sigma is not None and people.body.has_joint_regressor(COCO):
        share = np.abs(people.body.joint_regressor(COCO))
        deviation = np.linalg.norm(np.matmul(share, people.sigma.vertices), axis=-1)
        for part, names in PARTS.items():
            guessed[part] |= deviation[:, [COCO.names.index(n) for n in names]].mean(1) > GUESS_M
    return [[part for part, rows in guessed.items() if rows[i]] for i in range(len(people))]


def _unseen(people: People, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Of whom ``(N,)`` none of the joints was seen; nobody, where the skeleton has no such joints."""
    own = people.keypoints.joint_set.names
    seen = people.keypoints.points[:, [own.index(n) for n in names if n in own], 2] > FAINT
    return ~seen.any(1) & (seen.shape[1] > 0)


def warn_of_uncertain(people: People) -> None:
    """Log who is less certain than people usually are."""
    for i, value in enumerate(doubt(people)):
        if value > UNSURE:
            log.warning(
                "person %d is %.1f times as doubtful as people usually are: cut off, hidden, or not there",
                i,
                value,
            )
