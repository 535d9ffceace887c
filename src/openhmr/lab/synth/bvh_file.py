"""BVH files as arrays, in their own units and axes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.bodies.skinning import world_rotations
from openhmr.errors import InputError

MAX_BYTES, MAX_JOINTS = 200_000_000, 1000


@dataclass(frozen=True)
class Clip:
    """One BVH file: ``names``, ``parents (J,)``, rest ``offsets (J,3)``, local ``rotations (T,J,3,3)``,
    ``root (T,3)`` where the first joint is, ``frame_time`` seconds; ``tips`` joint -> offset of its end site.
    Units and axes as in the file."""

    names: tuple[str, ...]
    parents: np.ndarray
    offsets: np.ndarray
    tips: dict[int, np.ndarray]
    rotations: np.ndarray
    root: np.ndarray
    frame_time: float


def read_bvh(path: Path) -> Clip:
    """Parse a BVH file. Raises :class:`InputError` if it is not one."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read: split the clip"
            )
        head, _, motion = path.read_text(encoding="utf-8-sig", errors="replace").partition("MOTION")
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
    if not len(data) or not 0 <= frame_time < np.inf:
        raise ValueError(f"it has {len(data)} frames of {frame_time:g} s; it needs one frame or more")
    rotations = np.broadcast_to(np.eye(3), (len(data), len(names), 3, 3)).copy()
    root, column = np.zeros((len(data), 3)), 0
    for joint, kinds in enumerate(channels):
        for kind in kinds:
            if joint == 0 and kind.lower().endswith("position"):
                root[:, "xyz".index(kind[0].lower())] = data[:, column]
            if kind.lower().endswith("rotation"):
                rotations[:, joint] = rotations[:, joint] @ _axis_rotation(
                    "xyz".index(kind[0].lower()), np.radians(data[:, column])
                )
            column += 1
    return Clip(tuple(names), np.array(parents), np.array(offsets), tips, rotations, root, frame_time)


def _axis_rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, i, i] = out[:, j, j] = np.cos(angle)
    out[:, j, i], out[:, i, j] = np.sin(angle), -np.sin(angle)
    return out


def world(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """World rotations ``(T,J,3,3)`` and rest positions ``(J,3)``."""
    return world_rotations(clip.rotations, clip.parents), placed(clip.offsets, clip.parents)


def placed(bones: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Positions ``(J,3)`` of joints that lie ``bones (J,3)`` beyond their parents."""
    out = bones.copy()
    for j, p in enumerate(parents[1:], 1):
        out[j] += out[p]
    return out
