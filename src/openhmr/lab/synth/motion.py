"""Human motion as local rotations of the 24 SMPL joints: the CMU pack and its retargeting to the open body.

A motion pack is an ``.npz`` with ``quat_wxyz (N,25,4)`` local rotations, ``offsets (clips,25,3)`` and
``tip_offsets`` metres, ``clip_names`` ("subject_trial"), ``clip_len``, ``joint_names``, ``parents``,
``frame_ok (N,)``; rest = T-pose, Y up, facing +Z.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import local_rotations, world_rotations
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.lab.anny.tpose import PARENTS, shortest_arc
from openhmr.lab.synth.bvh import read_folder

MAX_NUMBERS = 100_000_000
REQUIRED = (
    "quat_wxyz",
    "offsets",
    "tip_offsets",
    "clip_names",
    "clip_len",
    "joint_names",
    "parents",
    "frame_ok",
)
VALIDATION_SUBJECTS = ("03", "88", "90", "131")
TEST_SUBJECTS = ("05", "49")

SOURCES: dict[int, tuple[str, str | None]] = {
    0: ("hip", None),
    3: ("abdomen", None),
    6: ("chest", None),
    9: ("chest2", None),
    15: ("head", None),
    1: ("lThigh", "lShin"),
    2: ("rThigh", "rShin"),
    4: ("lShin", "lFoot"),
    5: ("rShin", "rFoot"),
    7: ("lFoot", None),
    8: ("rFoot", None),
    10: ("lToe", None),
    11: ("rToe", None),
    13: ("lCollar", None),
    14: ("rCollar", None),
    16: ("lShldr", "lForeArm"),
    17: ("rShldr", "rForeArm"),
    18: ("lForeArm", "lHand"),
    19: ("rForeArm", "rHand"),
    20: ("lHand", "tip"),
    21: ("rHand", "tip"),
}
"""SMPL joint -> (source joint, where its bone ends or None for delta transfer). The neck is halfway between
neck and neck1."""
BONE_END = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21, 20: 22, 21: 23}


@dataclass(frozen=True)
class Motion:
    """``rotations (N,24,3,3)`` local rotations (root: world), ``subjects (N,)`` and ``clips (N,)`` of each
    usable frame."""

    rotations: np.ndarray
    subjects: np.ndarray
    clips: np.ndarray

    def of(self, subjects: tuple[str, ...], *, others: bool = False) -> "Motion":
        """The frames of ``subjects`` (or, with ``others``, all frames of everybody else)."""
        keep = np.isin(self.subjects, subjects) != others
        return Motion(self.rotations[keep], self.subjects[keep], self.clips[keep])

    def __add__(self, other: "Motion") -> "Motion":
        """The frames of both."""
        clips = other.clips + (self.clips.max(initial=-1) + 1)
        return Motion(
            np.concatenate([self.rotations, other.rotations]),
            np.concatenate([self.subjects, other.subjects]),
            np.concatenate([self.clips, clips]),
        )


def quaternion_to_matrix(q: np.ndarray) -> np.ndarray:
    """Quaternions ``(...,4)`` w first, any length but zero, to matrices ``(...,3,3)`` float32."""
    q = q.astype(np.float32)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return np.stack(rows, -1).reshape(*q.shape[:-1], 3, 3)


def _halfway(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation midway between ``a`` and ``b`` (they never differ by half a turn here): polar factor of
    their mean."""
    u, _, vt = np.linalg.svd((a + b) / 2)
    return u @ vt


def retarget(pack: dict[str, np.ndarray], body: Body) -> Motion:
    """Turn a motion pack into local SMPL-24 rotations of ``body``: directions of limbs are equal, trunk and
    feet keep their rotation relative to rest (ours, because joint placement there differs by anatomy and not
    by pose)."""
    names = [str(n) for n in pack["joint_names"]]
    at = {n: i for i, n in enumerate(names)}
    local = pack["local"] if "local" in pack else quaternion_to_matrix(pack["quat_wxyz"])
    world = world_rotations(local, pack["parents"])
    rest = body.J_regressor @ body.v_template
    lengths = pack["clip_len"].astype(int)
    clip_of = np.repeat(np.arange(len(lengths)), lengths)
    daz = np.linalg.norm(pack["offsets"][:, at["chest2"]], axis=1) < 1e-9
    target = np.empty((len(world), 24, 3, 3), np.float32)
    for k, (source, end) in SOURCES.items():
        target[:, k] = world[:, at[source]]
        if end is not None:
            direction = pack["tip_offsets"][:, at[source]] if end == "tip" else pack["offsets"][:, at[end]]
            arc = shortest_arc(
                np.broadcast_to(rest[BONE_END[k]] - rest[k], direction.shape), direction
            ).astype(np.float32)
            target[:, k] = target[:, k] @ arc[clip_of]
    target[:, 12] = _halfway(world[:, at["neck"]], world[:, at["neck1"]])
    # Daz clips have two spine rotations only; their chest2 is a copy, which would put the whole bend into one
    # joint.
    two = daz[clip_of]
    target[two, 6] = _halfway(world[two][:, at["abdomen"]], world[two][:, at["chest"]])
    target[two, 9] = world[two][:, at["chest"]]
    target[:, 22:24] = target[:, 20:22]
    out = local_rotations(target, PARENTS)
    ok = pack["frame_ok"].astype(bool)
    subjects = np.array([str(n).split("_")[0] for n in pack["clip_names"]])[clip_of]
    return Motion(out[ok], subjects[ok], clip_of[ok])


def load_motion(path: str | Path, body: Body) -> Motion:
    """Read and retarget a motion pack (``.npz``) or a folder of BVH files. Raises :class:`InputError` if it
    is neither."""
    if Path(path).is_dir():
        return retarget(read_folder(Path(path)), body)
    pack = read_npz(path, MAX_NUMBERS)
    missing = [k for k in REQUIRED if k not in pack]
    if missing:
        raise InputError(
            f"{path} is not a motion pack: it lacks {', '.join(missing)}; a pack has the arrays "
            f"{', '.join(REQUIRED)}"
        )
    if int(pack["clip_len"].sum()) != len(pack["quat_wxyz"]):
        raise InputError(
            f"{path}: clip_len adds up to {int(pack['clip_len'].sum())}, but there are "
            f"{len(pack['quat_wxyz'])} frames"
        )
    return retarget(pack, body)
