"""The 2D joints of two networks, the detector's and the image network's, as one (ours): they err each in its
own way, so that on real frames their mean errs by a quarter less than either."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.predict.upright import FAINT

HALF_CONFIDENCE_M = 0.10
"""A joint of the image network whose standard deviation is this has confidence 0.5 (ours; a lift is trained
with 0.55 for misplaced joints)."""

SHARE_A_METRE = 0.2
"""Share of the longer side of a person's box that errors of the image network have for each metre of its
deviation: with it they agree with those on real frames, in eight bins of the confidence."""
DETECTED = 0.012
"""Standard deviation of the detector's joints, in the same unit: nearly the same for all confidences above
:data:`UNSURE`."""
UNSURE = 0.5
APART = 0.06
"""Distance of both, in the same unit, from which they are no more two measurements of one place: then the
image network's counts, which errs half as often by so much on rendered people."""
DISAGREE = 0.1
"""Distance at which the confidence of a joint is halved."""
LOW_SHOULDERS, LOW_HIPS = 0.03, 0.04
"""The detector sees shoulders and hips higher than the body has them, by these shares of the trunk: on real
frames (four views triangulated) and on rendered people alike, within 0.01."""

_NAMES = COCO.names
_LIMBS = [
    _NAMES.index(f"{s}_{j}") for j in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for s in "LR"
]
_SWAPPED = [
    _NAMES.index({"L_": "R_", "R_": "L_"}.get(n[:2], n[:2]) + n[2:]) if n[:2] in ("L_", "R_") else i
    for i, n in enumerate(_NAMES)
]
_SHOULDERS, _HIPS = ([_NAMES.index(f"{s}_{part}") for s in "LR"] for part in ("Shoulder", "Hip"))


def fused(seen: Keypoints, detected: Keypoints) -> Keypoints:
    """The keypoints ``seen`` by the image network with those ``detected`` of the same people taken in: COCO
    joints, their mean weighted by the inverse of the variances, where both agree.

    Where the detector took a person's front for the back, its left joints are the right ones. ``seen`` needs
    boxes. Raises :class:`InputError` for other joint sets and different people.
    """
    if (
        seen.joint_set != COCO
        or detected.joint_set != COCO
        or len(seen) != len(detected)
        or seen.boxes is None
    ):
        raise InputError(
            "keypoints are fused of the same people in COCO joints, the first with boxes; give the image "
            "network's and the detector's"
        )
    ours = seen.points.astype(np.float64)
    other = _unflipped(lowered(detected.points.astype(np.float64)), ours)
    size = seen.boxes[:, 2:].max(-1)[:, None]
    apart = np.linalg.norm(other[..., :2] - ours[..., :2], axis=-1) / size
    confidence = np.maximum(other[..., 2], FAINT / 10)
    variance = (DETECTED * np.maximum(UNSURE / confidence, 1)) ** 2 * (1 + (apart / APART) ** 4)
    own = (SHARE_A_METRE * deviation_m(ours[..., 2])) ** 2
    weight = (own / (own + variance))[..., None]
    xy = ours[..., :2] + weight * (other[..., :2] - ours[..., :2])
    agreed = np.maximum(ours[..., 2], confidence) / (1 + (apart / DISAGREE) ** 2)
    points = np.concatenate([xy, np.clip(agreed, 0.05, 1)[..., None]], -1).astype(np.float32)
    return replace(seen, points=points)


def deviation_m(confidence: NDArray) -> NDArray[np.float64]:
    """Standard deviation in metres of the image network's joints of a ``confidence``."""
    return HALF_CONFIDENCE_M * np.sqrt(1 / np.clip(confidence, 0.01, 0.99) - 1)


def lowered(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints ``(N,19,3)`` as the detector sees them, with shoulders and hips where the body has them."""
    out = points.copy()
    trunk = (points[:, _HIPS, :2].mean(1) - points[:, _SHOULDERS, :2].mean(1))[:, None]
    seen = np.all(points[:, _HIPS + _SHOULDERS, 2] > FAINT, axis=1).reshape(-1, 1, 1)
    for rows, middle, share in ((_SHOULDERS, "Neck", LOW_SHOULDERS), (_HIPS, "Pelvis", LOW_HIPS)):
        out[:, [*rows, _NAMES.index(middle)], :2] += seen * share * trunk
    return out


def _unflipped(points: NDArray[np.float64], like: NDArray[np.float64]) -> NDArray[np.float64]:
    """``points (N,19,3)`` with left and right exchanged, of those to whom ``like`` is nearer so."""
    swapped = points[:, _SWAPPED]
    apart, exchanged = (
        np.linalg.norm(p[:, _LIMBS, :2] - like[:, _LIMBS, :2], axis=-1).sum(1) for p in (points, swapped)
    )
    return np.where(np.less(exchanged, apart).reshape(-1, 1, 1), swapped, points)
