"""People of the open body who walk about before a camera, as a network would recover them: true numbers, and
what is seen of them, with noise, gaps and hidden people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.geometry.boxes import overlaps
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig
from openhmr.sequence.track import Seen

CAMERA = Camera.assumed((720, 1280))
FPS = 25.0
HIPS, KNEES, SHOULDERS, ELBOWS = (1, 2), (4, 5), (16, 17), (18, 19)
HIDDEN = 0.5
"""Whoever is behind somebody whose box has this share in common is not seen."""


@dataclass(frozen=True)
class Walker:
    """Goes straight from ``start`` to ``end`` (x and z in metres, camera axes) in the time of the clip."""

    start: tuple[float, float]
    end: tuple[float, float]
    height_m: float = 1.7
    phase: float = 0.0


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what is seen: depth as a share (slowly changing, as networks err), joints'
    angles (radians), boxes (pixels); and how likely a person is missed in a frame."""

    depth: float = 0.05
    angle: float = 0.08
    across_m: float = 0.02
    missed: float = 0.05


@cache
def _body():
    return open_body()


def stride(time_s: float, phase: float) -> np.ndarray:
    """``(24,3)``: a simple gait, legs and arms against each other, a step and a half a second."""
    pose = np.zeros((24, 3))
    swing = np.sin(2 * np.pi * 0.9 * time_s + phase)
    for side, sign in ((0, 1), (1, -1)):
        pose[HIPS[side], 0] = -0.5 * sign * swing
        pose[KNEES[side], 0] = 0.35 + 0.3 * sign * swing
        pose[SHOULDERS[side]] = (0, 0.4 * swing, (-1.2, 1.2)[side])
        pose[ELBOWS[side], 1] = (-0.3, 0.3)[side]
    return pose


def facing(dx: float, dz: float) -> np.ndarray:
    """Axis-angle of a root that is upright in camera axes (y down) and walks along (dx, dz)."""
    # The body looks along +z with y up: turned about x by pi it looks along -z of the camera, upright.
    angle = np.arctan2(-dx, -dz)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    matrix = turn @ np.diag([1.0, -1, -1])
    cosine = np.clip((np.trace(matrix) - 1) / 2, -1, 1)
    if cosine < -0.999999:
        axis = np.sqrt(np.maximum((np.diag(matrix) + 1) / 2, 0))
        first = int(axis.argmax())
        axis *= np.where(np.arange(3) == first, 1, np.sign(matrix[first]))
        return np.pi * axis
    lean = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    theta = np.arccos(cosine)
    return lean * theta / (2 * np.sin(theta))


def people_at(walkers: Sequence[Walker], time_s: float, length_s: float, floor_m: float = 1.2) -> People:
    """Everybody as they truly are."""
    pose, places = [], []
    for w in walkers:
        step = np.subtract(w.end, w.start)
        now = w.start + step * time_s / length_s
        own = stride(time_s, w.phase)
        own[0] = facing(*(step if np.linalg.norm(step) > 0.2 else (0, -1)))
        pose.append(own)
        places.append((now[0], floor_m - 0.55 * w.height_m, now[1]))
    rig = Rig(
        np.array(pose, np.float32), np.zeros((len(walkers), _body().num_betas), np.float32), np.zeros(1)
    )
    return placed(rig.pose, np.array(places)).with_heights([w.height_m for w in walkers])


def placed(pose: np.ndarray, places: np.ndarray) -> People:
    """People whose roots are at ``places (N,3)``."""
    body = _body()
    betas = np.zeros((len(pose), body.num_betas), np.float32)
    vertices, joints = skin(body, pose, betas)
    translation = places - joints[:, 0]
    vertices = vertices + translation[:, None].astype(np.float32)
    points = np.zeros((len(pose), COCO.size, 3), np.float32)
    points[..., 2] = 1
    out = People(
        body, CAMERA, Keypoints(COCO, points, CAMERA.image_size), vertices, Rig(pose, betas, translation)
    )
    return out


def watched(
    walkers: Sequence[Walker], seconds: float, noise: Noise, rng: np.random.Generator, fps: float = FPS
) -> Iterator[tuple[float, np.ndarray, People]]:
    """For each frame its time, who is seen (numbers of ``walkers``, in a random order), and as whom."""
    count, error = round(seconds * fps), np.zeros(len(walkers))
    for i in range(count):
        true = people_at(walkers, i / fps, seconds)
        error = 0.9 * error + np.sqrt(1 - 0.81) * rng.normal(0, noise.depth, len(walkers))
        seen = [w for w in range(len(walkers)) if not _hidden(true, w) and rng.random() >= noise.missed]
        rows = rng.permutation(np.array(seen, int))
        yield i / fps, rows, _as_seen(true, rows, noise, error, rng)


def _as_seen(
    true: People, rows: np.ndarray, noise: Noise, error: np.ndarray, rng: np.random.Generator
) -> People:
    assert true.rig is not None
    pose = true.rig.pose[rows] + rng.normal(0, noise.angle, (len(rows), 24, 3)).astype(np.float32)
    places = true.roots[rows] + rng.normal(0, noise.across_m, (len(rows), 3))
    if not len(rows):
        return true[rows]
    # Who seems smaller seems nearer: both grow about the camera.
    people = placed(pose, places)
    return people.with_heights(true.heights[rows] * np.exp(error[rows]))


def _hidden(people: People, row: int) -> bool:
    boxes, depth = Seen.of(people).boxes, people.roots[:, 2]
    common = overlaps(boxes[row : row + 1], boxes)[0]
    return bool(((common > HIDDEN) & (depth < depth[row] - 0.1)).any())


def idf1(true: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """IDF1 (Ristani et al. 2016) of frames whose ``true`` and ``found`` numbers belong together: twice the
    frames that the best pairing of numbers explains, over all of both. By trying every pairing."""
    pairs = Counter(
        (int(a), int(b)) for t, f in zip(true, found, strict=True) for a, b in zip(t, f, strict=True)
    )
    everybody = sorted({a for a, _ in pairs})

    def best(i: int, taken: frozenset[int]) -> int:
        if i == len(everybody):
            return 0
        options = [(n, b) for (a, b), n in pairs.items() if a == everybody[i] and b not in taken]
        return max([best(i + 1, taken)] + [n + best(i + 1, taken | {b}) for n, b in options])

    return 2 * best(0, frozenset()) / max(2 * sum(pairs.values()), 1)
