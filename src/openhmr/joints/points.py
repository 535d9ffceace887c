"""The named points of the body: the union of the joints of every body skeleton.

Joints whose definitions agree within about 15 mm are one point; where two skeletons give a name to different
places, the points have different names. Lengths are SMPL's of its mean body, others of one of 1.70 m or in
proportion to a bone that is given.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints.joint_set import JointSet

# Name, the point it hangs on in drawings and graphs, where it lies. "*_" stands for L_ and for R_. Above, in
# front and lateral are meant of a person who stands in a T-pose.
_TABLE = (
    # COCO's 17, which the skeletons below share where they have no point of their own.
    ("Nose", "Neck", "surface point at the tip of the nose"),
    ("*_Eye", "Nose", "centre of the pupil of the open eye, on the surface"),
    ("*_Ear", "*_Eye", "middle of the visible ear, on its outer surface"),
    ("*_Shoulder", "Neck", "centre of the shoulder as seen from in front, some 160 mm from the midline"),
    ("*_Elbow", "*_Shoulder", "middle of the elbow joint, between its two epicondyles"),
    ("*_Wrist", "*_Elbow", "middle of the wrist, between the styloid processes"),
    ("*_Hip", "Pelvis", "hip as annotators see it: in the groin crease, 95 to 110 mm from the midline"),
    ("*_Knee", "*_Hip", "middle of the knee, behind the kneecap"),
    ("*_Ankle", "*_Knee", "middle of the ankle joint, between both malleoli"),
    # Feet of OpenPose, Halpe and COCO-WholeBody.
    ("*_BigToe", "*_Ankle", "surface point at the tip of the big toe"),
    ("*_SmallToe", "*_BigToe", "surface point at the tip of the small toe"),
    ("*_Heel", "*_Ankle", "rearmost surface point of the heel, near the ground"),
    # Head and neck of the data sets without a face.
    ("Head_top", "Throat", "highest surface point of the head, on the midline, without hair"),
    ("Throat", "Neck", "middle of the neck, front to back, at its base: just above the collar bones"),
    ("Upper_neck", "Throat", "middle of the neck where the head begins, at the height of the chin"),
    ("Thorax_mpii", "Neck", "between the shoulders, 20 mm above the line that joins them"),
    ("Pelvis_mpii", "Pelvis", "between the hips, 20 mm above the line that joins them"),
    # MediaPipe's own.
    ("*_Eye_inner", "*_Eye", "inner corner of the eye, on the surface"),
    ("*_Eye_outer", "*_Eye", "outer corner of the eye, on the surface"),
    ("*_Mouth", "Nose", "corner of the mouth, on the surface"),
    ("*_Pinky", "*_Wrist", "knuckle at the base of the little finger"),
    ("*_Index", "*_Wrist", "knuckle at the base of the index finger"),
    ("*_Thumb", "*_Wrist", "knuckle in the middle of the thumb, where it leaves the hand"),
    ("*_Foot_index", "*_Ankle", "surface point at the tip of the second toe"),
    # Human3.6M's: a marker-based skeleton whose hips lie wide and high, level with its pelvis.
    ("Pelvis_h36m", "Pelvis", "mean of both hips of Human3.6M"),
    ("*_Hip_h36m", "Pelvis_h36m", "level with the pelvis, 133 mm from it where the thigh has 443 mm"),
    ("*_Knee_h36m", "*_Hip_h36m", "centre of the knee, between the epicondyles of the thigh bone"),
    ("*_Ankle_h36m", "*_Knee_h36m", "centre of the ankle, at the lower end of the malleoli"),
    ("Torso_h36m", "Pelvis_h36m", "in the spine, 48 % of the way from the pelvis to the thorax"),
    ("Thorax_h36m", "Torso_h36m", "base of the neck, inside, on the midline: where the arms branch off"),
    ("Neck_nose_h36m", "Thorax_h36m", "on the axis of neck and head, half way to the head: chin height"),
    ("Head_h36m", "Neck_nose_h36m", "inside the head, near its top, 115 mm above the neck/nose point"),
    ("*_Shoulder_h36m", "Thorax_h36m", "centre of the shoulder joint, 151 mm from the thorax"),
    # The 24 rotation centres of SMPL, by its widely published offsets.
    ("Pelvis_smpl", "Pelvis", "root of the tree: inside, 91 mm above the hips"),
    ("*_Hip_smpl", "Pelvis_smpl", "69 mm lateral of, 91 below, 7 behind the pelvis"),
    ("*_Knee_smpl", "*_Hip_smpl", "34 mm lateral of, 375 below, 5 behind the hip"),
    ("*_Ankle_smpl", "*_Knee_smpl", "14 mm medial of, 398 below, 44 behind the knee"),
    ("*_Toe_smpl", "*_Ankle_smpl", "ball of the foot: 26 mm lateral of, 56 below, 119 in front of the ankle"),
    ("Torso_smpl", "Pelvis_smpl", "lowest of the spine: 109 mm above, 27 behind the pelvis"),
    ("Spine_smpl", "Torso_smpl", "middle of the spine: 135 mm above the lowest"),
    ("Chest_smpl", "Spine_smpl", "upper of the spine: 53 mm above, 25 in front of the middle"),
    ("Neck_smpl", "Chest_smpl", "base of the neck: 214 mm above, 43 behind the chest"),
    ("*_Thorax_smpl", "Chest_smpl", "in the collar bone: 79 mm lateral of, 122 above, 34 behind the chest"),
    ("Head_smpl", "Neck_smpl", "base of the skull: 88 mm above, 50 in front of the neck"),
    ("*_Shoulder_smpl", "*_Thorax_smpl", "91 mm lateral of, 30 above, 9 behind the point in the collar bone"),
    ("*_Elbow_smpl", "*_Shoulder_smpl", "260 mm lateral of, 13 below, 28 behind the shoulder"),
    ("*_Wrist_smpl", "*_Elbow_smpl", "249 mm lateral of, 9 above, 1 behind the elbow"),
    ("*_Hand_smpl", "*_Wrist_smpl", "in the palm near the knuckles: 84 mm lateral of, 8 below the wrist"),
    # MPI-INF-3DHP's where nothing above is near.
    ("Pelvis_3dhp", "Pelvis", "mean of both hips of MPI-INF-3DHP"),
    ("*_Hip_3dhp", "Pelvis_3dhp", "outside of the hip joint: 267 mm apart where the shin has 383 mm"),
    ("*_Shoulder_3dhp", "Throat", "centre of the shoulder joint: 298 mm apart where the shin has 383 mm"),
    ("Spine4_3dhp", "Chest_smpl", "in the spine, midway between SMPL's chest and the throat"),
    ("Head_3dhp", "Throat", "inside the head, midway between the throat and the top of the head"),
)  # fmt: skip

# Means of others: nobody annotates them, and they come last.
_MEANS = (
    ("Pelvis", ("L_Hip", "R_Hip"), "mean of both hips (COCO): OpenPose's MidHip, Halpe's Hip"),
    ("Neck", ("L_Shoulder", "R_Shoulder"), "mean of both shoulders (COCO): OpenPose's Neck"),
)


def _rows() -> Iterator[tuple[str, str, str]]:
    for name, parent, text in _TABLE:
        for side in ("L_", "R_") if name.startswith("*_") else ("",):
            yield name.replace("*_", side), parent.replace("*_", side), text


_NAMES = (*(name for name, _, _ in _rows()), *(name for name, _, _ in _MEANS))
_INDEX = {name: i for i, name in enumerate(_NAMES)}

POINTS = JointSet(
    name="points",
    names=_NAMES,
    skeleton=(
        *((_INDEX[parent], _INDEX[name]) for name, parent, _ in _rows()),
        (_INDEX["Pelvis"], _INDEX["Neck"]),
    ),
    root=_INDEX["Pelvis"],
    eval_joints=tuple(range(len(_NAMES))),
    derived={name: sources for name, sources, _ in _MEANS},
)  # fmt: skip
"""Every named point of the body. Those of a skeleton: :func:`point_indices`."""

POINT_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {name: text for name, _, text in (*_rows(), *_MEANS)}
)
"""Where each point lies."""


def has_points(joint_set: JointSet) -> bool:
    """Whether every joint of a set is a point of the body."""
    return all(joint_set.points.get(name, name) in _INDEX for name in joint_set.names)


def point_indices(joint_set: JointSet) -> NDArray[np.int64]:
    """The point of each joint of a set, as its index ``(J,)`` in :data:`POINTS`.

    A joint has the point that ``joint_set.points`` gives it, otherwise the one of its own name. Raises
    :class:`InputError` where there is none: a hand's joints are no points of the body.
    """
    points = [joint_set.points.get(name, name) for name in joint_set.names]
    unknown = sorted(set(points) - set(_INDEX))
    if unknown:
        raise InputError(
            f"joint set {joint_set.name!r} has joints that are no known points of the body: "
            f"{', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}; give each a point of "
            f"openhmr.joints.POINTS in the set's `points`"
        )
    return np.array([_INDEX[point] for point in points])
