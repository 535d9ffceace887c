"""Errors of people in motion: one by one as a network sees them, after One-Euro, and after zero-phase
smoothing with feet that stand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from openhmr.bodies.body import Body
from openhmr.bodies.posed_points import PosedPoints
from openhmr.camera import Camera
from openhmr.geometry.alignment import align_similarity
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.lab.metrics.errors import mean_distance
from openhmr.lab.synth.recorded import FPS, DetectorNoise, Recorded
from openhmr.people import Frame, People, Rig
from openhmr.predict.body_fit import with_rig
from openhmr.predict.lift import Lifter
from openhmr.sequence.feet import sole_regressor
from openhmr.sequence.live import LiveSmoother
from openhmr.sequence.smooth_clip import smooth_clip

METHODS = ("raw", "One-Euro", "zero-phase")
COLUMNS = ("MPJPE", "PA-MPJPE", "acceleration", "in space", "slide")
"""Millimetres; the acceleration error of root-relative joints and of joints in camera axes in mm/frame^2, and
how far feet that stand move in mm/frame."""
STANDS_M_S, STANDS_M = 0.2, 0.05
"""A point of a foot stands in truth where it moves more slowly, and lies lower, above the lowest of the
clip."""
CHUNK = 64
FEET = [COCO.names.index(n) for n in ("L_Ankle", "R_Ankle")]
LIMBS = slice(5, 17)
"""Shoulders, elbows, wrists, hips, knees and ankles of COCO."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a clip: ``joints (T,J,3)`` of COCO in metres and camera axes, of which those of the
    frames ``checked (T,)`` are compared; ``standing (T,P)`` tells when each of the points stands whose
    sliding is measured: the soles' four, or both ankles."""

    joints: Array
    checked: NDArray[np.bool_]
    standing: NDArray[np.bool_]


def lifted_frames(clip: Recorded, lifter: Lifter, noise: DetectorNoise, seed: int) -> Iterator[Frame]:
    """The clip's person in every frame, lifted from what a detector sees of it."""
    points = noise(clip.joints_px, np.random.default_rng(seed))
    for start in range(0, len(points), CHUNK):
        seen = Keypoints(COCO, points[start : start + CHUNK], clip.camera.image_size)
        camera = replace(clip.camera, down=None)
        people = with_rig(lifter(seen, camera, order_known=True))
        for i in range(len(people)):
            at = start + i
            one = replace(people[i], track_ids=np.zeros(1, np.int64))
            yield Frame(at, {"body": one}, at / FPS)


def truth_of(clip: Recorded) -> Truth:
    """The truth of a recorded clip."""
    joints, soles = body_points(clip.rig, clip.body)
    assert clip.camera.down is not None
    height = -soles @ clip.camera.down
    height -= np.percentile(height.min(1), 5)
    speed = np.linalg.norm(np.gradient(soles, axis=0), axis=-1) * FPS
    standing = (speed < STANDS_M_S) & (height < STANDS_M)
    return Truth(joints, np.ones(len(joints), bool), standing)


def body_points(rig: Rig, body: Body) -> tuple[Array, Array]:
    """Joints of COCO ``(T,J,3)`` and points of the soles ``(T,4,3)`` in camera axes."""
    regressor = np.concatenate([body.joint_regressor(COCO), sole_regressor(body)])
    _, _, points = PosedPoints(body, rig.betas, regressor)(axis_angle_to_matrix(rig.pose.astype(np.float64)))
    points = points + rig.translation[:, None]
    return points[:, : COCO.size], points[:, COCO.size :]


@dataclass(frozen=True, eq=False)
class Compared:
    """The rigs of one person by method, and the angle in degrees by which gravity is off (nan: not found)."""

    body: Body
    rigs: Mapping[str, Rig]
    down: Array | None


def compare(frames: Iterable[Frame]) -> Compared:
    """Smooth a clip of one person by every one of :data:`METHODS`."""
    raw, live, smoother = list[Rig](), list[Rig](), LiveSmoother()
    bodies = list[Body]()

    def watched() -> Iterator[Frame]:
        for frame in frames:
            people: People = frame.people
            assert people.rig is not None
            raw.append(people.rig)
            bodies.append(people.body)
            smooth = smoother(frame).people.rig
            assert smooth is not None
            live.append(smooth)
            yield frame

    clip = smooth_clip(watched())
    (track,) = clip.tracks["body"].values()
    down = None if clip.camera is None else clip.camera.down
    rigs = dict(zip(METHODS, (_joined(raw), _joined(live), track.rig), strict=True))
    return Compared(bodies[0], rigs, down)


def _joined(rigs: list[Rig]) -> Rig:
    columns = ([getattr(rig, name) for rig in rigs] for name in ("pose", "betas", "translation"))
    return Rig(*(np.concatenate(column) for column in columns))


def errors(compared: Compared, truth: Truth) -> dict[str, dict[str, Array]]:
    """Method -> column -> a number for each frame (of sliding: for each step of a point that stands)."""
    return {name: _errors(rig, compared.body, truth) for name, rig in compared.rigs.items()}


def _errors(rig: Rig, body: Body, truth: Truth) -> dict[str, Array]:
    joints, soles = body_points(rig, body)
    points = soles if truth.standing.shape[1] == soles.shape[1] else joints[:, FEET]
    mine, theirs = (1000 * (j - j[:, [COCO.root]])[:, LIMBS] for j in (joints, truth.joints))
    # Who is taken for taller is taken for further away, and moves more: no picture tells by how much.
    scale = truth.joints[:, COCO.root, 2].mean() / joints[:, COCO.root, 2].mean()
    root = 1000 * (scale * joints[:, [COCO.root]] - truth.joints[:, [COCO.root]])
    bend = np.diff(mine - theirs, n=2, axis=0)
    space = np.diff(mine - theirs + root, n=2, axis=0)
    step = 1000 * np.linalg.norm(np.diff(points, axis=0), axis=-1)
    still = truth.standing[1:] & truth.standing[:-1]
    known = truth.checked
    return dict(
        zip(
            COLUMNS,
            (
                mean_distance(mine, theirs)[known],
                mean_distance(align_similarity(mine, theirs), theirs)[known],
                np.linalg.norm(bend, axis=-1).mean(-1),
                np.linalg.norm(space, axis=-1).mean(-1),
                step[still],
            ),
            strict=True,
        )
    )


def rows_of(name: str, found: list[dict[str, dict[str, Array]]]) -> list[dict[str, object]]:
    """Rows of a table: means over all frames of the clips, by method."""
    return [
        {"clips": name, "method": method}
        | {c: round(float(np.concatenate([f[method][c] for f in found]).mean()), 2) for c in COLUMNS}
        for method in METHODS
    ]


def gravity_error_deg(compared: Compared, camera: Camera) -> float:
    """Angle between the direction of gravity that was found and the true one; nan if none was."""
    if compared.down is None or camera.down is None:
        return float("nan")
    return float(np.rad2deg(np.arccos(np.clip(compared.down @ camera.down, -1, 1))))


def recorded_errors(
    clips: Iterable[Recorded], lifter: Lifter, noise: DetectorNoise, limit: int | None
) -> tuple[list[dict[str, dict[str, Array]]], Array, tuple[Compared, Truth]]:
    """Errors of every clip until ``limit`` frames are reached, gravity's in degrees ``(C,)``, and the clip in
    which joints move most, to be drawn."""
    found, gravity, shown, frames, most = [], [], None, 0, -1.0
    for seed, clip in enumerate(tqdm(clips, desc="clips", delay=1)):
        compared, truth = compare(lifted_frames(clip, lifter, noise, seed)), truth_of(clip)
        found.append(errors(compared, truth))
        gravity.append(gravity_error_deg(compared, clip.camera))
        spread = float(np.ptp(truth.joints[:90], axis=0).mean())
        if len(clip) >= 90 and spread > most:
            shown, most = (compared, truth), spread
        shown = shown or (compared, truth)
        frames += len(clip)
        if limit is not None and frames >= limit:
            break
    assert shown is not None
    return found, np.array(gravity), shown
