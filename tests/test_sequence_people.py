"""Whole people in clips: feet that stand, the ground, frames in and out, a stream."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from openhmr.bodies.posed_points import PosedPoints
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry import quaternions
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import COCO, POINTS
from openhmr.joints.smpl import SMPL_NAMES
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, People, Rig, Sigma
from openhmr.sequence.feet import LEGS, sole_regressor
from openhmr.sequence.ground import centre_of_mass
from openhmr.sequence.legs import reach
from openhmr.sequence.live import LiveSmoother
from openhmr.sequence.rig_path import RigPath
from openhmr.sequence.smooth import Sight, find_grounds, plant, smooth_path
from openhmr.sequence.smooth_clip import SmoothClip, smooth_clip

FPS, HIGH = 30, 1.2
BODY = open_body()
CAMERA = Camera.from_focal(1400, (1080, 1920))
PITCH = np.deg2rad(12)
DOWN = np.array([0, np.cos(PITCH), np.sin(PITCH)])
"""The camera looks down by 12 degrees."""
CAMERA_FROM_WORLD = np.array(
    [[-1, 0, 0], [0, -np.cos(PITCH), -np.sin(PITCH)], [0, -np.sin(PITCH), np.cos(PITCH)]]
)
"""The camera's axes of a world with y up, seen along z."""


def standing_rig(count: int, seed: int = 0, noise: float = 0.0, sway: float = 0.1) -> Rig:
    """A person who stands on the ground, sways and moves their arms; knees a little bent."""
    rng, t = np.random.default_rng(seed), np.arange(count) / FPS
    pose = np.zeros((count, 24, 3))
    at = SMPL_NAMES.index
    for side, sign in (("L", -1), ("R", 1)):
        pose[:, at(f"{side}_Shoulder"), 2] = sign * (1.1 + 0.3 * np.sin(2 * t))
        bend = 0.4 + sway * np.sin(1.5 * t)
        pose[:, at(f"{side}_Hip"), 0], pose[:, at(f"{side}_Knee"), 0] = -bend, 2 * bend
        pose[:, at(f"{side}_Ankle"), 0] = -bend
    soles = PosedPoints(BODY, np.zeros(BODY.num_betas), sole_regressor(BODY))
    _, joints, points = soles(axis_angle_to_matrix(pose))
    # Feet stay where they are in the world; the person looks past the camera.
    around = axis_angle_to_matrix(np.array([0, 2.6, 0.0]))
    root = np.array([0.3, 0, 4.5]) - (points.mean(1) - joints[:, 0]) @ around.T
    turn = quaternions.log(_quaternion(CAMERA_FROM_WORLD @ around))
    pose[:, 0] = turn
    place = (root - [0, HIGH, 0]) @ CAMERA_FROM_WORLD.T
    pose = pose + rng.normal(0, noise, pose.shape)
    place = place + rng.normal(0, 0.3 * noise, place.shape) * [1, 1, 4]
    betas = rng.normal(0, 2 * noise, (count, BODY.num_betas)).astype(np.float32)
    return Rig(pose.astype(np.float32), betas, place - soles.rest[0])


def _quaternion(matrix: NDArray) -> NDArray:
    from openhmr.geometry.rotations import matrix_to_axis_angle

    return quaternions.exp(matrix_to_axis_angle(matrix))


def path_of(rig: Rig) -> RigPath:
    count = len(rig.pose)
    return RigPath(np.arange(count) / FPS, rig.pose, rig.betas, rig.translation, np.ones(count, bool))


def soles_of(rig: Rig) -> NDArray[np.float64]:
    posed = PosedPoints(BODY, rig.betas, sole_regressor(BODY))
    return posed(axis_angle_to_matrix(rig.pose.astype(np.float64)))[2] + rig.translation[:, None]


def slide_mm(rig: Rig) -> float:
    return float(1000 * np.linalg.norm(np.diff(soles_of(rig), axis=0), axis=-1).mean())


def test_posed_points_are_those_of_the_mesh() -> None:
    rng = np.random.default_rng(0)
    pose, betas = rng.normal(0, 0.4, (4, 24, 3)), rng.normal(size=(4, BODY.num_betas))
    regressor = BODY.joint_regressor(POINTS)
    vertices, joints = skin(BODY, pose, betas)
    world, found, points = PosedPoints(BODY, betas, regressor)(axis_angle_to_matrix(pose))
    assert_allclose(points, regressor @ vertices, atol=1e-5)
    assert_allclose(found, joints, atol=1e-5)
    one = PosedPoints(BODY, betas[2], regressor)
    assert_allclose(one(axis_angle_to_matrix(pose))[2][2], points[2], atol=1e-9)
    assert_allclose(one.points(world[2:3], found[2:3])[0], points[2], atol=1e-9)


def test_soles_lie_under_the_feet() -> None:
    lowest = BODY.v_template[:, 1].min()
    points = sole_regressor(BODY) @ BODY.v_template
    assert np.abs(points[:, 1] - lowest).max() < 0.01
    assert (points[[0, 1], 0] > 0.03).all() and (points[[2, 3], 0] < -0.03).all()
    assert (points[[1, 3], 2] - points[[0, 2], 2] > 0.1).all()


def test_a_leg_reaches() -> None:
    rng = np.random.default_rng(0)
    hip, way = rng.normal(size=(200, 3)), rng.normal(0, 0.25, (200, 3))
    knee = hip + rng.normal(0, 0.2, (200, 3)) + [0, 0.3, 0]
    ankle = knee + rng.normal(0, 0.2, (200, 3)) + [0, 0.3, 0]
    target, side = ankle + way, np.tile([1.0, 0, 0], (200, 1))
    thigh, shin = reach(hip, knee, ankle, target, side)
    new_knee = hip + quaternions.rotate(thigh, knee - hip)
    found = new_knee + quaternions.rotate(shin, ankle - knee)
    long, short = (np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(ankle - knee, axis=-1))
    far = np.linalg.norm(target - hip, axis=-1)
    possible = (far < 0.999 * (long + short)) & (far > np.abs(long - short) + 1e-3)
    assert possible.mean() > 0.5
    assert_allclose(found[possible], target[possible], atol=1e-6)
    # What is out of reach is pointed at.
    way = (found - hip) / np.linalg.norm(found - hip, axis=-1, keepdims=True)
    assert_allclose((way * (target - hip)).sum(-1), far, atol=1e-6)
    still = reach(hip, knee, ankle, ankle, side)
    bent = np.linalg.norm(ankle - hip, axis=-1) < 0.97 * (long + short)
    for turn in still:
        assert quaternions.between(turn[bent], np.array([1.0, 0, 0, 0])).max() < 1e-3


def test_who_stands_does_not_slide_and_the_ground_is_found() -> None:
    rig = standing_rig(150, noise=0.03)
    smooth = smooth_path(path_of(rig), BODY)
    down, (ground,) = find_grounds([smooth])
    assert ground is not None and down is not None
    assert np.rad2deg(np.arccos(ground.down @ DOWN)) < 2
    assert np.linalg.det(CAMERA_FROM_WORLD) > 0.999
    assert abs(ground.distance_m - HIGH) < 0.1
    planted, standing = plant(smooth, ground)
    assert standing[5:-5].mean() > 0.95
    raw, mine = slide_mm(rig), slide_mm(planted.rig())
    assert raw > 15 and mine < 0.5 and mine < 0.05 * slide_mm(smooth.rig())
    assert ground.heights(soles_of(planted.rig())).min() > -1e-3
    true = standing_rig(150)
    assert_allclose(planted.rig().pose[:, :10], true.pose[:, :10], atol=0.12)


def test_nobody_sinks_into_the_ground() -> None:
    rig = standing_rig(90)
    smooth = smooth_path(path_of(rig), BODY)
    _, (ground,) = find_grounds([smooth])
    assert ground is not None
    # For half a second the pelvis is a hand below the ground.
    low = np.exp(-(((np.arange(90) - 45) / 8) ** 2))[:, None]
    deep = ground.heights(smooth.root).mean() + 0.1
    sunk = replace(smooth, root=smooth.root + low * deep * ground.down)
    joints, _ = sunk.posed(sole_regressor(BODY))
    assert ground.heights(joints[:, 0]).min() < -0.09
    planted, _ = plant(sunk, ground)
    joints, points = planted.posed(sole_regressor(BODY))
    assert ground.heights(joints).min() > -1e-3 and ground.heights(points).min() > -1e-3


def test_the_centre_of_mass_lies_in_the_trunk() -> None:
    rest = (BODY.J_regressor @ BODY.v_template).astype(np.float64)[None]
    centre = centre_of_mass(rest)[0]
    # Standing people have it at 55 % of their height, in the middle.
    low, high = BODY.v_template[:, 1].min(), BODY.v_template[:, 1].max()
    assert 0.53 < (centre[1] - low) / (high - low) < 0.62 and abs(centre[0]) < 0.01
    turn = quaternions.exp([1.0, 2, -1])
    assert_allclose(
        centre_of_mass(quaternions.rotate(turn, rest) + 3)[0], quaternions.rotate(turn, centre) + 3
    )


def test_feet_that_nobody_sees_do_not_stand() -> None:
    rig = standing_rig(60)
    points = np.ones((60, COCO.size, 3), np.float32)
    points[..., :2] = CAMERA.project(
        BODY.joint_regressor(COCO) @ skin(BODY, rig.pose, rig.betas, rig.translation)[0]
    )
    points[:30, COCO.names.index("L_Ankle"), 2] = 0
    smooth = smooth_path(path_of(rig), BODY, Sight(CAMERA, COCO, points))
    _, (ground,) = find_grounds([smooth])
    _, standing = plant(smooth, ground)
    assert not standing[:30, :2].any() and standing[32:].all() and standing[:, 2:].all()
    points[:, [COCO.names.index(f"{side}_Ankle") for side in "LR"], 2] = 0
    hidden = smooth_path(path_of(rig), BODY, Sight(CAMERA, COCO, points))
    assert find_grounds([hidden]) == (None, [None])


def test_what_is_smooth_stays() -> None:
    true = standing_rig(90, sway=0.0)
    still = Rig(np.repeat(true.pose[:1], 90, 0), true.betas, np.repeat(true.translation[:1], 90, 0))
    smooth = smooth_path(path_of(still), BODY)
    assert_allclose(smooth.rig().pose, still.pose, atol=1e-6)
    assert_allclose(smooth.rig().translation, still.translation, atol=1e-9)
    down, (ground,) = find_grounds([smooth])
    assert ground is not None and down is not None
    planted, standing = plant(smooth, ground)
    assert standing.all()
    assert_allclose(planted.rig().translation, still.translation, atol=2e-3)
    assert_allclose(planted.rig().pose, still.pose, atol=0.02)


def test_one_shape_and_its_size_moves_people_along_the_line_of_sight() -> None:
    rig = standing_rig(60)
    betas = rig.betas.copy()
    betas[:, 0] = np.random.default_rng(0).normal(1, 1, 60)
    grown = People(BODY, CAMERA, _nobody(60), skin(BODY, rig.pose, rig.betas, rig.translation)[0], rig)
    heights = grown.heights * np.linspace(0.9, 1.1, 60)
    other = grown.with_heights(heights).rig
    assert other is not None
    smooth = smooth_path(path_of(other), BODY).rig()
    assert np.ptp(smooth.betas, axis=0).max() == 0
    depth = smooth.translation[:, 2]
    assert np.ptp(depth) < 0.05 and np.ptp(other.translation[:, 2]) > 0.5


def _nobody(count: int) -> Keypoints:
    return Keypoints(COCO, np.zeros((count, COCO.size, 3), np.float32), CAMERA.image_size)


def frames_of(rigs: list[Rig], gone: tuple[int, ...] = ()) -> Iterator[Frame]:
    """Frames of several people who are all there but for the first, in the frames ``gone``."""
    for i in range(len(rigs[0].pose)):
        there = [k for k in range(len(rigs)) if k or i not in gone]
        rig = Rig(
            *(np.stack([getattr(rigs[k], n)[i] for k in there]) for n in ("pose", "betas", "translation"))
        )
        vertices, _ = skin(BODY, rig.pose, rig.betas)
        vertices = vertices + rig.translation[:, None].astype(np.float32)
        joints = CAMERA.project(BODY.joint_regressor(COCO) @ vertices)
        points = np.concatenate([joints, np.ones((*joints.shape[:2], 1))], -1).astype(np.float32)
        keypoints = Keypoints(COCO, points, CAMERA.image_size, None, np.full(len(there), 0.9))
        ids = np.array([7 + k for k in there])
        yield Frame(i, {"body": People(BODY, CAMERA, keypoints, vertices, rig, None, ids)}, i / FPS, f"f{i}")


def test_frames_come_back_with_gaps_filled_and_marked() -> None:
    one, two = standing_rig(40, noise=0.01), standing_rig(40, seed=1, noise=0.01)
    two = Rig(two.pose, two.betas, two.translation + [1.2, 0, 0])
    clip = smooth_clip(frames_of([one, two], gone=(0, 1, 20, 21, 22)))
    assert len(clip) == 40 and clip.camera is not None and clip.camera.down is not None
    assert clip.camera.down @ DOWN > np.cos(np.deg2rad(2))
    out = list(clip)
    assert [f.name for f in out] == [f"f{i}" for i in range(40)] and out[3].time_s == 0.1
    assert [len(f.people) for f in out] == [1, 1] + [2] * 38
    for i in (20, 21, 22):
        people = out[i].people
        row = int(np.flatnonzero(people.track_ids == 7)[0])  # type: ignore[arg-type]
        assert people.keypoints.scores is not None and people.keypoints.scores[row] == 0
        assert not people.keypoints.points[row].any() and people.keypoints.points[1 - row].any()
    track = clip.tracks["body"][7]
    assert track.frames.tolist() == list(range(2, 40))
    assert np.flatnonzero(~track.seen).tolist() == [18, 19, 20]
    people = out[30].people
    assert people.rig is not None and people.camera.down is not None
    again = skin(BODY, people.rig.pose, people.rig.betas)[0] + people.rig.translation[:, None]
    assert_allclose(people.vertices, again, atol=1e-5)
    assert np.ptp([f.people.rig.betas[-1] for f in out], axis=0).max() == 0  # type: ignore[union-attr]


def test_only_rigs_are_kept() -> None:
    frames = frames_of([standing_rig(60)])
    one = next(frames).people.vertices.nbytes
    tracemalloc.start()
    clip = smooth_clip(frames)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(clip) == 59 and kept < 10 * one


def test_long_gaps_stay_and_the_rest_is_kept() -> None:
    one, two = standing_rig(60), standing_rig(60, seed=1)
    clip = smooth_clip(frames_of([one, two], gone=tuple(range(10, 50))))
    assert clip.tracks["body"][7].frames.tolist() == [*range(10), *range(50, 60)]
    assert [len(f.people) for f in clip] == [2] * 10 + [1] * 40 + [2] * 10


def test_short_clips_and_empty_ones() -> None:
    assert list(smooth_clip([])) == [] and smooth_clip([]).camera is None
    for count in (1, 2, 3, 4):
        rig = standing_rig(count)
        clip = smooth_clip(frames_of([rig]))
        assert_allclose(clip.tracks["body"][7].rig.pose, rig.pose, atol=0.02)
    empty = [replace(f, groups={"body": f.people[[]]}) for f in frames_of([standing_rig(3)])]
    assert [len(f.people) for f in smooth_clip(empty)] == [0, 0, 0]


def test_certain_frames_count_more() -> None:
    rig = standing_rig(60)
    pose = rig.pose.copy()
    wrong = np.arange(60) % 3 == 0
    pose[wrong, SMPL_NAMES.index("L_Elbow"), 1] += 0.4
    frames = list(frames_of([Rig(pose, rig.betas, rig.translation)]))

    def sure(frame: Frame) -> Frame:
        size = 0.2 if wrong[frame.index] else 0.02
        shape = (1, BODY.num_vertices, 3)
        sigma = Sigma(np.full(shape, size, np.float32), np.full((1, COCO.size, 3), size, np.float32))
        return replace(frame, groups={"body": replace(frame.people, sigma=sigma)})

    def error(clip: SmoothClip) -> float:
        found = clip.tracks["body"][7].rig.pose[:, SMPL_NAMES.index("L_Elbow")]
        return float(np.abs(found - rig.pose[:, SMPL_NAMES.index("L_Elbow")]).mean())

    plain = error(smooth_clip(frames))
    assert error(smooth_clip([sure(f) for f in frames])) < 0.5 * plain


def test_clips_that_cannot_be_smoothed_are_refused() -> None:
    frames = list(frames_of([standing_rig(4), standing_rig(4, seed=1)]))
    people = frames[0].people
    with pytest.raises(InputError, match="without track ids"):
        smooth_clip([replace(frames[0], groups={"body": replace(people, track_ids=None)})])
    with pytest.raises(InputError, match="no body parameters"):
        smooth_clip([replace(frames[0], groups={"body": replace(people, rig=None)})])
    with pytest.raises(InputError, match="no body parameters"):
        LiveSmoother()(replace(frames[0], groups={"body": replace(people, rig=None)}))
    with pytest.raises(InputError, match="no track ids"):
        LiveSmoother()(replace(frames[0], groups={"body": replace(people, track_ids=None)}))
    zoomed = replace(people, camera=Camera.from_focal(900, (1080, 1920)))
    with pytest.raises(InputError, match="camera of a clip changes"):
        smooth_clip([*frames, replace(frames[0], groups={"body": zoomed})])
    with pytest.raises(InputError, match="times of a person's frames do not increase"):
        smooth_clip([frames[1], frames[0]])
    rig = standing_rig(4)
    with pytest.raises(InputError, match="translation of a person over time has shape"):
        RigPath(np.arange(4.0), rig.pose, rig.betas, rig.translation[:3], np.ones(4, bool))
    with pytest.raises(InputError, match="seen in no frame"):
        RigPath(np.arange(4.0), rig.pose, rig.betas, rig.translation, np.zeros(4, bool))


def test_a_stream_gets_smoother_and_follows() -> None:
    noisy, smoother = standing_rig(90, noise=0.03), LiveSmoother()
    frames = list(frames_of([noisy]))
    out = [smoother(frame) for frame in frames]
    assert_allclose(out[0].people.vertices, frames[0].people.vertices, atol=1e-5)
    assert all(f.people.sigma is None and f.name == g.name for f, g in zip(out, frames, strict=True))
    rigs = [f.people.rig for f in out]
    live = Rig(*(np.concatenate([getattr(r, n) for r in rigs]) for n in ("pose", "betas", "translation")))
    assert slide_mm(live) < 0.5 * slide_mm(noisy)
    true = standing_rig(90)
    assert np.abs(live.pose - true.pose)[20:].mean() < np.abs(noisy.pose - true.pose)[20:].mean()
    # A person at rest stays exactly.
    still, steady = next(iter(frames_of([standing_rig(1)]))), LiveSmoother()
    for i in range(5):
        again = steady(replace(still, index=i, time_s=i / FPS))
    assert_allclose(again.people.vertices, still.people.vertices, atol=1e-5)
    with pytest.raises(InputError, match="does not follow"):
        steady(still)


def test_legs_are_named_left_and_right() -> None:
    assert [SMPL_NAMES[j] for j in LEGS[1]] == ["R_Hip", "R_Knee", "R_Ankle", "R_Toe"]
