"""Biovision hierarchy files (BVH; Meredith and Maddock 2001, "Motion capture file formats explained")."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.export.motion import Clip, Motion, of_person
from openhmr.geometry.cardan import cardan_zxy, steady_zxy
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.io.atomic import atomic_path

_ROTATIONS = "Zrotation Xrotation Yrotation"
_OWN = 0.5
"""Vertices that move with a joint by more than this are its own."""


def write_bvh(path: Path, clip: Clip) -> None:
    """Write a file a person, ``person`` in the name of ``path`` becoming theirs: metres, y up, T-pose at
    rest, joints with SMPL's names.

    Rotations are in degrees about z, then the turned x, then the twice turned y. A file begins where its
    person is first seen and goes on to where it is last seen, at the clip's frame rate; what lies between is
    interpolated where the person, or the rate, is missing.
    """
    for motion in clip.motions:
        with atomic_path(of_person(path, motion.name)) as temporary:
            temporary.write_text(bvh_text(motion, clip.period_s), encoding="ascii", newline="\n")


def bvh_text(motion: Motion, period_s: float) -> str:
    """The file of one person."""
    even = motion.evenly(period_s)
    angles = np.degrees(steady_zxy(cardan_zxy(axis_angle_to_matrix(even.pose))))
    order: list[int] = []
    tree = "".join(_joint(motion, 0, "", order))
    numbers = np.concatenate([even.root, angles[:, order].reshape(len(angles), -1)], 1)
    rows = "\n".join(" ".join(f"{n:.6f}" for n in row) for row in numbers)
    head = f"HIERARCHY\n{tree}MOTION\nFrames: {len(numbers)}\nFrame Time: {period_s:.8f}\n"
    return f"{head}{rows}\n"


def _joint(motion: Motion, joint: int, indent: str, order: list[int]) -> Iterator[str]:
    """The lines of a joint and all below it; ``order`` receives the joints as they are written."""
    order.append(joint)
    name, inside = motion.joint_names[joint], indent + "\t"
    if joint:
        yield f"{indent}JOINT {name}\n{indent}{{\n{inside}OFFSET {_three(motion.bones[joint])}\n"
        yield f"{inside}CHANNELS 3 {_ROTATIONS}\n"
    else:
        yield f"ROOT {name}\n{{\n{inside}OFFSET 0 0 0\n"
        yield f"{inside}CHANNELS 6 Xposition Yposition Zposition {_ROTATIONS}\n"
    below = np.flatnonzero(motion.body.parents == joint)
    for child in below:
        yield from _joint(motion, int(child), inside, order)
    if not len(below):
        yield f"{inside}End Site\n{inside}{{\n{inside}\tOFFSET {_three(_tip(motion, joint))}\n{inside}}}\n"
    yield f"{indent}}}\n"


def _tip(motion: Motion, joint: int) -> NDArray[np.float64]:
    """From a last joint, along its bone, to where its part of the body ends."""
    bone = motion.bones[joint]
    along = bone / max(np.linalg.norm(bone), 1e-9)
    own = motion.rest_vertices[motion.body.weights[:, joint] > _OWN]
    reach = ((own - motion.rest_joints[joint]) @ along).max(initial=0.0)
    return along * reach if reach > 0 else bone


def _three(vector: NDArray) -> str:
    return " ".join(f"{n:.6f}" for n in vector)
