"""The lifter against float64 twins on a tiny model, and its contract with the network's training."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import openhmr
from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import fit_translation
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.io.poses import check_pose2d
from openhmr.joints import AIC, COCO, CROWDPOSE, HUMAN36, JOINT_SETS, MANO, POINTS, JointSet
from openhmr.keypoints import Keypoints
from openhmr.predict.lift import CHUNK, Lifter, look_at, standardise
from tests.tiny_lifter import base_vertices, weights, write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

CAMERA = Camera.from_focal(600, (480, 640))
EXAMPLES = Path(__file__).parents[1] / "examples"
BODIES = [s for s in JOINT_SETS.values() if s is not MANO]


@pytest.fixture
def lifter(tmp_path: Path, tiny_body: Body) -> Lifter:
    return Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19), tiny_body)


def poses(n: int = 3) -> np.ndarray:
    out = np.random.default_rng(0).uniform(50, 400, (n, 17, 3))
    out[..., 2] = np.random.default_rng(1).uniform(0.3, 1, (n, 17))
    out[0, 3] = out[1, 11] = 0
    return out


def dense_upsampling(body: Body) -> np.ndarray:
    rows, cols, values = body.level("coarse").upsample  # type: ignore[misc]
    out = np.zeros((body.num_vertices, len(body.level("coarse").vertex_ids)))
    out[rows, cols] = values
    return out


def test_lift_equals_its_dense_twin(lifter: Lifter, tiny_body: Body) -> None:
    people = lifter(poses(), CAMERA)
    # Slow twin of the virtual camera: Rodrigues' rotation of the mean ray onto the optical axis, person by
    # person.
    pose2d = check_pose2d(poses(), COCO)
    pose, turns = pose2d.astype(np.float64), []
    for person in pose:
        seen = person[:, 2] > 0
        rays = np.concatenate([(person[:, :2] - (319.5, 239.5)) / 600, np.ones((19, 1))], 1)
        mean = rays[seen].mean(0)
        axis = np.cross(mean, (0, 0, 1))
        angle = np.arctan2(np.linalg.norm(axis), mean[2])
        turn = axis_angle_to_matrix(axis / np.linalg.norm(axis) * angle)
        assert_allclose(turn @ mean / np.linalg.norm(mean), (0, 0, 1), atol=1e-7)
        turned = rays @ turn.T
        person[seen, :2] = turned[seen, :2] / turned[seen, 2:]
        # Whose trunk leans is rolled until it stands: this network does not say how sure it is otherwise.
        hips, shoulders = (np.average(person[rows, :2], 0, person[rows, 2]) for rows in ([11, 12], [5, 6]))
        roll = -np.pi / 2 - np.arctan2(*(shoulders - hips)[::-1])
        roll = (roll + np.pi) % (2 * np.pi) - np.pi
        if abs(roll) > np.deg2rad(35):
            about = axis_angle_to_matrix(np.array([0, 0, roll]))
            person[:, :2], turn = person[:, :2] @ about[:2, :2].T, about @ turn
        turns.append(turn)
    inputs = standardise(pose.astype(np.float32)).astype(np.float64)
    coarse = base_vertices(tiny_body) + (inputs.reshape(3, -1) @ weights(tiny_body, 19, 0.01)).reshape(
        3, -1, 3
    )
    coarse = coarse @ np.array(turns)
    placed = dense_upsampling(tiny_body) @ coarse
    coco = COCO.complete(tiny_body.joint_regressors["coco"]).astype(np.float64) @ placed
    expected = placed + fit_translation(coco, pose2d[..., :2], pose2d[..., 2], CAMERA.K)[:, None]
    assert_allclose(people.vertices, expected, rtol=1e-6, atol=1e-5)
    regressors = {"smpl": tiny_body.J_regressor} | dict(tiny_body.joint_regressors)
    for name, regressor in regressors.items():
        joints = regressor.astype(np.float64) @ expected
        wanted = COCO.complete(joints) if name == "coco" else joints
        assert_allclose(people.joints(name), wanted, rtol=1e-6, atol=1e-5)
    assert people.camera is CAMERA and people.rig is None and people.sigma is None
    assert_array_equal(people.faces, tiny_body.faces)


def test_true_projection_gives_back_its_camera(tmp_path: Path, tiny_body: Body) -> None:
    """With a network that always returns the base mesh, the fit must find where the mesh was put."""
    lifter = Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19, strength=0), tiny_body)
    joints = (
        COCO.complete(tiny_body.joint_regressors["coco"].astype(float))
        @ dense_upsampling(tiny_body)
        @ base_vertices(tiny_body)
    )
    t, camera = np.array([0.3, -0.2, 4.0]), Camera.from_focal(700, (480, 640))
    turn = np.eye(3)
    for _ in range(30):
        # The base mesh is in the axes of the camera that looks at it, which depends on where it is seen: a
        # fixed point.
        pixels = camera.project(joints @ turn + t)
        pose = np.concatenate([pixels, np.ones((19, 1))], 1)[None].astype(np.float32)
        # The tiny body does not stand as people do; of whom no hips are seen, nobody can say that.
        pose[:, [COCO.names.index(n) for n in ("L_Hip", "R_Hip", "Pelvis")]] = 0
        turn = look_at(pose, camera)[1][0]
    people = lifter(pose, camera)
    assert_allclose(
        people.vertices[0], dense_upsampling(tiny_body) @ base_vertices(tiny_body) @ turn + t, atol=2e-3
    )
    assert people.reprojection_px()[0] < 0.01


def test_a_calibrated_principal_point_and_distortion_count(lifter: Lifter) -> None:
    """The same rays through another principal point, or through a lens that bends lines, give the same
    people."""
    pose = check_pose2d(poses(), COCO)
    plain = lifter(Keypoints(COCO, pose), CAMERA)
    shifted = pose + np.where(pose[..., 2:] > 0, np.float32([40, -25, 0]), 0)
    K = CAMERA.K + [[0, 0, 40], [0, 0, -25], [0, 0, 0]]
    assert_allclose(
        lifter(Keypoints(COCO, shifted), Camera(K, (480, 640))).vertices, plain.vertices, rtol=1e-5, atol=1e-4
    )
    bent = Camera(CAMERA.K, (480, 640), dist=[-0.2, 0.05, 0.001, -0.002, 0.01])
    rays = CAMERA.rays(pose[..., :2]).reshape(-1, 3)
    pixels = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), bent.K, bent.dist)[0].reshape(
        *pose.shape[:2], 2
    )
    seen = np.where(pose[..., 2:] > 0, np.concatenate([pixels, pose[..., 2:]], -1), 0).astype(np.float32)
    people = lifter(Keypoints(COCO, seen), bent)
    assert_allclose(people.vertices, plain.vertices, rtol=1e-4, atol=1e-3)
    assert people.camera.dist is None
    assert_allclose(people.keypoints.points, pose, atol=2e-3)


def test_a_batch_equals_its_rows(lifter: Lifter) -> None:
    together = lifter(poses(70), CAMERA).vertices
    for i in (0, 63, 64, 69):
        assert_allclose(together[i], lifter(poses(70)[i], CAMERA).vertices[0], atol=1e-5)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("4", 4),
        ("0", 1),
        ("9999", CHUNK),
        ("9" * 5000, CHUNK),
        ("many", CHUNK),
        ("-3", CHUNK),
        ("", CHUNK),
        ("2.5", CHUNK),
        ("\u00b2", CHUNK),
    ],
)
def test_a_file_that_says_nonsense_of_poses_at_once_lifts_alike(
    tmp_path: Path, lifter: Lifter, tiny_body: Body, said: str, taken: int
) -> None:
    path = write_tiny_model(tmp_path / "said.onnx", tiny_body, "coco", 19, poses_at_once=said)
    other = Lifter(path, tiny_body)
    assert other.poses_at_once == taken
    assert_allclose(other(poses(9), CAMERA).vertices, lifter(poses(9), CAMERA).vertices, atol=1e-5)


def test_standardisation() -> None:
    pose = check_pose2d(poses(), COCO)
    out = standardise(pose)
    present = pose[..., 2] > 0
    for row, mask in zip(out, present, strict=True):
        assert_allclose(row[mask, :2].mean(0), 0, atol=1e-6)
        assert_allclose((row[mask, :2] ** 2).mean(), 1, rtol=1e-5)
        assert_array_equal(row[~mask], 0)
    assert_array_equal(out[..., 2], pose[..., 2])
    moved = pose * [3, 3, 1] + np.where(present[..., None], [40, -7, 0], 0)
    assert_allclose(standardise(moved.astype(np.float32)), out, atol=1e-5)


def test_standardisation_is_that_of_training() -> None:
    torch = pytest.importorskip("torch")
    from openhmr.lab.synth.pairs import gaze, look
    from openhmr.lab.synth.pairs import standardise as of_training

    pose = check_pose2d(poses(), COCO)
    turned, rotation = look_at(pose, CAMERA)
    rays = torch.as_tensor(pose - np.array([319.5, 239.5, 0], np.float32)) / torch.tensor([600.0, 600, 1])
    turn = gaze(rays)
    assert_allclose(turn.numpy(), rotation, atol=1e-6)
    assert_allclose(turned, look(rays, turn).numpy(), atol=1e-6)
    assert_allclose(standardise(turned), of_training(torch.as_tensor(turned)).numpy(), atol=1e-6)


def test_without_camera_the_people_stand_in_the_picture(lifter: Lifter) -> None:
    people = lifter(poses())
    height, width = people.camera.image_size
    assert_array_equal(people.camera.K, Camera.assumed((height, width)).K)
    points = people.keypoints.points
    assert points[..., 0].max() < width and points[..., 1].max() < height
    assert (people.vertices[..., 2] > 0).all()
    sized = Keypoints(COCO, check_pose2d(poses(), COCO), image_size=(500, 700))
    assert lifter(sized).camera.image_size == (500, 700)


def test_nobody_is_empty(lifter: Lifter) -> None:
    people = lifter(Keypoints(COCO, np.zeros((0, 19, 3), np.float32), (480, 640)))
    assert len(people) == 0 and people.joints("human36").shape == (0, 17, 3)
    assert people.reprojection_px().shape == (0,)


def test_somebody_without_joints_is_named(lifter: Lifter) -> None:
    points = np.ones((2, 19, 3), np.float32)
    points[1] = 0
    with pytest.raises(InputError, match="person 1 has no present joint"):
        lifter(Keypoints(COCO, points))
    with pytest.raises(InputError, match="camera is int; a Camera is needed"):
        lifter(poses(), 1150)  # type: ignore[arg-type]


def test_other_joint_sets_and_swapped_sizes_are_named(lifter: Lifter) -> None:
    with pytest.raises(InputError, match="this model lifts coco joints, not human36; load a model of that"):
        lifter(Keypoints(HUMAN36, np.ones((1, 17, 3), np.float32)))
    wide = np.full((1, 17, 2), 600.0) + np.random.default_rng(0).uniform(0, 30, (1, 17, 2)) * [1, -10]
    with pytest.raises(InputError, match=r"swap \(height, width\)"):
        lifter(wide, Camera.assumed((640, 480)))


def test_a_mesh_far_from_its_2d_pose_is_warned_of(lifter: Lifter, caplog: pytest.LogCaptureFixture) -> None:
    shuffled = poses()[:1]
    shuffled[:, [0, 15]] = shuffled[:, [15, 0]]
    lifter(np.random.default_rng(5).permutation(shuffled, axis=1) * [1, 1, 1], CAMERA)
    assert "of its extent" in caplog.text and "in the order of coco" in caplog.text


def test_models_of_other_bodies_sets_and_kinds_are_refused(tmp_path: Path, tiny_body: Body) -> None:
    path = write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19, made_for="0123")
    with pytest.raises(InputError, match="was made for the body '0123'"):
        Lifter(path, tiny_body)
    with pytest.raises(InputError, match="joint set 'dog'"):
        Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "dog", 19), tiny_body)
    photos = write_tiny_recoverer(tmp_path / "r.onnx", tiny_body)
    with pytest.raises(InputError, match="no Pose2Mesh model"):
        Lifter(photos, tiny_body)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="not a readable ONNX model"):
        Lifter(tmp_path / "text.onnx", tiny_body)
    with pytest.raises(InputError, match="does not exist"):
        Lifter(tmp_path / "none.onnx", tiny_body)
    with pytest.raises(InputError, match="this model lifts coco joints, not human36"):
        Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19), tiny_body, HUMAN36)


@pytest.fixture(scope="module")
def shipped() -> Lifter:
    return openhmr.load("pose2mesh")


def seen(lifter: Lifter, joint_set: JointSet, camera: Camera = CAMERA) -> np.ndarray:
    """Pixels ``(J,2)`` of a real pose's joints, of any skeleton: those of the mesh that human36's give."""
    people = lifter(Keypoints(HUMAN36, check_pose2d(np.load(EXAMPLES / "human36_pose.npy"), HUMAN36)), camera)
    return camera.project(people.joints(joint_set))[0]


@pytest.mark.parametrize("joint_set", BODIES, ids=lambda s: s.name)
def test_the_shipped_model_lifts_every_skeleton(shipped: Lifter, joint_set: JointSet) -> None:
    """By name or as a plain array; the mesh fits the pose, and says how sure it is."""
    camera = Camera.assumed((1000, 1000))
    pixels = seen(shipped, joint_set, camera)
    points = np.concatenate([pixels, np.ones((len(pixels), 1))], 1)[None].astype(np.float32)
    people = shipped(Keypoints(joint_set, points), camera)
    # 6 % of the extent is half of what is warned of.
    extent = np.ptp(pixels, axis=0).max()
    assert people.vertices.shape == (1, 6999, 3) and people.reprojection_px()[0] < 0.06 * extent
    assert people.keypoints.joint_set == joint_set
    sigma = people.sigma
    assert sigma.vertices.shape == (1, 6999, 3) and sigma.joints.shape == (1, joint_set.size, 3)
    assert sigma.vertices.min() > 0.002 and sigma.vertices.max() < 2.8 and (sigma.joints > 0).all()
    named = openhmr.load(f"pose2mesh-{joint_set.name}")
    base = pixels[: len(joint_set.base)]
    if not joint_set.derived:
        assert_allclose(named(base, camera).vertices, people.vertices, rtol=1e-5, atol=1e-5)
    assert named(base, camera).keypoints.joint_set == joint_set


def test_plain_arrays_are_cocos_where_nothing_is_said(shipped: Lifter) -> None:
    pixels = seen(shipped, COCO)[:17]
    assert shipped.joint_set is COCO and shipped.layout is POINTS
    assert_array_equal(shipped(pixels).vertices, openhmr.load("pose2mesh-coco")(pixels).vertices)
    with pytest.raises(InputError, match=r"lifts coco, .*points joints, not mano"):
        shipped(Keypoints(MANO, np.ones((1, 21, 3), np.float32)))


@pytest.mark.parametrize(
    ("true", "given"),
    [
        *(("human36", "coco"), ("openpose18", "coco"), ("coco", "human36"), ("mpi_inf_3dhp", "coco")),
        *(("crowdpose", "aic"), ("aic", "crowdpose")),
    ],
)
def test_the_order_that_fits_better_is_named(
    shipped: Lifter, true: str, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = seen(shipped, JOINT_SETS[true])[: len(JOINT_SETS[given].base)]
    lifter = Lifter(openhmr.available()["pose2mesh"], shipped.body, JOINT_SETS[given])
    lifter(pixels, CAMERA)
    assert f"in the order of {given}?" in caplog.text
    assert f"In the order of {true}" in caplog.text


def test_a_pose_in_its_own_order_is_not_warned_of(shipped: Lifter, caplog: pytest.LogCaptureFixture) -> None:
    for joint_set in (COCO, HUMAN36, AIC, CROWDPOSE):
        shipped(Keypoints(joint_set, check_pose2d(seen(shipped, joint_set), joint_set)), CAMERA)
    assert caplog.text == ""


def test_shipped_model_lifts_without_torch() -> None:
    code = (
        "import sys, openhmr, numpy as np\n"
        "people = openhmr.load('pose2mesh')(np.random.default_rng(0).uniform(0, 500, (17, 2)))\n"
        "assert np.isfinite(people.vertices).all() and len(people.vertices[0]) > 6000\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'onnx', 'openhmr.lab'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
