"""What 2D poses must be, whatever file or array they come from: missing joints, confidences, sizes."""

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError
from openhmr.joints import JointSet

MAX_PIXEL = 1e5
MIN_JOINTS = 4
"""Fewer present joints than this do not tell one pose from another (ours)."""
MIN_SPAN_PX = 2.0
"""Smaller poses are degenerate, or were given in normalised coordinates (ours)."""

OTHER_SKELETONS = {
    18: "OpenPose's COCO-18",
    21: "a hand",
    24: "SMPL",
    25: "OpenPose's BODY_25",
    26: "Halpe-26",
    33: "MediaPipe Pose",
    133: "COCO-WholeBody",
    136: "Halpe-136 (AlphaPose)",
}
"""Skeletons that other detectors write, by their number of joints."""

_SURE = 0.9
"""The largest confidence of a person is raised to this: some detectors are never sure, and what matters is
which joints are surer than others. All at 0.3 would move a mesh by 3 cm."""
_FAINT = 1e-3
"""Confidences below this share of the person's largest mean that the joint was not seen."""
_CLIPPED, _RESCALED = 2.0, 100.0
"""Scores up to the first are clipped to 1 (heat maps overshoot); up to the second they are on another scale;
beyond, the third column is something else."""
_FAR = 1.0
"""A single joint at exactly 0, 0 is missing if it lies farther from the rest than this share of their
extent."""

log = logging.getLogger(__name__)


def check_pose2d(pose: ArrayLike, joint_set: JointSet, name: str = "pose") -> NDArray[np.float32]:
    """Clean poses ``(N,J,3)`` (x, y in pixels, confidence in [0, 1]) from ``(J,2|3)`` or ``(N,J,2|3)``
    numbers.

    The optional third column is a confidence, or COCO's visibility 0, 1, 2. Missing are joints with
    confidence 0, with NaN or -1, -1, and several joints at exactly 0, 0 (or one far from the rest), as
    detectors write them; they come out as 0, 0, 0. Derived joints (Pelvis and Neck of coco) may be left out:
    they are the midpoints of others, present only if all of those are. Confidences are scaled such that every
    person's largest is at least 0.9, and scores above 1 are clipped or rescaled with a warning. Raises
    :class:`InputError`, whose sentence starts with ``name``.
    """
    array = _numbers(pose, joint_set, name)
    out = np.ones((*array.shape[:2], 3))
    out[..., : array.shape[-1]] = array
    lost = ~np.isfinite(out).all(-1) | (out[..., :2] == -1).all(-1)
    out[lost] = 0
    out[..., 2] = _confidence(out[..., 2], name)
    out[_at_zero(out, name)] = 0
    largest = out[..., 2].max(1, keepdims=True)
    out[..., 2] = np.where(out[..., 2] > _FAINT * largest, out[..., 2], 0)
    out[..., 2] *= np.divide(
        _SURE, largest, out=np.ones_like(largest), where=(largest > 0) & (largest < _SURE)
    )
    out[out[..., 2] == 0] = 0
    farthest = np.abs(out).max()
    if farthest > MAX_PIXEL:
        raise InputError(
            f"{name} has a coordinate of {farthest:.3g}; pixel coordinates up to {MAX_PIXEL:.0f} are allowed"
        )
    out = joint_set.complete(out, "present")
    _check_span(out, name)
    return out.astype(np.float32)


def other_skeleton(joints: int) -> str:
    """What has so many joints, to be said after "joints", or nothing."""
    return f", which look like {OTHER_SKELETONS[joints]}" if joints in OTHER_SKELETONS else ""


def _numbers(pose: ArrayLike, joint_set: JointSet, name: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(pose)
        if array.dtype == object:  # null in JSON is None here: a missing number
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f"{name} has rows of different lengths, or no numbers; give all joints of everybody, each as x, "
            f"y or "
            "x, y, confidence"
        ) from None
    counts = sorted({len(joint_set.base), joint_set.size})
    choice = "|".join(map(str, counts))
    allowed = f"({choice}, 2|3) or (N, {choice}, 2|3)"
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds {array.dtype} values; numbers of shape {allowed} are needed")
    sound = array.ndim in (2, 3) and array.shape[-1] in (2, 3) and array.shape[0] > 0
    if not sound or array.shape[-2] not in counts:
        count = array.shape[-2] if sound else 0
        other = f", {count} joints{other_skeleton(count)}" if other_skeleton(count) else ""
        raise InputError(
            f"{name} has shape {array.shape}{other}; the {joint_set.name} joints need {allowed}: x, y and "
            f"optionally "
            "a confidence"
        )
    return np.array(array[None] if array.ndim == 2 else array, np.float64)


def _confidence(column: NDArray, name: str) -> NDArray:
    if np.all((column == 0) | (column == 1) | (column == 2)):
        return (column > 0).astype(np.float64)
    column = np.where(column == -1, 0, column)
    low, high = column.min(), column.max()
    if low < 0 or high > _RESCALED:
        worst = low if low < 0 else high
        raise InputError(
            f"{name} has a third column with {worst:.6g}; it must be a confidence from 0 to 1, or COCO's "
            f"visibility 0, 1, "
            "2: a third spatial coordinate is not taken"
        )
    if high > _CLIPPED:
        log.warning(
            "%s has scores up to %.6g; they are divided by that, since confidences end at 1", name, high
        )
        return column / high
    if high > 1:
        log.warning("%s has scores up to %.6g; those above 1 are taken as 1", name, high)
    return np.clip(column, 0, 1)


def _at_zero(poses: NDArray, name: str) -> NDArray[np.bool_]:
    """Joints ``(N,J)`` at exactly 0, 0, which is how many detectors write those that they did not see."""
    zero = (poses[..., :2] == 0).all(-1) & (poses[..., 2] > 0)
    for i, person in enumerate(poses):
        if zero[i].sum() == 1:
            rest = person[(person[:, 2] > 0) & ~zero[i], :2]
            near = len(rest) == 0 or np.linalg.norm(rest, axis=1).min() < _FAR * np.ptp(rest, axis=0).max()
            zero[i] &= not near
    if zero.any():
        count = int(zero.sum())
        log.warning("%s has %d joint%s at exactly 0, 0, taken as missing", name, count, "s" * (count != 1))
    return zero


def _check_span(poses: NDArray, name: str) -> None:
    for i, pose in enumerate(poses):
        who = name if len(poses) == 1 else f"{name}, pose {i},"
        xy = pose[pose[:, 2] > 0, :2]
        if len(xy) < MIN_JOINTS:
            raise InputError(
                f"{who} has {len(xy)} present joint{'s' * (len(xy) != 1)}; at least {MIN_JOINTS} are needed: "
                f"drop this pose"
            )
        if np.ptp(xy, axis=0).max() < MIN_SPAN_PX:
            raise InputError(
                f"{who} has all its joints within {np.ptp(xy, axis=0).max():.3g} px; coordinates must be "
                f"pixels of a "
                f"person at least {MIN_SPAN_PX:g} px large: multiply normalised coordinates by the image size"
            )
