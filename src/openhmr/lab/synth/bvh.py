"""BVH files: users' own motion as a motion pack, and the single poses of the MakeHuman rig."""

from pathlib import Path

import numpy as np

from openhmr.bodies.skinning import local_rotations
from openhmr.errors import InputError
from openhmr.lab.anny import tpose
from openhmr.lab.anny.source import joint_heads, y_up
from openhmr.lab.synth.bvh_file import Clip, placed, read_bvh, world
from openhmr.lab.synth.bvh_joints import PACK_JOINTS, PACK_PARENTS, match
from openhmr.lab.synth.bvh_rest import LIMBS, rest_frame, world_frame

FRAME_S = 1 / 30


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """All BVH files below ``folder`` as one motion pack at about 30 frames a second.

    Up axis and rest pose are found in each file: its skeleton must stand at rest in any axes, arms anywhere
    but across the body, or take a T-pose in its first frame. The part of a file's name before the first ``_``
    is its subject. Raises :class:`InputError` for unreadable files and for skeletons that are not understood.
    """
    files = _files(folder)
    if not files:
        raise InputError(f"{folder} holds no .bvh files; give a folder of BVH files or a motion pack (.npz)")
    parts = []
    for path in files:
        clip = read_bvh(path)
        if len(clip.rotations) > 1 and not clip.frame_time > 0:
            raise InputError(
                f"{path} has a Frame Time of {clip.frame_time:g}; write the seconds between frames"
            )
        try:
            parts.append(_pack(clip))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    local, offsets, tips = zip(*parts, strict=True)
    lengths = [len(part) for part in local]
    return {
        "local": np.concatenate(local),
        "offsets": np.array(offsets),
        "tip_offsets": np.array(tips),
        "clip_len": np.array(lengths),
        "clip_names": np.array([p.stem for p in files]),
        "joint_names": np.array(PACK_JOINTS),
        "parents": PACK_PARENTS,
        "frame_ok": np.ones(sum(lengths), bool),
    }


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".bvh" and p.is_file())


def _pack(clip: Clip) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local rotations ``(T,25,3,3)``, rest offsets and tips ``(25,3)`` in the axes of a motion pack."""
    at = match(clip.names, clip.parents.tolist())
    turns, bones = world(clip)[0], clip.offsets
    tips = dict(clip.tips)
    try:
        frame = rest_frame(_positions(clip, bones, at))
    except InputError as rest_fault:
        # Bones that all lie along one axis at rest: the pose is in the rotations alone.
        first = turns[0]
        bones = np.stack([first[p] @ o if p >= 0 else o for p, o in zip(clip.parents, bones, strict=True)])
        tips = {j: first[j] @ tip for j, tip in tips.items()}
        try:
            frame = rest_frame(_positions(clip, bones, at), t_pose=True)
        except InputError as first_fault:
            raise InputError(
                f"neither its rest pose is a standing one ({rest_fault}) nor its first frame a T-pose "
                f"({first_fault}); export it with one of them"
            ) from None
        turns = turns @ np.swapaxes(first, -1, -2)
    position = _positions(clip, bones, at)
    legs = [np.linalg.norm(position[b] - position[a]) for a, b in LIMBS if a[1:] in ("Thigh", "Shin")]
    axes = world_frame(frame, turns[:, at["hip"]], clip.root, float(sum(legs)) / 2)
    step = max(1, round(FRAME_S / clip.frame_time)) if len(turns) > 1 else 1
    turns = axes.T @ turns[::step] @ frame
    pack_world, place = np.empty((len(turns), 25, 3, 3)), np.empty((25, 3))
    for k, name in enumerate(PACK_JOINTS):
        if name in at:
            pack_world[:, k], place[k] = turns[:, at[name]], frame.T @ position[name]
        else:
            # A joint the file lacks moves with its parent and lies upon it (chest2 at zero offset marks
            # such a trunk).
            pack_world[:, k], place[k] = pack_world[:, PACK_PARENTS[k]], place[PACK_PARENTS[k]]
    local = local_rotations(pack_world, PACK_PARENTS)
    offset = place - place[np.maximum(PACK_PARENTS, 0)]
    tip = np.full((25, 3), np.nan)
    for name in ("lHand", "rHand"):
        k = PACK_JOINTS.index(name)
        tip[k] = frame.T @ tips.get(at[name], np.zeros(3))
        if not tip[k] @ offset[k] > 0:  # missing, or back along the forearm
            tip[k] = offset[k]
    return local.astype(np.float32), offset, tip


def _positions(clip: Clip, bones: np.ndarray, at: dict[str, int]) -> dict[str, np.ndarray]:
    """Pack joint -> where it is at rest, from the ``bones (J,3)``."""
    rest = placed(bones, clip.parents)
    return {name: rest[j] for name, j in at.items()}


def makehuman_poses(folder: Path) -> np.ndarray:
    """Local SMPL-24 rotations ``(N,24,3,3)`` of one-frame BVH files of the MakeHuman default rig (z up, axes
    world-aligned)."""
    out = []
    for path in [p for p in _files(folder) if p.parent == folder]:
        clip = read_bvh(path)
        turns, rest = world(clip)
        swap = y_up(np.eye(3)).T
        turned, heads = swap @ turns[0] @ swap.T, y_up(rest)[None]
        try:
            joints = joint_heads(heads, clip.names)
        except KeyError as error:
            raise InputError(
                f"{path} has no joint {error}; give BVH files of MakeHuman's default rig"
            ) from None
        to_tpose = tpose.rest_to_tpose(joints, heads, clip.names)[0]
        bones = {0: "root", 3: "spine04", 6: "spine02", 9: "spine01", 12: "neck01", 15: "head"}
        paired = {
            1: "upperleg01",
            4: "lowerleg01",
            7: "foot",
            10: "toe2-1",
            13: "clavicle",
            16: "upperarm01",
            18: "lowerarm01",
            20: "wrist",
        }
        for j, bone in paired.items():
            bones |= {j: bone + ".L", j + 1: bone + ".R"}
        globals_ = np.stack(
            [
                turned[clip.names.index(bones[j])] @ to_tpose[j].T if j in bones else np.eye(3)
                for j in range(24)
            ]
        )
        globals_[22:24] = globals_[20:22]
        out.append(local_rotations(globals_, tpose.PARENTS))
    if not out:
        raise InputError(f"{folder} holds no .bvh poses; give the folder of single poses or leave it out")
    return np.array(out, np.float32)
