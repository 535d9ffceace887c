"""BVH files: users' own motion as a motion pack, and the single poses of the MakeHuman rig."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.bodies.skinning import local_rotations, world_rotations
from openhmr.errors import InputError
from openhmr.lab.anny import tpose
from openhmr.lab.anny.source import joint_heads, y_up

MAX_BYTES, MAX_JOINTS = 200_000_000, 1000
PACK_JOINTS = (
    "hip",
    "abdomen",
    "chest",
    "chest2",
    "neck",
    "neck1",
    "head",
    "rCollar",
    "rShldr",
    "rForeArm",
    "rHand",
    "lCollar",
    "lShldr",
    "lForeArm",
    "lHand",
    "rButtock",
    "rThigh",
    "rShin",
    "rFoot",
    "rToe",
    "lButtock",
    "lThigh",
    "lShin",
    "lFoot",
    "lToe",
)
PACK_PARENTS = np.array(
    [-1, 0, 1, 2, 3, 4, 5, 3, 7, 8, 9, 3, 11, 12, 13, 0, 15, 16, 17, 18, 0, 20, 21, 22, 23]
)
ALIASES: dict[str, tuple[str, ...]] = {
    "hip": ("hips", "pelvis", "root"),
    "abdomen": ("spine", "lowerback", "spine0"),
    "chest": ("spine1", "upperback"),
    "chest2": ("spine2", "thorax", "spine3"),
    "neck": ("lowerneck",),
    "neck1": ("upperneck",),
    "head": (),
    "Collar": ("shoulder", "clavicle", "collar"),
    "Shldr": ("arm", "humerus", "uparm", "upperarm"),
    "ForeArm": ("forearm", "radius", "lowerarm", "lowarm"),
    "Hand": ("hand", "wrist"),
    "Buttock": ("hipjoint",),
    "Thigh": ("upleg", "femur", "thigh", "upperleg", "hip"),
    "Shin": ("leg", "tibia", "shin", "knee", "lowerleg"),
    "Foot": ("foot", "ankle"),
    "Toe": ("toebase", "toes", "toe"),
}
"""Pack joint (without its side) -> names other programs give it, in lower case."""
NEEDED = (
    "hip",
    "head",
    "rShldr",
    "rForeArm",
    "rHand",
    "lShldr",
    "lForeArm",
    "lHand",
    "rThigh",
    "rShin",
    "rFoot",
    "lThigh",
    "lShin",
    "lFoot",
)


@dataclass(frozen=True)
class Clip:
    """One BVH file: ``names``, ``parents (J,)``, rest ``offsets (J,3)``, local ``rotations (T,J,3,3)``,
    ``frame_time`` seconds; ``tips`` joint -> offset of its end site. Units and axes as in the file."""

    names: tuple[str, ...]
    parents: np.ndarray
    offsets: np.ndarray
    tips: dict[int, np.ndarray]
    rotations: np.ndarray
    frame_time: float


def read_bvh(path: Path) -> Clip:
    """Parse a BVH file. Raises :class:`InputError` if it is not one."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read: split the clip"
            )
        head, _, motion = path.read_text(encoding="utf-8", errors="replace").partition("MOTION")
        return _parse(head.replace("{", " { ").replace("}", " } ").split(), motion)
    except InputError:
        raise
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"{path} is not a readable BVH file ({error}); export it as plain BVH with a HIERARCHY and a "
            f"MOTION part"
        ) from None


def _parse(tokens: list[str], motion: str) -> Clip:
    names: list[str] = []
    channels: list[list[str]] = []
    parents, offsets, tips = [], [], {}
    stack: list[int] = []
    at, site = 1, False
    if tokens[:1] != ["HIERARCHY"]:
        raise ValueError("it does not begin with HIERARCHY")
    while at < len(tokens):
        word = tokens[at]
        if word in ("ROOT", "JOINT"):
            if len(names) >= MAX_JOINTS:
                raise ValueError(f"more than {MAX_JOINTS} joints")
            names.append(tokens[at + 1])
            parents.append(stack[-1] if stack else -1)
            channels.append([])
            stack.append(len(names) - 1)
            at += 2
        elif word == "End":
            site = True
            at += 2
        elif word == "OFFSET":
            value = np.array([float(t) for t in tokens[at + 1 : at + 4]])
            if site:
                tips[stack[-1]] = value
            else:
                offsets.append(value)
            at += 4
        elif word == "CHANNELS":
            count = int(tokens[at + 1])
            channels[stack[-1]] = tokens[at + 2 : at + 2 + count]
            at += 2 + count
        elif word == "}":
            if site:
                site = False
            else:
                stack.pop()
            at += 1
        else:
            at += 1
    frames, rest = motion.split("Frame Time:", 1)
    numbers = np.array(rest.split(), np.float64)
    frame_time, data = float(numbers[0]), numbers[1:]
    width = sum(len(c) for c in channels)
    data = data[: len(data) // width * width].reshape(-1, width)
    if len(data) != int(frames.split(":")[1]) or not np.isfinite(data).all() or len(offsets) != len(names):
        raise ValueError(
            f"{len(data)} frames of {width} finite channels were found, not {frames.split(':')[1].strip()}"
        )
    rotations = np.broadcast_to(np.eye(3), (len(data), len(names), 3, 3)).copy()
    column = 0
    for joint, kinds in enumerate(channels):
        for kind in kinds:
            if kind.lower().endswith("rotation"):
                rotations[:, joint] = rotations[:, joint] @ _axis_rotation(
                    "xyz".index(kind[0].lower()), np.radians(data[:, column])
                )
            column += 1
    return Clip(tuple(names), np.array(parents), np.array(offsets), tips, rotations, frame_time)


def _axis_rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, i, i] = out[:, j, j] = np.cos(angle)
    out[:, j, i], out[:, i, j] = np.sin(angle), -np.sin(angle)
    return out


def world(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """World rotations ``(T,J,3,3)`` and rest positions ``(J,3)``."""
    rest = clip.offsets.copy()
    for j, p in enumerate(clip.parents[1:], 1):
        rest[j] += rest[p]
    return world_rotations(clip.rotations, clip.parents), rest


def _match(names: tuple[str, ...]) -> dict[str, int]:
    """Pack joint -> index in ``names`` (case, namespaces and separators do not count)."""
    plain = {
        n.split(":")[-1].lower().replace("_", "").replace(".", "").replace(" ", ""): i
        for i, n in reversed(list(enumerate(names)))
    }
    found: dict[str, int] = {}
    for joint in PACK_JOINTS:
        side = {"r": ("r", "right"), "l": ("l", "left")}.get(joint[0]) if joint[1:] in ALIASES else None
        if side is None:
            options = [joint, *ALIASES[joint]]
        else:
            options = [s + n for n in (joint[1:].lower(), *ALIASES[joint[1:]]) for s in side]
            options += [n + s for n in (joint[1:].lower(), *ALIASES[joint[1:]]) for s in side]
        hit = next((plain[o] for o in options if o in plain), None)
        if hit is not None and hit not in found.values():
            found[joint] = hit
    return found


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """All ``.bvh`` files below ``folder`` as one motion pack at about 30 frames a second.

    The files must be Y up, facing +Z at rest, with rotations relative to that rest; the part of a file's name
    before the first ``_`` is its subject. Raises :class:`InputError` for unreadable files and for skeletons
    with unknown joint names.
    """
    files = sorted(folder.rglob("*.bvh"))
    if not files:
        raise InputError(f"{folder} holds no .bvh files; give a folder of BVH files or a motion pack (.npz)")
    quats, offsets, tips, lengths = [], [], [], []
    for path in files:
        clip = read_bvh(path)
        at = _match(clip.names)
        missing = [j for j in NEEDED if j not in at]
        if missing:
            raise InputError(
                f"{path} has no joints for {', '.join(missing)} (it has {', '.join(clip.names[:8])}, ..); "
                f"rename them as in CMU files"
            )
        turns, rest = world(clip)
        turns = turns[:: max(1, round(1 / 30 / clip.frame_time))]
        pack_world = np.empty((len(turns), 25, 3, 3))
        position = np.empty((25, 3))
        for k, name in enumerate(PACK_JOINTS):
            parent = PACK_PARENTS[k]
            if name in at:
                pack_world[:, k], position[k] = turns[:, at[name]], rest[at[name]]
            else:
                # A joint the file lacks moves with its parent and lies upon it (chest2 at zero offset marks
                # such a trunk).
                pack_world[:, k], position[k] = pack_world[:, parent], position[parent]
        local = local_rotations(pack_world, PACK_PARENTS)
        offset = position - position[np.maximum(PACK_PARENTS, 0)]
        tip = np.full((25, 3), np.nan)
        for name in ("lHand", "rHand"):
            k = PACK_JOINTS.index(name)
            tip[k] = clip.tips.get(at[name], offset[k])
            if not np.linalg.norm(tip[k]) > 0:
                tip[k] = offset[k]
        quats.append(local.astype(np.float32))
        offsets.append(offset)
        tips.append(tip)
        lengths.append(len(turns))
    return {
        "local": np.concatenate(quats),
        "offsets": np.array(offsets),
        "tip_offsets": np.array(tips),
        "clip_len": np.array(lengths),
        "clip_names": np.array([p.stem for p in files]),
        "joint_names": np.array(PACK_JOINTS),
        "parents": PACK_PARENTS,
        "frame_ok": np.ones(sum(lengths), bool),
    }


def makehuman_poses(folder: Path) -> np.ndarray:
    """Local SMPL-24 rotations ``(N,24,3,3)`` of one-frame BVH files of the MakeHuman default rig (z up, axes
    world-aligned)."""
    out = []
    for path in sorted(folder.glob("*.bvh")):
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
